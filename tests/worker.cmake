# Tests of worker/.
evopress_test(worker/session_test evopress_worker)
