// worker/wire.h
// Values as bytes for the evaluator protocol: little-endian integers, doubles
// as their bits, strings and lists with a leading 32-bit length.
#ifndef EVOPRESS_WORKER_WIRE_H_
#define EVOPRESS_WORKER_WIRE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace evopress::worker {

class WireWriter {
 public:
  void U32(uint32_t value);
  void U64(uint64_t value);
  void I64(int64_t value) { U64(static_cast<uint64_t>(value)); }
  void F64(double value);
  void Text(const std::string& value);
  void Texts(const std::vector<std::string>& values);
  void Ints(const std::vector<int32_t>& values);
  void Count(size_t count) { U32(static_cast<uint32_t>(count)); }

  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reads what a writer wrote. After the first value that does not fit, every
// read gives zero or empty and status() says where the bytes were wrong.
// `bytes` must outlive this.
class WireReader {
 public:
  explicit WireReader(absl::string_view bytes) : bytes_(bytes) {}

  uint32_t U32();
  uint64_t U64();
  int64_t I64() { return static_cast<int64_t>(U64()); }
  double F64();
  std::string Text();
  std::vector<std::string> Texts();
  std::vector<int32_t> Ints();
  // A list's length; 0 and an error if its items, `item_bytes` or more each,
  // cannot fit in what is left: so lengths never make us allocate much.
  size_t Count(size_t item_bytes);

  // DataLoss if a read failed or bytes are left over.
  absl::Status Finish();

 private:
  bool Need(size_t bytes);

  absl::string_view bytes_;
  size_t at_ = 0;
  bool failed_ = false;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_WIRE_H_
