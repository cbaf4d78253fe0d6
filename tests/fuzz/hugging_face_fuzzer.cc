// A Hugging Face folder: two bytes with the length of config.json, then
// config.json, then model.safetensors.
#include <algorithm>

#include "tests/fuzz/read_checkpoint.h"
#include "tests/fuzz/scratch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace evopress::fuzz;
  if (size < 2) return 0;
  const size_t config =
      std::min<size_t>(data[0] | (size_t{data[1]} << 8), size - 2);
  WriteScratch("config.json", data + 2, config);
  WriteScratch("model.safetensors", data + 2 + config, size - 2 - config);
  ReadCheckpoint(ScratchFolder::Path());
  return 0;
}
