# Tests of quant/.
# Tensor files.
evopress_test(quant/half_test evopress_quant)
evopress_test(quant/dequantize_test evopress_quant)
evopress_test(quant/gguf_reader_test evopress_quant)
evopress_test(quant/checkpoint_test evopress_quant)
