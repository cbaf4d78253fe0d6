#include "quant/level_store_index.h"

#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "quant/atomic_file.h"
#include "quant/mapped_file.h"
#include "search/sha256.h"

namespace evopress::quant {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;
constexpr size_t kTrailerBytes = 65;  // hex digest and a line feed

std::string HexOf(const std::string& text) {
  return search::ToHex(search::Sha256Of(text.data(), text.size()));
}

// Everything of the key but the level.
Json LayerJson(const LevelKey& key) {
  return {{"version", kVersion},
          {"variant", key.variant},
          {"layer", key.layer},
          {"statistics", key.statistics},
          {"numeric_class", key.numeric_class}};
}

Json RecordJson(const LevelRecord& record) {
  return {{"blob", record.blob},
          {"bytes", record.blob_bytes},
          {"code_bits", record.costs.code_bits},
          {"stored_bits", record.costs.stored_bits},
          {"relative_error", record.relative_error}};
}

// Throws what nlohmann throws; the checksum makes that improbable.
LayerRecords RecordsOf(const Json& json) {
  LayerRecords records;
  if (json.at("version").get<int>() != kVersion) {
    throw std::runtime_error("unknown version");
  }
  for (const auto& [level, value] : json.at("levels").items()) {
    LevelRecord record;
    record.key.variant = json.at("variant").get<std::string>();
    record.key.layer = json.at("layer").get<std::string>();
    record.key.level = level;
    record.key.statistics = json.at("statistics").get<std::string>();
    record.key.numeric_class = json.at("numeric_class").get<std::string>();
    record.blob = value.at("blob").get<std::string>();
    record.blob_bytes = value.at("bytes").get<int64_t>();
    record.costs.code_bits = value.at("code_bits").get<int64_t>();
    record.costs.stored_bits = value.at("stored_bits").get<int64_t>();
    record.relative_error = value.at("relative_error").get<double>();
    records[level] = std::move(record);
  }
  return records;
}

}  // namespace

absl::StatusOr<std::string> LayerHash(const LevelKey& key) try {
  Json(key.level).dump();
  return HexOf(LayerJson(key).dump());
} catch (const std::exception&) {
  return absl::InvalidArgumentError("a part of the level key is not UTF-8");
}

absl::StatusOr<LayerRecords> ReadLayerRecords(const std::string& path) {
  const absl::StatusOr<std::unique_ptr<MappedFile>> file =
      MappedFile::Open(path);
  if (!file.ok()) return file.status();
  const absl::Span<const uint8_t> bytes = (*file)->bytes();
  const auto damaged = [&](const std::string& what) {
    return absl::DataLossError(
        absl::StrCat("level index ", path, " is damaged: ", what));
  };
  if (bytes.size() < kTrailerBytes) return damaged("too short");
  const std::string text(reinterpret_cast<const char*>(bytes.data()),
                         bytes.size());
  const std::string body = text.substr(0, text.size() - kTrailerBytes);
  if (text.substr(body.size()) != HexOf(body) + "\n") {
    return damaged("its checksum does not match");
  }
  try {
    return RecordsOf(Json::parse(body));
  } catch (const std::exception& e) {
    return damaged(e.what());
  }
}

absl::Status WriteLayerRecords(const LayerRecords& records,
                               const std::string& path) try {
  if (records.empty()) {
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) {
      return absl::OkStatus();
    }
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot delete ", path));
  }
  Json json = LayerJson(records.begin()->second.key);
  for (const auto& [level, record] : records) {
    json["levels"][level] = RecordJson(record);
  }
  const std::string body = json.dump(1) + "\n";
  const std::string trailer = HexOf(body) + "\n";
  return WriteFileAtomically(path, {body, trailer});
} catch (const std::exception& e) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", e.what()));
}

}  // namespace evopress::quant
