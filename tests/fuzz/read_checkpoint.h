// Reads all there is of a model, as the service would.
#ifndef EVOPRESS_TESTS_FUZZ_READ_CHECKPOINT_H_
#define EVOPRESS_TESTS_FUZZ_READ_CHECKPOINT_H_

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "quant/checkpoint.h"
#include "worker/model_tensors.h"
#include "worker/tokenizer.h"

namespace evopress::fuzz {

inline void ReadCheckpoint(const std::string& path) {
  constexpr int64_t kMaxElements = 1 << 16;
  auto checkpoint = quant::Checkpoint::Open(path);
  if (!checkpoint.ok()) return;
  for (const quant::TensorInfo& tensor : (*checkpoint)->tensors()) {
    if (tensor.elements() > kMaxElements) continue;
    std::vector<float> values(static_cast<size_t>(tensor.elements()));
    (void)(*checkpoint)->ReadF32(tensor.name, absl::MakeSpan(values));
  }
  (void)worker::LoadTensors(path);
  auto tokenizer = worker::Tokenizer::Make((*checkpoint)->tokenizer());
  if (tokenizer.ok()) {
    (void)(*tokenizer)->Encode("It's 2026, naïve\n\n  x=1;", true);
  }
}

}  // namespace evopress::fuzz

#endif  // EVOPRESS_TESTS_FUZZ_READ_CHECKPOINT_H_
