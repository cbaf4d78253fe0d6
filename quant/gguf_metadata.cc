#include "quant/gguf_metadata.h"

#include <cmath>
#include <cstddef>
#include <limits>

namespace evopress::quant {

GgufValue GgufValue::Uint32(uint32_t value) {
  return {GgufValueType::kUint32, false, uint64_t{value}};
}
GgufValue GgufValue::Float32(float value) {
  return {GgufValueType::kFloat32, false, static_cast<double>(value)};
}
GgufValue GgufValue::Bool(bool value) {
  return {GgufValueType::kBool, false, uint64_t{value}};
}
GgufValue GgufValue::String(std::string value) {
  return {GgufValueType::kString, false, std::move(value)};
}

const GgufValue* GgufMetadata::Find(const std::string& key) const {
  for (const auto& [name, value] : entries_) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::optional<int64_t> GgufMetadata::GetInteger(const std::string& key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr || value->type == GgufValueType::kBool) return {};
  if (const auto* i = std::get_if<int64_t>(&value->payload)) return *i;
  if (const auto* u = std::get_if<uint64_t>(&value->payload)) {
    if (*u > uint64_t{std::numeric_limits<int64_t>::max()}) return {};
    return static_cast<int64_t>(*u);
  }
  return {};
}

std::optional<double> GgufMetadata::GetNumber(const std::string& key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return {};
  if (const auto* d = std::get_if<double>(&value->payload)) {
    return std::isfinite(*d) ? std::optional<double>(*d) : std::nullopt;
  }
  const std::optional<int64_t> integer = GetInteger(key);
  if (!integer) return {};
  return static_cast<double>(*integer);
}

std::optional<bool> GgufMetadata::GetBool(const std::string& key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr || value->type != GgufValueType::kBool) return {};
  const auto* u = std::get_if<uint64_t>(&value->payload);
  if (u == nullptr) return {};
  return *u != 0;
}

std::optional<std::string> GgufMetadata::GetString(
    const std::string& key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return {};
  const auto* text = std::get_if<std::string>(&value->payload);
  if (text == nullptr) return {};
  return *text;
}

const std::vector<std::string>* GgufMetadata::GetStrings(
    const std::string& key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return nullptr;
  return std::get_if<std::vector<std::string>>(&value->payload);
}

std::vector<int64_t> GgufMetadata::GetIntegers(const std::string& key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return {};
  if (const auto* i = std::get_if<std::vector<int64_t>>(&value->payload)) {
    return *i;
  }
  if (const auto* u = std::get_if<std::vector<uint64_t>>(&value->payload)) {
    std::vector<int64_t> result;
    result.reserve(u->size());
    for (const uint64_t element : *u) {
      if (element > uint64_t{std::numeric_limits<int64_t>::max()}) return {};
      result.push_back(static_cast<int64_t>(element));
    }
    return result;
  }
  return {};
}

std::vector<double> GgufMetadata::GetNumbers(const std::string& key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return {};
  if (const auto* d = std::get_if<std::vector<double>>(&value->payload)) {
    return *d;
  }
  const std::vector<int64_t> integers = GetIntegers(key);
  return std::vector<double>(integers.begin(), integers.end());
}

void GgufMetadata::Set(const std::string& key, GgufValue value) {
  for (auto& [name, old] : entries_) {
    if (name == key) {
      old = std::move(value);
      return;
    }
  }
  entries_.emplace_back(key, std::move(value));
}

void GgufMetadata::Remove(const std::string& key) {
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].first == key) {
      entries_.erase(entries_.begin() + static_cast<ptrdiff_t>(i));
      return;
    }
  }
}

}  // namespace evopress::quant
