// quant/safetensors_writer.h
// Writer of safetensors models, sharded above a size.

#ifndef EVOPRESS_QUANT_SAFETENSORS_WRITER_H_
#define EVOPRESS_QUANT_SAFETENSORS_WRITER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace evopress::quant {

// A tensor to write. `bytes` is called once, when the tensor's turn comes, so
// that only one tensor is in memory at a time.
struct SafetensorsSource {
  std::string name;
  std::string dtype;           // as SafetensorsElementBytes() knows it
  std::vector<int64_t> shape;  // row-major
  std::function<absl::StatusOr<std::string>()> bytes;  // little-endian
};

// `values` as F32, F16 or BF16, rounded to nearest even. InvalidArgument,
// naming `name` and index, for values not finite there (F16 ends at 65504).
absl::StatusOr<std::string> EncodeFloats(const std::string& name,
                                         const std::string& dtype,
                                         absl::Span<const float> values);

struct SafetensorsOptions {
  // A shard holds at most this much data, or one single larger tensor.
  int64_t max_shard_bytes = int64_t{5} << 30;
  // Of every file; Hugging Face wants {"format": "pt"}.
  std::map<std::string, std::string> metadata = {{"format", "pt"}};
};

// Writes <directory>/model.safetensors, or model-0000i-of-0000n.safetensors
// and then model.safetensors.index.json. Each file appears whole or not at
// all. The data section of a file starts at a multiple of 64 bytes, and each
// tensor at a multiple of its element size. Returns the names of the files.
// InvalidArgument for duplicate names, unknown types or byte counts that do
// not fit the shape; ResourceExhausted, naming the path, if the disk is full.
absl::StatusOr<std::vector<std::string>> WriteSafetensors(
    const std::string& directory, std::vector<SafetensorsSource> tensors,
    const SafetensorsOptions& options);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_SAFETENSORS_WRITER_H_
