#include "quant/gguf_reader.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "quant/gguf_parser.h"

namespace evopress::quant {
namespace {

constexpr int64_t kMaxSplitFiles = 10000;

}  // namespace

absl::Status GgufReader::AddFile(const std::string& path) {
  absl::StatusOr<std::unique_ptr<MappedFile>> mapped = MappedFile::Open(path);
  if (!mapped.ok()) return mapped.status();
  absl::StatusOr<GgufContents> contents = ParseGguf(path, (*mapped)->bytes());
  if (!contents.ok()) return contents.status();
  const int file = static_cast<int>(files_.size());
  if (file == 0) {
    version_ = contents->version;
    metadata_ = std::move(contents->metadata);
  } else if (contents->metadata.GetInteger("split.no") != file) {
    return absl::DataLossError(
        absl::StrCat(path, ": split.no is not ", file, " as its name says"));
  }
  for (GgufTensor& tensor : contents->tensors) {
    tensor.file = file;
    if (!index_.emplace(tensor.name, tensors_.size()).second) {
      return absl::DataLossError(absl::StrCat(path, ": tensor ", tensor.name,
                                              " is in an earlier file too"));
    }
    tensors_.push_back(std::move(tensor));
  }
  files_.push_back(path);
  mapped_.push_back(*std::move(mapped));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<GgufReader>> GgufReader::Open(
    const std::string& path) {
  std::unique_ptr<GgufReader> reader(new GgufReader);
  if (absl::Status s = reader->AddFile(path); !s.ok()) return s;
  const int64_t count = reader->metadata_.GetInteger("split.count").value_or(1);
  if (count <= 1) return reader;

  if (count > kMaxSplitFiles) {
    return absl::DataLossError(absl::StrCat(path, ": split.count ", count,
                                            " exceeds ", kMaxSplitFiles));
  }
  const int64_t number = reader->metadata_.GetInteger("split.no").value_or(0);
  const std::string first = absl::StrFormat("-%05d-of-%05d.gguf", 1, count);
  if (number != 0 || !absl::EndsWith(path, first)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is one of ", count,
                     " files of a split model; open the one "
                     "whose name ends in ",
                     first));
  }
  const std::string prefix = path.substr(0, path.size() - first.size());
  for (int64_t i = 2; i <= count; ++i) {
    const std::string next =
        absl::StrCat(prefix, absl::StrFormat("-%05d-of-%05d.gguf", i, count));
    if (absl::Status s = reader->AddFile(next); !s.ok()) return s;
  }
  const std::optional<int64_t> total =
      reader->metadata_.GetInteger("split.tensors.count");
  if (total && *total != static_cast<int64_t>(reader->tensors_.size())) {
    return absl::DataLossError(absl::StrCat(path, ": split.tensors.count says ",
                                            *total, " tensors, the files hold ",
                                            reader->tensors_.size()));
  }
  return reader;
}

const GgufTensor* GgufReader::Find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

}  // namespace evopress::quant
