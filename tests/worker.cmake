# Tests of worker/.
