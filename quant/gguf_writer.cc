#include "quant/gguf_writer.h"

#include <cstring>
#include <memory>
#include <type_traits>
#include <variant>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "quant/atomic_file.h"

namespace evopress::quant {
namespace {

constexpr uint32_t kVersion = 3;
constexpr size_t kMaxNameBytes = 63;
constexpr size_t kMaxKeyBytes = 65535;

template <typename T>
void Put(T value, std::string* out) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out->append(bytes, sizeof(T));
}

void PutString(const std::string& text, std::string* out) {
  Put<uint64_t>(text.size(), out);
  out->append(text);
}

// One number in the file's type; false for types that are not numbers.
template <typename Wide>
bool PutNumber(GgufValueType type, Wide value, std::string* out) {
  switch (type) {
    case GgufValueType::kUint8:
    case GgufValueType::kBool:
      Put(static_cast<uint8_t>(value), out);
      return true;
    case GgufValueType::kInt8:
      Put(static_cast<int8_t>(value), out);
      return true;
    case GgufValueType::kUint16:
      Put(static_cast<uint16_t>(value), out);
      return true;
    case GgufValueType::kInt16:
      Put(static_cast<int16_t>(value), out);
      return true;
    case GgufValueType::kUint32:
      Put(static_cast<uint32_t>(value), out);
      return true;
    case GgufValueType::kInt32:
      Put(static_cast<int32_t>(value), out);
      return true;
    case GgufValueType::kUint64:
      Put(static_cast<uint64_t>(value), out);
      return true;
    case GgufValueType::kInt64:
      Put(static_cast<int64_t>(value), out);
      return true;
    case GgufValueType::kFloat32:
      Put(static_cast<float>(value), out);
      return true;
    case GgufValueType::kFloat64:
      Put(static_cast<double>(value), out);
      return true;
    case GgufValueType::kString:
    case GgufValueType::kArray:
      return false;
  }
  return false;
}

bool IsUnsigned(GgufValueType type) {
  return type == GgufValueType::kUint8 || type == GgufValueType::kUint16 ||
         type == GgufValueType::kUint32 || type == GgufValueType::kUint64 ||
         type == GgufValueType::kBool;
}

bool IsFloat(GgufValueType type) {
  return type == GgufValueType::kFloat32 || type == GgufValueType::kFloat64;
}

// Whether a payload of C++ type T is how values of `type` are held.
template <typename T>
bool Holds(GgufValueType type) {
  if (type == GgufValueType::kString || type == GgufValueType::kArray) {
    return false;
  }
  if (std::is_same_v<T, double>) return IsFloat(type);
  if (std::is_same_v<T, uint64_t>) return IsUnsigned(type);
  return !IsFloat(type) && !IsUnsigned(type);
}

// Appends the payload; false if it does not fit the declared type.
struct PayloadPutter {
  const GgufValue& value;
  std::string* out;

