#include "quant/gguf_parser.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace evopress::quant {
namespace {

constexpr uint64_t kMaxKeyBytes = 65535;  // the specification's limit
constexpr uint64_t kMaxTensorNameBytes = 1024;
constexpr uint64_t kMaxArrayElements = uint64_t{1} << 26;
constexpr uint64_t kMaxAlignment = uint64_t{1} << 20;
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint32_t kMaxDims = 4;
// The shortest metadata entry (empty key, one byte) and tensor description.
constexpr uint64_t kMinEntryBytes = 8 + 4 + 1;
constexpr uint64_t kMinTensorBytes = 8 + 4 + 8 + 4 + 8;

// A short printable form of text from the file.
std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::CHexEscape(text.substr(0, 100)), "'");
}

class Parser {
 public:
  Parser(const std::string& path, absl::Span<const uint8_t> bytes)
      : path_(path), bytes_(bytes) {}

  absl::StatusOr<GgufContents> Parse();

 private:
  uint64_t remaining() const { return bytes_.size() - offset_; }

  absl::Status ErrorAt(uint64_t offset, const std::string& what) const {
    return absl::DataLossError(
        absl::StrCat(path_, ": at offset ", offset, ": ", what));
  }

  template <typename T>
  absl::Status Read(const char* what, T* value) {
    if (remaining() < sizeof(T)) {
      return ErrorAt(offset_, absl::StrCat("file ends inside ", what));
    }
    std::memcpy(value, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return absl::OkStatus();
  }

  absl::Status ReadString(const char* what, uint64_t limit, std::string* text);
  absl::Status ReadValue(GgufValue* value);
  absl::Status ReadArray(GgufValue* value);
  template <typename T, typename Wide>
  absl::Status ReadScalar(bool is_bool, GgufValue* value);
  template <typename T, typename Wide>
  absl::Status ReadScalars(bool is_bool, uint64_t count, GgufValue* value);
  absl::Status ReadHeader(uint64_t* tensors, uint64_t* entries);
  absl::Status ReadMetadata(uint64_t count);
  absl::Status ReadTensor(GgufTensor* tensor, uint64_t* data_offset);
  absl::Status ReadTensors(uint64_t count);
  absl::StatusOr<uint64_t> Alignment() const;

  const std::string& path_;
  absl::Span<const uint8_t> bytes_;
  uint64_t offset_ = 0;
  GgufContents contents_;
};

absl::Status Parser::ReadString(const char* what, uint64_t limit,
                                std::string* text) {
  const uint64_t start = offset_;
  uint64_t length = 0;
  if (absl::Status s = Read(what, &length); !s.ok()) return s;
  if (length > remaining() || length > limit) {
    return ErrorAt(start, absl::StrCat("length ", length, " of ", what,
                                       " exceeds the limit of ",
                                       std::min(limit, remaining())));
  }
  text->assign(reinterpret_cast<const char*>(bytes_.data() + offset_), length);
  offset_ += length;
  return absl::OkStatus();
}

template <typename T, typename Wide>
absl::Status Parser::ReadScalar(bool is_bool, GgufValue* value) {
  T element{};
  if (absl::Status s = Read("a metadata value", &element); !s.ok()) return s;
  if (is_bool && element != T{0} && element != T{1}) {
    return ErrorAt(offset_ - sizeof(T), "a boolean is neither 0 nor 1");
  }
  value->payload = static_cast<Wide>(element);
  return absl::OkStatus();
}

template <typename T, typename Wide>
absl::Status Parser::ReadScalars(bool is_bool, uint64_t count,
                                 GgufValue* value) {
  if (count > remaining() / sizeof(T)) {
    return ErrorAt(offset_, absl::StrCat("an array of ", count,
                                         " elements exceeds the file"));
  }
  std::vector<Wide> elements(count);
  for (Wide& element : elements) {
    T narrow;
    std::memcpy(&narrow, bytes_.data() + offset_, sizeof(T));
    if (is_bool && narrow != T{0} && narrow != T{1}) {
      return ErrorAt(offset_, "a boolean is neither 0 nor 1");
    }
    element = static_cast<Wide>(narrow);
    offset_ += sizeof(T);
  }
  value->payload = std::move(elements);
  return absl::OkStatus();
}

absl::Status Parser::ReadArray(GgufValue* value) {
  const uint64_t start = offset_;
  uint32_t type = 0;
  uint64_t count = 0;
  if (absl::Status s = Read("an array's type", &type); !s.ok()) return s;
  if (absl::Status s = Read("an array's length", &count); !s.ok()) return s;
  if (count > kMaxArrayElements || count > remaining()) {
    return ErrorAt(
        start + 4,
        absl::StrCat("array length ", count, " exceeds the limit of ",
                     std::min(kMaxArrayElements, remaining())));
  }
  value->is_array = true;
  value->type = static_cast<GgufValueType>(type);
  switch (value->type) {
    case GgufValueType::kUint8:
      return ReadScalars<uint8_t, uint64_t>(false, count, value);
    case GgufValueType::kInt8:
      return ReadScalars<int8_t, int64_t>(false, count, value);
    case GgufValueType::kUint16:
      return ReadScalars<uint16_t, uint64_t>(false, count, value);
    case GgufValueType::kInt16:
      return ReadScalars<int16_t, int64_t>(false, count, value);
    case GgufValueType::kUint32:
      return ReadScalars<uint32_t, uint64_t>(false, count, value);
    case GgufValueType::kInt32:
      return ReadScalars<int32_t, int64_t>(false, count, value);
    case GgufValueType::kFloat32:
      return ReadScalars<float, double>(false, count, value);
    case GgufValueType::kBool:
      return ReadScalars<uint8_t, uint64_t>(true, count, value);
    case GgufValueType::kUint64:
      return ReadScalars<uint64_t, uint64_t>(false, count, value);
    case GgufValueType::kInt64:
      return ReadScalars<int64_t, int64_t>(false, count, value);
    case GgufValueType::kFloat64:
      return ReadScalars<double, double>(false, count, value);
    case GgufValueType::kString: {
      if (count > remaining() / 8) {
        return ErrorAt(offset_, absl::StrCat("an array of ", count,
                                             " strings exceeds the file"));
      }
      std::vector<std::string> strings(count);
      for (std::string& text : strings) {
        if (absl::Status s =
                ReadString("a string of an array", bytes_.size(), &text);
            !s.ok()) {
          return s;
        }
      }
      value->payload = std::move(strings);
      return absl::OkStatus();
    }
    case GgufValueType::kArray:
      return absl::UnimplementedError(
          absl::StrCat(path_, ": at offset ", start,
                       ": arrays of arrays are not supported"));
  }
  return ErrorAt(start, absl::StrCat("unknown array type ", type));
}

absl::Status Parser::ReadValue(GgufValue* value) {
  const uint64_t start = offset_;
  uint32_t type = 0;
  if (absl::Status s = Read("a metadata type", &type); !s.ok()) return s;
  value->type = static_cast<GgufValueType>(type);
  switch (value->type) {
    case GgufValueType::kUint8:
      return ReadScalar<uint8_t, uint64_t>(false, value);
    case GgufValueType::kInt8:
      return ReadScalar<int8_t, int64_t>(false, value);
    case GgufValueType::kUint16:
      return ReadScalar<uint16_t, uint64_t>(false, value);
    case GgufValueType::kInt16:
      return ReadScalar<int16_t, int64_t>(false, value);
    case GgufValueType::kUint32:
      return ReadScalar<uint32_t, uint64_t>(false, value);
    case GgufValueType::kInt32:
      return ReadScalar<int32_t, int64_t>(false, value);
    case GgufValueType::kFloat32:
      return ReadScalar<float, double>(false, value);
    case GgufValueType::kBool:
      return ReadScalar<uint8_t, uint64_t>(true, value);
    case GgufValueType::kUint64:
      return ReadScalar<uint64_t, uint64_t>(false, value);
    case GgufValueType::kInt64:
      return ReadScalar<int64_t, int64_t>(false, value);
    case GgufValueType::kFloat64:
      return ReadScalar<double, double>(false, value);
    case GgufValueType::kString: {
      std::string text;
      if (absl::Status s = ReadString("a string value", bytes_.size(), &text);
          !s.ok()) {
        return s;
      }
      value->payload = std::move(text);
      return absl::OkStatus();
    }
    case GgufValueType::kArray:
      return ReadArray(value);
  }
  return ErrorAt(start, absl::StrCat("unknown metadata type ", type));
}

absl::Status Parser::ReadHeader(uint64_t* tensors, uint64_t* entries) {
  uint32_t magic = 0;
  if (absl::Status s = Read("the magic number", &magic); !s.ok()) return s;
  if (magic != 0x46554747u) return ErrorAt(0, "not a GGUF file (no 'GGUF')");
  uint32_t& version = contents_.version;
  if (absl::Status s = Read("the version", &version); !s.ok()) return s;
  if ((version & 0xffffu) == 0 && version != 0) {
    return absl::UnimplementedError(
        absl::StrCat(path_, ": big-endian GGUF files are not supported"));
  }
  if (version != 2 && version != 3) {
    return absl::UnimplementedError(absl::StrCat(
        path_, ": GGUF version ", version, " is not supported (2 and 3 are)"));
  }
  if (absl::Status s = Read("the tensor count", tensors); !s.ok()) return s;
  if (absl::Status s = Read("the metadata count", entries); !s.ok()) return s;
  if (*tensors > remaining() / kMinTensorBytes) {
    return ErrorAt(8, absl::StrCat(*tensors, " tensors exceed the file"));
  }
  if (*entries > remaining() / kMinEntryBytes) {
    return ErrorAt(16, absl::StrCat(*entries, " entries exceed the file"));
  }
  return absl::OkStatus();
}

absl::Status Parser::ReadMetadata(uint64_t count) {
  absl::flat_hash_set<std::string> keys;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t start = offset_;
    std::string key;
    GgufValue value;
    if (absl::Status s = ReadString("a metadata key", kMaxKeyBytes, &key);
        !s.ok()) {
      return s;
    }
    if (!keys.insert(key).second) {
      return ErrorAt(start, absl::StrCat("duplicate key ", Quoted(key)));
    }
    if (absl::Status s = ReadValue(&value); !s.ok()) return s;
    contents_.metadata.Append(std::move(key), std::move(value));
  }
  return absl::OkStatus();
}

