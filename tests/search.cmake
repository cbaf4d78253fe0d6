# Tests of search/.
foreach(noun assignment_text budget digest drop_text effect_model evopress group_shares grouping guided knapsack level_name
        module_moves mutation rng space strategy)
  evopress_test(search/${noun}_test evopress_search)
endforeach()
