// quant/gguf_metadata.h
// The key-value metadata of a GGUF file, with the types of the file kept so
// that it can be written again unchanged.

#ifndef EVOPRESS_QUANT_GGUF_METADATA_H_
#define EVOPRESS_QUANT_GGUF_METADATA_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "quant/gguf_types.h"

namespace evopress::quant {

// One metadata value. Unsigned integers and booleans are held as uint64_t,
// signed ones as int64_t, floats as double (exact for float32).
struct GgufValue {
  using Payload = std::variant<uint64_t, int64_t, double, std::string,
                               std::vector<uint64_t>, std::vector<int64_t>,
                               std::vector<double>, std::vector<std::string>>;

  GgufValueType type = GgufValueType::kUint32;  // of an array: of its elements
  bool is_array = false;
  Payload payload;

  static GgufValue Uint32(uint32_t value);
  static GgufValue Float32(float value);
  static GgufValue Bool(bool value);
  static GgufValue String(std::string value);
};

// An ordered map with unique keys. Getters return nothing when the key is
// absent or of an unfitting kind; integers of any width fit where their value
// does.
class GgufMetadata {
 public:
  const std::vector<std::pair<std::string, GgufValue>>& entries() const {
    return entries_;
  }

  const GgufValue* Find(const std::string& key) const;
  std::optional<int64_t> GetInteger(const std::string& key) const;
  std::optional<double> GetNumber(const std::string& key) const;
  std::optional<bool> GetBool(const std::string& key) const;
  std::optional<std::string> GetString(const std::string& key) const;
  // Arrays; nullptr or empty when absent.
  const std::vector<std::string>* GetStrings(const std::string& key) const;
  std::vector<int64_t> GetIntegers(const std::string& key) const;
  std::vector<double> GetNumbers(const std::string& key) const;

  // REQUIRES: `key` is not there yet. Constant time, unlike Set.
  void Append(std::string key, GgufValue value) {
    entries_.emplace_back(std::move(key), std::move(value));
  }

  // Replaces the value of `key`, or appends it.
  void Set(const std::string& key, GgufValue value);
  void Remove(const std::string& key);

 private:
  std::vector<std::pair<std::string, GgufValue>> entries_;
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_GGUF_METADATA_H_
