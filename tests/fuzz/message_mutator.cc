#include "tests/fuzz/message_mutator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

// libFuzzer's own mutation of bytes.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace evopress::fuzz {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kMaxText = 256;
constexpr int kMaxRepeated = 64;
constexpr int kMaxDepth = 12;

class Mutator {
 public:
  explicit Mutator(unsigned int seed) : random_(seed) {}

  void Change(Message& root) {
    std::vector<Place> places;
    Collect(root, 0, places);
    const Place place = places[Draw(places.size())];
    if (place.field->is_repeated()) {
      ChangeRepeated(*place.message, place.field);
    } else {
      ChangeSingular(*place.message, place.field);
    }
  }

  size_t Draw(size_t bound) { return random_() % bound; }

 private:
  struct Place {
    Message* message;
    const FieldDescriptor* field;
  };

  static void Collect(Message& message, int depth, std::vector<Place>& places) {
    const Reflection& reflection = *message.GetReflection();
    for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
      const FieldDescriptor* const field = message.GetDescriptor()->field(i);
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
        places.push_back({&message, field});
        continue;
      }
      if (depth >= kMaxDepth) continue;
      places.push_back({&message, field});
      if (field->is_repeated()) {
        for (int k = 0; k < reflection.FieldSize(message, field); ++k) {
          Collect(*reflection.MutableRepeatedMessage(&message, field, k),
                  depth + 1, places);
        }
      } else if (reflection.HasField(message, field)) {
        Collect(*reflection.MutableMessage(&message, field), depth + 1, places);
      }
    }
  }

  template <typename Int>
  Int Number(Int old) {
    using Limits = std::numeric_limits<Int>;
    const Int known[] = {Int{0},        Int{1},
                         Int{2},        static_cast<Int>(-1),
                         Limits::max(), Limits::min(),
                         Int{1} << 30,  static_cast<Int>(random_() % 100),
                         Int(1u << 16)};
    const size_t pick = Draw(std::size(known) + 2);
    const auto bits = static_cast<uint64_t>(old);
    if (pick == std::size(known)) return static_cast<Int>(bits + 1);
    if (pick > std::size(known)) return static_cast<Int>(bits - 1);
    return known[pick];
  }

  double Real(double old) {
    using Limits = std::numeric_limits<double>;
    const double known[] = {0.0,
                            -0.0,
                            1.0,
                            -1.0,
                            0.5,
                            1e-300,
                            1e300,
                            Limits::infinity(),
                            -Limits::infinity(),
                            Limits::quiet_NaN(),
                            old * 1.5,
                            old + 1};
    return known[Draw(std::size(known))];
  }

  std::string Text(std::string old) {
    static const char* const known[] = {"",         "a",
                                        "/",        "../../etc/passwd",
                                        "a\0b",     "jobs/",
                                        "b3",       "gptq:b3:g64:asym",
                                        "keep",     "drop",
                                        "\xff\xfe", "code_bits",
                                        "nonzeros", "modules",
                                        "uniform",  "winner",
                                        "0",        "99999999999999999999"};
    const size_t pick = Draw(std::size(known) + 6);
    if (pick < std::size(known)) return known[pick];
    if (pick == std::size(known)) return std::string(64, 'a');
    const size_t size = std::min(old.size(), kMaxText);
    old.resize(kMaxText);
    old.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(old.data()), size,
                                kMaxText));
    return old;
  }

  // A number outside the enumeration is drawn, too.
  int Enum(const FieldDescriptor* field) {
    const int count = field->enum_type()->value_count();
    const size_t pick = Draw(static_cast<size_t>(count) + 1);
    return pick == static_cast<size_t>(count)
               ? 77
               : field->enum_type()->value(static_cast<int>(pick))->number();
  }

  void ChangeSingular(Message& message, const FieldDescriptor* field) {
    const Reflection& reflection = *message.GetReflection();
    if (Draw(6) == 0) return reflection.ClearField(&message, field);
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return reflection.SetInt32(&message, field,
                                   Number(reflection.GetInt32(message, field)));
      case FieldDescriptor::CPPTYPE_INT64:
        return reflection.SetInt64(&message, field,
                                   Number(reflection.GetInt64(message, field)));
      case FieldDescriptor::CPPTYPE_UINT32:
        return reflection.SetUInt32(
            &message, field, Number(reflection.GetUInt32(message, field)));
      case FieldDescriptor::CPPTYPE_UINT64:
        return reflection.SetUInt64(
            &message, field, Number(reflection.GetUInt64(message, field)));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return reflection.SetDouble(&message, field,
                                    Real(reflection.GetDouble(message, field)));
      case FieldDescriptor::CPPTYPE_FLOAT:
        return reflection.SetFloat(
            &message, field,
            static_cast<float>(Real(reflection.GetFloat(message, field))));
      case FieldDescriptor::CPPTYPE_BOOL:
        return reflection.SetBool(&message, field, Draw(2) == 0);
      case FieldDescriptor::CPPTYPE_ENUM:
        return reflection.SetEnumValue(&message, field, Enum(field));
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection.SetString(&message, field,
                                    Text(reflection.GetString(message, field)));
      case FieldDescriptor::CPPTYPE_MESSAGE:
        (void)reflection.MutableMessage(&message, field);
    }
  }

  void ChangeRepeated(Message& message, const FieldDescriptor* field) {
    const Reflection& reflection = *message.GetReflection();
    const int size = reflection.FieldSize(message, field);
    const int at = size > 0 ? static_cast<int>(Draw(size)) : 0;
    switch (Draw(4)) {
      case 0:
        if (size > 0) reflection.RemoveLast(&message, field);
        return;
      case 1:
        if (size > 1) reflection.SwapElements(&message, field, at, size - 1);
        return;
      case 2:
        if (size < kMaxRepeated) Add(message, field, at);
        return;
      default:
        if (size > 0) ChangeElement(message, field, at);
    }
  }

  // A copy of element `at`, if there is one.
  void Add(Message& message, const FieldDescriptor* field, int at) {
    const Reflection& reflection = *message.GetReflection();
    const bool copy = reflection.FieldSize(message, field) > 0 && Draw(3) > 0;
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return reflection.AddInt32(&message, field, Number(int32_t{0}));
      case FieldDescriptor::CPPTYPE_INT64:
        return reflection.AddInt64(&message, field, Number(int64_t{0}));
      case FieldDescriptor::CPPTYPE_UINT32:
        return reflection.AddUInt32(&message, field, Number(uint32_t{0}));
      case FieldDescriptor::CPPTYPE_UINT64:
        return reflection.AddUInt64(&message, field, Number(uint64_t{0}));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return reflection.AddDouble(&message, field, Real(0));
      case FieldDescriptor::CPPTYPE_FLOAT:
        return reflection.AddFloat(&message, field,
                                   static_cast<float>(Real(0)));
      case FieldDescriptor::CPPTYPE_BOOL:
        return reflection.AddBool(&message, field, Draw(2) == 0);
      case FieldDescriptor::CPPTYPE_ENUM:
        return reflection.AddEnumValue(&message, field, Enum(field));
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection.AddString(
            &message, field,
            copy ? reflection.GetRepeatedString(message, field, at) : Text(""));
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        Message* const added = reflection.AddMessage(&message, field);
        if (copy) {
          added->CopyFrom(reflection.GetRepeatedMessage(message, field, at));
        }
      }
    }
  }

  void ChangeElement(Message& message, const FieldDescriptor* field, int at) {
    const Reflection& reflection = *message.GetReflection();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return reflection.SetRepeatedInt32(
            &message, field, at,
            Number(reflection.GetRepeatedInt32(message, field, at)));
      case FieldDescriptor::CPPTYPE_INT64:
        return reflection.SetRepeatedInt64(
            &message, field, at,
            Number(reflection.GetRepeatedInt64(message, field, at)));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return reflection.SetRepeatedDouble(
            &message, field, at,
            Real(reflection.GetRepeatedDouble(message, field, at)));
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection.SetRepeatedString(
            &message, field, at,
            Text(reflection.GetRepeatedString(message, field, at)));
      default:
        Add(message, field, at);  // the others change by coming and going
    }
  }

  std::mt19937 random_;
};

}  // namespace

void Mutate(Message& message, unsigned int seed) {
  Mutator mutator(seed);
  for (size_t n = 1 + mutator.Draw(4); n > 0; --n) mutator.Change(message);
}

size_t MutateSerialized(Message& message, uint8_t* data, size_t size,
                        size_t max_size, unsigned int seed) {
  if (!message.ParseFromArray(data, static_cast<int>(size))) message.Clear();
  Mutate(message, seed);
  std::string bytes;
  if (!message.SerializePartialToString(&bytes) || bytes.size() > max_size) {
    return size;
  }
  std::copy(bytes.begin(), bytes.end(), data);
  return bytes.size();
}

}  // namespace evopress::fuzz
