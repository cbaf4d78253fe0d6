#include "quant/safetensors_reader.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "quant/dequantize_blocks.h"

namespace evopress::quant {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr size_t kMaxRank = 8;
constexpr uint64_t kMaxElements = uint64_t{1} << 48;
constexpr size_t kMaxShards = 10000;

std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::CHexEscape(text.substr(0, 200)), "'");
}

absl::Status Malformed(const std::string& path, const std::string& what) {
  return absl::DataLossError(absl::StrCat(path, ": ", what));
}

// A file name without a way out of its directory.
bool IsPlainFileName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

absl::Status ParseTensor(const std::string& path, const json& entry,
                         absl::Span<const uint8_t> data,
                         SafetensorsTensor* tensor) {
  const std::string name = Quoted(tensor->name);
  if (!entry.is_object() || !entry.contains("dtype") ||
      !entry["dtype"].is_string() || !entry.contains("shape") ||
      !entry["shape"].is_array() || !entry.contains("data_offsets") ||
      !entry["data_offsets"].is_array() || entry["data_offsets"].size() != 2) {
    return Malformed(path, absl::StrCat("tensor ", name,
                                        " has no dtype, shape and offsets"));
  }
  tensor->dtype = entry["dtype"].get<std::string>();
  const int64_t element_bytes = SafetensorsElementBytes(tensor->dtype);
  if (element_bytes == 0) {
    return absl::UnimplementedError(absl::StrCat(path, ": tensor ", name,
                                                 " has the unknown dtype ",
                                                 Quoted(tensor->dtype)));
  }
  if (entry["shape"].size() > kMaxRank) {
    return Malformed(path, absl::StrCat("tensor ", name, " has rank ",
                                        entry["shape"].size()));
  }
  uint64_t elements = 1;
  for (const json& dim : entry["shape"]) {
    const uint64_t limit = kMaxElements / std::max<uint64_t>(elements, 1);
    if (!dim.is_number_unsigned() || dim.get<uint64_t>() > limit) {
      return Malformed(path,
                       absl::StrCat("tensor ", name, " has a senseless shape"));
    }
    elements *= dim.get<uint64_t>();
    tensor->shape.push_back(dim.get<int64_t>());
  }
  const json& begin = entry["data_offsets"][0];
  const json& end = entry["data_offsets"][1];
  if (!begin.is_number_unsigned() || !end.is_number_unsigned() ||
      begin.get<uint64_t>() > end.get<uint64_t>() ||
      end.get<uint64_t>() > data.size()) {
    return Malformed(
        path,
        absl::StrCat("tensor ", name, " has offsets outside the ", data.size(),
                     " bytes of data; is the file truncated?"));
  }
  const uint64_t size = end.get<uint64_t>() - begin.get<uint64_t>();
  if (size != elements * static_cast<uint64_t>(element_bytes)) {
    return Malformed(path,
                     absl::StrCat("tensor ", name, " has ", size, " bytes for ",
                                  elements, " values of ", tensor->dtype));
  }
  tensor->bytes = data.subspan(begin.get<uint64_t>(), size);
  return absl::OkStatus();
}

