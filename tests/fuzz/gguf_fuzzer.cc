// A GGUF file: reader, dequantizers, configuration and tokenizer.
#include "tests/fuzz/read_checkpoint.h"
#include "tests/fuzz/scratch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace evopress::fuzz;
  ReadCheckpoint(WriteScratch("model.gguf", data, size));
  return 0;
}
