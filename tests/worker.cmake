# Tests of worker/.
evopress_test(worker/session_test evopress_worker)
evopress_test(worker/bpe_test evopress_text)
evopress_test(worker/calibration_test evopress_text)
evopress_test(worker/pretokenizer_test evopress_text)
evopress_test(worker/token_set_test evopress_text)
evopress_test(worker/tokenizer_test evopress_text)