absl::Status CheckOverlaps(const std::string& path,
                           const std::vector<SafetensorsTensor>& tensors) {
  std::vector<const SafetensorsTensor*> order;
  for (const SafetensorsTensor& tensor : tensors) {
    if (!tensor.bytes.empty()) order.push_back(&tensor);
  }
  std::sort(order.begin(), order.end(),
            [](const SafetensorsTensor* a, const SafetensorsTensor* b) {
              return a->bytes.data() < b->bytes.data();
            });
  for (size_t i = 1; i < order.size(); ++i) {
    if (order[i - 1]->bytes.data() + order[i - 1]->bytes.size() >
        order[i]->bytes.data()) {
      return Malformed(
          path, absl::StrCat("tensors ", Quoted(order[i - 1]->name), " and ",
                             Quoted(order[i]->name), " overlap"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<SafetensorsTensor>> ParseSafetensors(
    const std::string& path, absl::Span<const uint8_t> bytes) {
  if (bytes.size() < sizeof(uint64_t)) {
    return Malformed(path, "too short for a safetensors file");
  }
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));
  bytes.remove_prefix(sizeof(header_bytes));
  if (header_bytes > bytes.size() || header_bytes > kMaxHeaderBytes) {
    return Malformed(
        path, absl::StrCat("header of ", header_bytes, " bytes exceeds the ",
                           bytes.size(), " bytes that follow, or the limit"));
  }
  const char* text = reinterpret_cast<const char*>(bytes.data());
  const json header = json::parse(text, text + header_bytes, nullptr, false);
  if (!header.is_object()) {
    return Malformed(path, "the header is not a JSON object");
  }
  const absl::Span<const uint8_t> data = bytes.subspan(header_bytes);
  std::vector<SafetensorsTensor> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    SafetensorsTensor tensor;
    tensor.name = name;
    if (absl::Status s = ParseTensor(path, entry, data, &tensor); !s.ok()) {
      return s;
    }
    tensors.push_back(std::move(tensor));
  }
  if (absl::Status s = CheckOverlaps(path, tensors); !s.ok()) return s;
  return tensors;
}

int64_t SafetensorsElementBytes(const std::string& dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") {
    return 2;
  }
  if (dtype == "I8" || dtype == "U8" || dtype == "BOOL" || dtype == "F8_E4M3" ||
      dtype == "F8_E5M2" || dtype == "F8_E8M0") {
    return 1;
  }
  return 0;
}

absl::Status ReadSafetensorF32(const SafetensorsTensor& tensor,
                               absl::Span<float> out) {
  const int64_t count = tensor.elements();
  if (static_cast<int64_t>(out.size()) != count) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", Quoted(tensor.name), " has ", count,
                     " values, room is for ", out.size()));
  }
  if (count == 0) return absl::OkStatus();
  if (tensor.dtype == "F32") {
    DequantizeF32(tensor.bytes.data(), count, out.data());
  } else if (tensor.dtype == "F16") {
    DequantizeF16(tensor.bytes.data(), count, out.data());
  } else if (tensor.dtype == "BF16") {
    DequantizeBF16(tensor.bytes.data(), count, out.data());
  } else {
    return absl::UnimplementedError(
        absl::StrCat("tensor ", Quoted(tensor.name), " has the dtype ",
                     tensor.dtype, "; F32, F16 and BF16 can be read"));
  }
  return absl::OkStatus();
}

absl::Status SafetensorsReader::AddFile(const std::string& path) {
  absl::StatusOr<std::unique_ptr<MappedFile>> mapped = MappedFile::Open(path);
  if (!mapped.ok()) return mapped.status();
  absl::StatusOr<std::vector<SafetensorsTensor>> tensors =
      ParseSafetensors(path, (*mapped)->bytes());
  if (!tensors.ok()) return tensors.status();
  for (SafetensorsTensor& tensor : *tensors) {
    const std::string name = tensor.name;
    if (!tensors_.emplace(name, std::move(tensor)).second) {
      return Malformed(path, absl::StrCat("tensor ", Quoted(name),
                                          " is in an earlier shard too"));
    }
  }
  files_.push_back(path);
  mapped_.push_back(*std::move(mapped));
  return absl::OkStatus();
}

absl::Status SafetensorsReader::AddShards(const std::string& index_path) {
  absl::StatusOr<std::unique_ptr<MappedFile>> mapped =
      MappedFile::Open(index_path);
  if (!mapped.ok()) return mapped.status();
  const absl::Span<const uint8_t> bytes = (*mapped)->bytes();
  const json index =
      bytes.size() > kMaxHeaderBytes
          ? json()
          : json::parse(bytes.begin(), bytes.end(), nullptr, false);
  if (!index.is_object() || !index.contains("weight_map") ||
      !index["weight_map"].is_object()) {
    return Malformed(index_path, "not a JSON object with a weight_map");
  }
  files_.push_back(index_path);
  std::set<std::string> shards;
  for (const auto& [name, shard] : index["weight_map"].items()) {
    if (!shard.is_string() || !IsPlainFileName(shard.get<std::string>())) {
      return Malformed(index_path, absl::StrCat("tensor ", Quoted(name),
                                                " has no plain file name"));
    }
    shards.insert(shard.get<std::string>());
  }
  if (shards.size() > kMaxShards) {
    return Malformed(index_path, absl::StrCat(shards.size(), " shards"));
  }
  const size_t slash = index_path.rfind('/');
  const std::string directory =
      slash == std::string::npos ? "" : index_path.substr(0, slash + 1);
  for (const std::string& shard : shards) {
    if (absl::Status s = AddFile(directory + shard); !s.ok()) return s;
  }
  for (const auto& [name, shard] : index["weight_map"].items()) {
    if (tensors_.find(name) == tensors_.end()) {
      return Malformed(index_path, absl::StrCat("tensor ", Quoted(name),
                                                " is in none of the shards"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<SafetensorsReader>> SafetensorsReader::Open(
    const std::string& path) {
  std::unique_ptr<SafetensorsReader> reader(new SafetensorsReader);
  const absl::Status status = absl::EndsWith(path, ".index.json")
                                  ? reader->AddShards(path)
                                  : reader->AddFile(path);
  if (!status.ok()) return status;
  return reader;
}

}  // namespace evopress::quant
