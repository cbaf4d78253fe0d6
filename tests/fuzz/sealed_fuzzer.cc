// Files of our own that end with the SHA-256 of what comes before: level blobs
// and token sets. The input is the part before, so that mutations get past it.
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "quant/packed_weight.h"
#include "search/sha256.h"
#include "worker/token_set.h"

namespace {

void ReadBlob(const std::string& bytes) {
  constexpr int64_t kMaxWeights = 1 << 20;
  auto weight = evopress::quant::ParseBlob(absl::MakeConstSpan(
      reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  if (!weight.ok()) return;
  if (evopress::quant::SerializeBlob(*weight) != bytes) std::abort();
  if (weight->cols > 0 && weight->rows > kMaxWeights / weight->cols) return;
  std::vector<float> values(static_cast<size_t>(weight->rows * weight->cols));
  if (!Unpack(*weight, absl::MakeSpan(values)).ok()) std::abort();
}

void ReadTokens(const std::string& bytes) {
  auto set = evopress::worker::TokenSet::Parse(bytes);
  if (!set.ok()) return;
  if (set->Serialize() != bytes) std::abort();
  for (int64_t i = 0; i < set->num_sequences(); ++i) (void)set->sequence(i);
  (void)set->Slice(0, 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto digest = evopress::search::Sha256Of(data, size);
  std::string bytes(reinterpret_cast<const char*>(data), size);
  bytes.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  ReadBlob(bytes);
  ReadTokens(bytes);
  return 0;
}
