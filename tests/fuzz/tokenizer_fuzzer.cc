// A tokenizer.json, and a text (after the last zero byte) that it encodes.
#include <algorithm>
#include <string>

#include "worker/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace evopress;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const size_t zero = std::min(bytes.rfind('\0'), bytes.size());
  auto tokenizer = worker::Tokenizer::Make(
      quant::HfTokenizerSource{bytes.substr(0, zero), ""});
  if (!tokenizer.ok()) return 0;
  const std::string text = zero < bytes.size() ? bytes.substr(zero + 1)
                                               : "It's 2026, naïve\n\n  x=1;";
  for (const bool special : {false, true}) {
    auto ids = (*tokenizer)->Encode(text, special);
    if (ids.ok()) (void)(*tokenizer)->Decode(*ids);
  }
  return 0;
}
