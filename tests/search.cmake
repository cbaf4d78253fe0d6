# Tests of search/.
