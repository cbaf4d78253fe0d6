// quant/gguf_writer.h
// Writer of GGUF files, version 3, little-endian, in one file.

#ifndef EVOPRESS_QUANT_GGUF_WRITER_H_
#define EVOPRESS_QUANT_GGUF_WRITER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "quant/gguf_metadata.h"
#include "quant/gguf_types.h"

namespace evopress::quant {

// A tensor to write. `bytes` is called once, when the tensor's turn comes, so
// that only one tensor is in memory at a time.
struct GgufSource {
  std::string name;  // at most 63 bytes, the limit of llama.cpp
  GgmlType type = GgmlType::kF32;
  std::vector<int64_t> dims;  // 1 to 4, innermost first: [in, out]
  std::function<absl::StatusOr<std::string>()> bytes;
};

// Writes a file that appears whole or not at all. Keys "split.*" are left out,
// since the result is one file; data is aligned to general.alignment if
// `metadata` has it, else to 32. InvalidArgument, naming tensor or key, for
// what no reader would accept; ResourceExhausted, naming the path, if the disk
// is full.
absl::Status WriteGguf(const std::string& path, const GgufMetadata& metadata,
                       const std::vector<GgufSource>& tensors);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_GGUF_WRITER_H_
