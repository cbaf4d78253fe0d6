// UTF-8 and the few character classes that tokenizers are defined with.

#ifndef EVOPRESS_WORKER_TOKENIZER_UNICODE_H_
#define EVOPRESS_WORKER_TOKENIZER_UNICODE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace evopress::worker {

// Bytes of the UTF-8 character that starts with `lead`; 1 for bytes that start
// none. Only the lead byte is looked at.
inline size_t Utf8Length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// The code point at `pos`. REQUIRES: `text` is valid UTF-8 and a character
// starts at `pos`.
int32_t DecodeUtf8(absl::string_view text, size_t pos);

void AppendUtf8(int32_t code_point, std::string* out);

// `bytes` as valid UTF-8: every maximal ill-formed part becomes one U+FFFD,
// which is what Python's bytes.decode("utf-8", errors="replace") gives.
std::string ReplaceInvalidUtf8(absl::string_view bytes);

// White_Space of the Unicode Character Database (Rust char::is_whitespace).
bool IsWhitespace(int32_t code_point);
// General categories Nd, Nl and No (Rust char::is_numeric).
bool IsNumeric(int32_t code_point);
// What \w means in Rust's regex and in Oniguruma: letters, marks, decimal
// digits, letter numbers, connector punctuation.
bool IsWord(int32_t code_point);
// ASCII punctuation and symbols, and the general categories P*.
bool IsPunctuation(int32_t code_point);

// The printable character by which byte-level BPE vocabularies spell each byte
// (GPT-2): bytes that print as themselves keep their code point, the others
// get 256, 257, ... in rising order.
const std::array<std::string, 256>& ByteLevelAlphabet();

// `text`, byte for byte, in that alphabet.
std::string ToByteLevel(absl::string_view text);

// The inverse; nothing if a character of `token` is outside the alphabet.
std::optional<std::string> FromByteLevel(absl::string_view token);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_TOKENIZER_UNICODE_H_
