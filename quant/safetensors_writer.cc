#include "quant/safetensors_writer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"
#include "quant/atomic_file.h"
#include "quant/half.h"
#include "quant/safetensors_reader.h"

namespace evopress::quant {
namespace {

using nlohmann::json;

constexpr size_t kDataAlignment = 64;

int64_t BytesOf(const SafetensorsSource& tensor) {
  int64_t bytes = SafetensorsElementBytes(tensor.dtype);
  for (const int64_t dim : tensor.shape) bytes *= dim;
  return bytes;
}

absl::Status Check(const SafetensorsSource& tensor) {
  if (tensor.name.empty() || tensor.name == "__metadata__") {
    return absl::InvalidArgumentError(
        absl::StrCat("'", tensor.name, "' cannot name a tensor"));
  }
  if (SafetensorsElementBytes(tensor.dtype) == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tensor ", tensor.name, " has the unknown dtype ", tensor.dtype));
  }
  int64_t elements = 1;
  for (const int64_t dim : tensor.shape) {
    if (dim < 0 || (dim > 0 && elements > (int64_t{1} << 48) / dim)) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", tensor.name, " has a senseless shape"));
    }
    elements *= dim;
  }
  return absl::OkStatus();
}

// Text of a JSON value; names that are not UTF-8 are an error, not a throw.
absl::StatusOr<std::string> Dump(const json& value) {
  try {
    return value.dump();
  } catch (const json::exception& e) {
    return absl::InvalidArgumentError(absl::StrCat("not UTF-8: ", e.what()));
  }
}

absl::Status WriteShard(const std::string& path,
                        absl::Span<const SafetensorsSource> tensors,
                        const SafetensorsOptions& options) {
  json header = json::object();
  if (!options.metadata.empty()) header["__metadata__"] = options.metadata;
  int64_t offset = 0;
  for (const SafetensorsSource& tensor : tensors) {
    const int64_t end = offset + BytesOf(tensor);
    header[tensor.name] = {{"dtype", tensor.dtype},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, end}}};
    offset = end;
  }
  absl::StatusOr<std::string> text = Dump(header);
  if (!text.ok()) return text.status();
  while ((sizeof(uint64_t) + text->size()) % kDataAlignment != 0) {
    text->push_back(' ');
  }
  const uint64_t header_bytes = text->size();
  std::string prefix(sizeof(header_bytes), '\0');
  std::memcpy(prefix.data(), &header_bytes, sizeof(header_bytes));

  absl::StatusOr<std::unique_ptr<AtomicFile>> file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  if (absl::Status s = (*file)->Append(prefix); !s.ok()) return s;
  if (absl::Status s = (*file)->Append(*text); !s.ok()) return s;
  for (const SafetensorsSource& tensor : tensors) {
    const absl::StatusOr<std::string> bytes = tensor.bytes();
    if (!bytes.ok()) return bytes.status();
    if (static_cast<int64_t>(bytes->size()) != BytesOf(tensor)) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", tensor.name, " has ", bytes->size(),
                       " bytes, its shape needs ", BytesOf(tensor)));
    }
    if (absl::Status s = (*file)->Append(*bytes); !s.ok()) return s;
  }
  return (*file)->Commit();
}

}  // namespace

absl::StatusOr<std::string> EncodeFloats(const std::string& name,
                                         const std::string& dtype,
                                         absl::Span<const float> values) {
  const auto not_finite = [&](size_t i) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", name, " has the value ", values[i],
                     " at index ", i, ", which ", dtype, " cannot hold"));
  };
  std::string bytes;
  if (dtype == "F32") {
    for (size_t i = 0; i < values.size(); ++i) {
      if (!std::isfinite(values[i])) return not_finite(i);
    }
    bytes.resize(values.size() * sizeof(float));
    if (!values.empty()) {
      std::memcpy(bytes.data(), values.data(), bytes.size());
    }
    return bytes;
  }
  const bool half = dtype == "F16";
  if (!half && dtype != "BF16") {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", name, ": cannot write floats as ", dtype));
  }
  const uint16_t infinity = half ? 0x7c00 : 0x7f80;
  bytes.resize(values.size() * sizeof(uint16_t));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t code =
        half ? FloatToHalf(values[i]) : FloatToBfloat(values[i]);
    if ((code & infinity) == infinity) return not_finite(i);
    std::memcpy(bytes.data() + 2 * i, &code, sizeof(code));
  }
  return bytes;
}

absl::StatusOr<std::vector<std::string>> WriteSafetensors(
    const std::string& directory, std::vector<SafetensorsSource> tensors,
    const SafetensorsOptions& options) {
  for (const SafetensorsSource& tensor : tensors) {
    if (absl::Status s = Check(tensor); !s.ok()) return s;
  }
  std::sort(tensors.begin(), tensors.end(),
            [](const SafetensorsSource& a, const SafetensorsSource& b) {
              return a.name < b.name;
            });
  for (size_t i = 1; i < tensors.size(); ++i) {
    if (tensors[i - 1].name == tensors[i].name) {
      return absl::InvalidArgumentError(
          absl::StrCat("two tensors are named ", tensors[i].name));
    }
  }

  std::vector<std::vector<SafetensorsSource>> shards(1);
  int64_t filled = 0;
  int64_t total = 0;
  for (SafetensorsSource& tensor : tensors) {
    const int64_t bytes = BytesOf(tensor);
    if (!shards.back().empty() && filled + bytes > options.max_shard_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    filled += bytes;
    total += bytes;
    shards.back().push_back(std::move(tensor));
  }

  std::vector<std::string> files;
  json weight_map = json::object();
  for (size_t i = 0; i < shards.size(); ++i) {
    // The format allows no gaps: wide elements first keeps all aligned.
    std::stable_sort(
        shards[i].begin(), shards[i].end(),
        [](const SafetensorsSource& a, const SafetensorsSource& b) {
          return SafetensorsElementBytes(a.dtype) >
                 SafetensorsElementBytes(b.dtype);
        });
    files.push_back(shards.size() == 1
                        ? "model.safetensors"
                        : absl::StrFormat("model-%05d-of-%05d.safetensors",
                                          i + 1, shards.size()));
    for (const SafetensorsSource& tensor : shards[i]) {
      weight_map[tensor.name] = files.back();
    }
    if (absl::Status s = WriteShard(absl::StrCat(directory, "/", files.back()),
                                    shards[i], options);
        !s.ok()) {
      return s;
    }
  }
  if (shards.size() > 1) {
    const json index = {{"metadata", {{"total_size", total}}},
                        {"weight_map", std::move(weight_map)}};
    const absl::StatusOr<std::string> text = Dump(index);
    if (!text.ok()) return text.status();
    files.push_back("model.safetensors.index.json");
    if (absl::Status s = WriteFileAtomically(
            absl::StrCat(directory, "/", files.back()), {*text});
        !s.ok()) {
      return s;
    }
  }
  return files;
}

}  // namespace evopress::quant