absl::Status Parser::ReadTensor(GgufTensor* tensor, uint64_t* data_offset) {
  if (absl::Status s =
          ReadString("a tensor name", kMaxTensorNameBytes, &tensor->name);
      !s.ok()) {
    return s;
  }
  const std::string name = Quoted(tensor->name);
  const uint64_t start = offset_;
  uint32_t rank = 0;
  if (absl::Status s = Read("a tensor's rank", &rank); !s.ok()) return s;
  if (rank < 1 || rank > kMaxDims) {
    return ErrorAt(start, absl::StrCat("tensor ", name, " has rank ", rank));
  }
  uint64_t elements = 1;
  for (uint32_t i = 0; i < rank; ++i) {
    uint64_t dim = 0;
    if (absl::Status s = Read("a tensor's shape", &dim); !s.ok()) return s;
    // 2^48 elements times the largest block cannot overflow 63 bits.
    if (dim == 0 || dim > (uint64_t{1} << 48) / elements) {
      return ErrorAt(offset_ - 8, absl::StrCat("dimension ", dim, " of tensor ",
                                               name, " is out of range"));
    }
    elements *= dim;
    tensor->dims.push_back(static_cast<int64_t>(dim));
  }
  uint32_t type = 0;
  if (absl::Status s = Read("a tensor's type", &type); !s.ok()) return s;
  tensor->traits = FindGgmlType(type);
  if (tensor->traits == nullptr) {
    return absl::UnimplementedError(
        absl::StrCat(path_, ": at offset ", offset_ - 4, ": tensor ", name,
                     " has the unknown type ", type));
  }
  const GgmlTypeTraits& traits = *tensor->traits;
  if (tensor->dims[0] % traits.block_elements != 0) {
    return ErrorAt(
        start, absl::StrCat("rows of ", tensor->dims[0], " values of tensor ",
                            name, " are not whole blocks of ", traits.name));
  }
  if (absl::Status s = Read("a tensor's offset", data_offset); !s.ok()) {
    return s;
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> Parser::Alignment() const {
  if (contents_.metadata.Find("general.alignment") == nullptr) {
    return kDefaultAlignment;
  }
  const int64_t alignment =
      contents_.metadata.GetInteger("general.alignment").value_or(0);
  const uint64_t value = static_cast<uint64_t>(alignment);
  if (alignment <= 0 || value > kMaxAlignment || (value & (value - 1)) != 0) {
    return absl::DataLossError(
        absl::StrCat(path_, ": general.alignment is not a power of two up to ",
                     kMaxAlignment));
  }
  return value;
}

absl::Status Parser::ReadTensors(uint64_t count) {
  const absl::StatusOr<uint64_t> alignment = Alignment();
  if (!alignment.ok()) return alignment.status();
  struct Place {
    uint64_t offset;        // in the data section
    uint64_t described_at;  // in the file
    size_t tensor;
  };
  std::vector<Place> places;
  absl::flat_hash_set<std::string> names;
  for (uint64_t i = 0; i < count; ++i) {
    GgufTensor tensor;
    Place place{0, offset_, contents_.tensors.size()};
    if (absl::Status s = ReadTensor(&tensor, &place.offset); !s.ok()) return s;
    if (!names.insert(tensor.name).second) {
      return ErrorAt(place.described_at,
                     absl::StrCat("duplicate tensor ", Quoted(tensor.name)));
    }
    places.push_back(place);
    contents_.tensors.push_back(std::move(tensor));
  }
  if (count == 0) return absl::OkStatus();

  const uint64_t data = (offset_ + *alignment - 1) / *alignment * *alignment;
  const uint64_t available = data <= bytes_.size() ? bytes_.size() - data : 0;
  std::sort(places.begin(), places.end(),
            [](const Place& a, const Place& b) { return a.offset < b.offset; });
  uint64_t end_of_last = 0;
  for (const Place& place : places) {
    GgufTensor& tensor = contents_.tensors[place.tensor];
    const uint64_t size = static_cast<uint64_t>(tensor.elements() /
                                                tensor.traits->block_elements *
                                                tensor.traits->block_bytes);
    if (place.offset % *alignment != 0) {
      return ErrorAt(
          place.described_at,
          absl::StrCat("data offset ", place.offset, " of tensor ",
                       Quoted(tensor.name), " is not aligned to ", *alignment));
    }
    if (place.offset > available || size > available - place.offset) {
      return ErrorAt(place.described_at,
                     absl::StrCat("tensor ", Quoted(tensor.name), " needs ",
                                  size, " bytes at data offset ", place.offset,
                                  ", but the file holds ", available,
                                  " bytes of data; is it truncated?"));
    }
    if (place.offset < end_of_last) {
      return ErrorAt(place.described_at,
                     absl::StrCat("tensor ", Quoted(tensor.name),
                                  " overlaps another one"));
    }
    end_of_last = place.offset + size;
    tensor.bytes = bytes_.subspan(data + place.offset, size);
  }
  return absl::OkStatus();
}

absl::StatusOr<GgufContents> Parser::Parse() {
  uint64_t tensors = 0;
  uint64_t entries = 0;
  if (absl::Status s = ReadHeader(&tensors, &entries); !s.ok()) return s;
  if (absl::Status s = ReadMetadata(entries); !s.ok()) return s;
  if (absl::Status s = ReadTensors(tensors); !s.ok()) return s;
  return std::move(contents_);
}

}  // namespace

absl::StatusOr<GgufContents> ParseGguf(const std::string& path,
                                       absl::Span<const uint8_t> bytes) {
  return Parser(path, bytes).Parse();
}

}  // namespace evopress::quant