  bool operator()(const std::string& text) const {
    if (value.is_array || value.type != GgufValueType::kString) return false;
    PutString(text, out);
    return true;
  }
  bool operator()(const std::vector<std::string>& texts) const {
    if (!value.is_array || value.type != GgufValueType::kString) return false;
    Put<uint64_t>(texts.size(), out);
    for (const std::string& text : texts) PutString(text, out);
    return true;
  }
  template <typename T>
  bool operator()(const std::vector<T>& numbers) const {
    if (!value.is_array || !Holds<T>(value.type)) return false;
    Put<uint64_t>(numbers.size(), out);
    for (const T number : numbers) PutNumber(value.type, number, out);
    return true;
  }
  template <typename T>
  bool operator()(T number) const {
    if (value.is_array || !Holds<T>(value.type)) return false;
    return PutNumber(value.type, number, out);
  }
};

absl::Status PutEntry(const std::string& key, const GgufValue& value,
                      std::string* out) {
  if (key.empty() || key.size() > kMaxKeyBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a metadata key has ", key.size(), " bytes"));
  }
  PutString(key, out);
  if (value.is_array) Put(static_cast<uint32_t>(GgufValueType::kArray), out);
  Put(static_cast<uint32_t>(value.type), out);
  if (!std::visit(PayloadPutter{value, out}, value.payload)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the value of metadata key ", key, " is not of its declared type"));
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> BytesOf(const GgufSource& tensor) {
  const auto error = [&](const std::string& what) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", tensor.name, " ", what));
  };
  if (tensor.name.empty() || tensor.name.size() > kMaxNameBytes) {
    return error(absl::StrCat("has a name of ", tensor.name.size(),
                              " bytes; 1 to ", kMaxNameBytes, " are allowed"));
  }
  const GgmlTypeTraits* traits =
      FindGgmlType(static_cast<uint32_t>(tensor.type));
  if (traits == nullptr) return error("has an unknown type");
  if (tensor.dims.empty() || tensor.dims.size() > 4) {
    return error(absl::StrCat("has rank ", tensor.dims.size()));
  }
  uint64_t elements = 1;
  for (const int64_t dim : tensor.dims) {
    if (dim < 1 ||
        static_cast<uint64_t>(dim) > (uint64_t{1} << 48) / elements) {
      return error(absl::StrCat("has the dimension ", dim));
    }
    elements *= static_cast<uint64_t>(dim);
  }
  if (tensor.dims[0] % traits->block_elements != 0) {
    return error(absl::StrCat("has rows of ", tensor.dims[0],
                              " values, no multiple of the blocks of ",
                              traits->name));
  }
  return elements / static_cast<uint64_t>(traits->block_elements) *
         static_cast<uint64_t>(traits->block_bytes);
}

absl::StatusOr<uint64_t> AlignmentOf(const GgufMetadata& metadata) {
  if (metadata.Find("general.alignment") == nullptr) return uint64_t{32};
  const int64_t value = metadata.GetInteger("general.alignment").value_or(0);
  if (value < 8 || value > (1 << 20) || (value & (value - 1)) != 0) {
    return absl::InvalidArgumentError(
        "general.alignment is not a power of two from 8 to 2^20");
  }
  return static_cast<uint64_t>(value);
}

uint64_t PaddingOf(uint64_t size, uint64_t alignment) {
  return (alignment - size % alignment) % alignment;
}

// Everything before the data, padded; `sizes` receives the bytes of tensors.
absl::StatusOr<std::string> MakeHeader(const GgufMetadata& metadata,
                                       const std::vector<GgufSource>& tensors,
                                       uint64_t alignment,
                                       std::vector<uint64_t>* sizes) {
  std::string entries;
  uint64_t entry_count = 0;
  for (const auto& [key, value] : metadata.entries()) {
    if (absl::StartsWith(key, "split.")) continue;
    if (absl::Status s = PutEntry(key, value, &entries); !s.ok()) return s;
    ++entry_count;
  }
  std::string header = "GGUF";
  Put(kVersion, &header);
  Put<uint64_t>(tensors.size(), &header);
  Put(entry_count, &header);
  header.append(entries);

  absl::flat_hash_set<std::string> names;
  uint64_t offset = 0;
  for (const GgufSource& tensor : tensors) {
    const absl::StatusOr<uint64_t> bytes = BytesOf(tensor);
    if (!bytes.ok()) return bytes.status();
    if (!names.insert(tensor.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("two tensors are named ", tensor.name));
    }
    PutString(tensor.name, &header);
    Put(static_cast<uint32_t>(tensor.dims.size()), &header);
    for (const int64_t dim : tensor.dims) {
      Put(static_cast<uint64_t>(dim), &header);
    }
    Put(static_cast<uint32_t>(tensor.type), &header);
    Put(offset, &header);
    sizes->push_back(*bytes);
    offset += *bytes + PaddingOf(*bytes, alignment);
  }
  header.append(PaddingOf(header.size(), alignment), '\0');
  return header;
}

}  // namespace

absl::Status WriteGguf(const std::string& path, const GgufMetadata& metadata,
                       const std::vector<GgufSource>& tensors) {
  const absl::StatusOr<uint64_t> alignment = AlignmentOf(metadata);
  if (!alignment.ok()) return alignment.status();
  std::vector<uint64_t> sizes;
  const absl::StatusOr<std::string> header =
      MakeHeader(metadata, tensors, *alignment, &sizes);
  if (!header.ok()) return header.status();

  absl::StatusOr<std::unique_ptr<AtomicFile>> file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  if (absl::Status s = (*file)->Append(*header); !s.ok()) return s;
  for (size_t i = 0; i < tensors.size(); ++i) {
    absl::StatusOr<std::string> bytes = tensors[i].bytes();
    if (!bytes.ok()) return bytes.status();
    if (bytes->size() != sizes[i]) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", tensors[i].name, " has ", bytes->size(),
                       " bytes, its type and shape need ", sizes[i]));
    }
    bytes->append(PaddingOf(sizes[i], *alignment), '\0');
    if (absl::Status s = (*file)->Append(*bytes); !s.ok()) return s;
  }
  return (*file)->Commit();
}

}  // namespace evopress::quant
