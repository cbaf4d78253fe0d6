// quant/model_hash.h
// The identity of a model: what its files contain.

#ifndef EVOPRESS_QUANT_MODEL_HASH_H_
#define EVOPRESS_QUANT_MODEL_HASH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace evopress::quant {

struct ModelFile {
  std::string name;    // without directories
  int64_t size = 0;    // bytes
  std::string sha256;  // 64 lower-case hex digits
};

// Reads the file once, in pieces. NotFound, PermissionDenied ... as the system
// says.
absl::StatusOr<ModelFile> HashFile(const std::string& path);

struct ModelManifest {
  std::vector<ModelFile> files;  // by name

  // "evopress model 1\n", then a line "<sha256> <size> <name>\n" a file.
  std::string CanonicalText() const;

  // SHA-256 of CanonicalText(), in hex: the model's name everywhere.
  std::string Hash() const;
};

// HashFile of each. InvalidArgument for two files of one name or a name with a
// newline.
absl::StatusOr<ModelManifest> MakeModelManifest(
    const std::vector<std::string>& paths);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_MODEL_HASH_H_
