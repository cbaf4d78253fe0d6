# Tests of search/.
foreach(noun assignment_text budget digest effect_model evopress group_shares grouping guided knapsack level_name
        mutation rng space strategy)
  evopress_test(search/${noun}_test evopress_search)
endforeach()
