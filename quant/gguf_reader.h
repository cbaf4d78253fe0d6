// quant/gguf_reader.h
// Reader of GGUF files, versions 2 and 3, little-endian
// (github.com/ggml-org/ggml, docs/gguf.md). Files are taken for hostile: every
// length, count, type, dimension and offset is checked before it is used.

#ifndef EVOPRESS_QUANT_GGUF_READER_H_
#define EVOPRESS_QUANT_GGUF_READER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "quant/gguf_metadata.h"
#include "quant/gguf_types.h"
#include "quant/mapped_file.h"

namespace evopress::quant {

// A tensor as GGUF describes it.
struct GgufTensor {
  std::string name;           // "blk.0.attn_q.weight"
  std::vector<int64_t> dims;  // 1 to 4, innermost first: [in, out]
  const GgmlTypeTraits* traits = nullptr;
  absl::Span<const uint8_t> bytes;  // inside the mapped file
  int file = 0;                     // index of the file of a split model

  int64_t elements() const {
    int64_t n = 1;
    for (const int64_t d : dims) n *= d;
    return n;
  }
};

// Immutable and thread-safe. Tensors point into the mapped files and live as
// long as the reader.
class GgufReader {
 public:
  // Opens one file, or all files of a split model through its first file
  // ("name-00001-of-00003.gguf"). DataLoss, naming the file and the offset, if
  // it is malformed; Unimplemented for other versions, big-endian files,
  // unknown tensor types and nested arrays; InvalidArgument if `path` is a
  // later file of a split model.
  static absl::StatusOr<std::unique_ptr<GgufReader>> Open(
      const std::string& path);

  uint32_t version() const { return version_; }
  const GgufMetadata& metadata() const { return metadata_; }  // of file 1
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* Find(const std::string& name) const;
  const std::vector<std::string>& files() const { return files_; }

 private:
  GgufReader() = default;
  absl::Status AddFile(const std::string& path);

  uint32_t version_ = 0;
  GgufMetadata metadata_;
  std::vector<GgufTensor> tensors_;
  absl::flat_hash_map<std::string, size_t> index_;
  std::vector<std::string> files_;
  std::vector<std::unique_ptr<MappedFile>> mapped_;
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_GGUF_READER_H_
