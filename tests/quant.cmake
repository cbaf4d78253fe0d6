# Tests of quant/.
# Tensor files.
evopress_test(quant/half_test evopress_quant)
evopress_test(quant/dequantize_test evopress_quant)
evopress_test(quant/gguf_reader_test evopress_quant)
evopress_test(quant/checkpoint_test evopress_quant)
evopress_test(quant/bit_packing_test evopress_quant)
evopress_test(quant/compressor_test evopress_quant)
evopress_test(quant/gptq_test evopress_quant TBB::tbb)
evopress_test(quant/gram_test evopress_quant)
evopress_test(quant/level_store_test evopress_quant)
evopress_test(quant/packed_weight_test evopress_quant)
evopress_test(quant/rtn_test evopress_quant)
