# Tests of search/.
foreach(noun assignment_text budget digest evopress group_shares grouping knapsack level_name
        mutation rng space strategy)
  evopress_test(search/${noun}_test evopress_search)
endforeach()
