# Tests of search/.
foreach(noun rng mutation evopress)
  evopress_test(search/${noun}_test evopress_search)
endforeach()
