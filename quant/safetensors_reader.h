// quant/safetensors_reader.h
// Reader of safetensors files, single or sharded
// (github.com/huggingface/safetensors). Files are taken for hostile: header
// length, JSON, types, shapes and offsets are checked before use.

#ifndef EVOPRESS_QUANT_SAFETENSORS_READER_H_
#define EVOPRESS_QUANT_SAFETENSORS_READER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "quant/mapped_file.h"

namespace evopress::quant {

struct SafetensorsTensor {
  std::string name;
  std::string dtype;                // "F32", "F16", "BF16", "I32", ...
  std::vector<int64_t> shape;       // row-major; empty for a scalar
  absl::Span<const uint8_t> bytes;  // inside the mapped file

  int64_t elements() const {
    int64_t n = 1;
    for (const int64_t d : shape) n *= d;
    return n;
  }
};

// Bytes of one element of a safetensors dtype, 0 if unknown.
int64_t SafetensorsElementBytes(const std::string& dtype);

// Dequantizes F32, F16 and BF16 exactly. Unimplemented for other types,
// InvalidArgument unless `out` has room for exactly the tensor.
absl::Status ReadSafetensorF32(const SafetensorsTensor& tensor,
                               absl::Span<float> out);

// The tensors of one file in memory, by name; they point into `bytes`. `path`
// is only named in errors. Same errors as SafetensorsReader::Open.
absl::StatusOr<std::vector<SafetensorsTensor>> ParseSafetensors(
    const std::string& path, absl::Span<const uint8_t> bytes);

// Immutable and thread-safe. Tensors live as long as the reader.
class SafetensorsReader {
 public:
  // Opens a ".safetensors" file, or the shards of a
  // "model.safetensors.index.json" (which must lie beside it). DataLoss,
  // naming the file, if one is malformed.
  static absl::StatusOr<std::unique_ptr<SafetensorsReader>> Open(
      const std::string& path);

  // By name.
  const std::map<std::string, SafetensorsTensor>& tensors() const {
    return tensors_;
  }
  // The data files, after the index if there is one.
  const std::vector<std::string>& files() const { return files_; }

 private:
  SafetensorsReader() = default;
  absl::Status AddFile(const std::string& path);
  absl::Status AddShards(const std::string& index_path);

  std::map<std::string, SafetensorsTensor> tensors_;
  std::vector<std::string> files_;
  std::vector<std::unique_ptr<MappedFile>> mapped_;
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_SAFETENSORS_READER_H_
