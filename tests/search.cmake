# Tests of search/.
foreach(noun assignment_text brute_force budget budget_projection digest drop_score drop_text effect_model evopress
         group_shares grouping guided guided_modules inheritance knapsack level_name module_moves mutation owl pareto policy
         policy_gradient portable_math recombination rng sample_domains space strategy
        subnet_ga)
  evopress_test(search/${noun}_test evopress_search)
endforeach()
