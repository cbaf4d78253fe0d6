#include "worker/tokenizer_unicode.h"

#include <utf8proc.h>

namespace evopress::worker {
namespace {

bool IsByteThatPrintsAsItself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) ||
         (byte >= 0xAE && byte <= 0xFF);
}

std::array<int, 512> MakeByteOfCodePoint() {
  std::array<int, 512> bytes;
  bytes.fill(-1);
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    bytes[IsByteThatPrintsAsItself(byte) ? byte : next++] = byte;
  }
  return bytes;
}

}  // namespace

int32_t DecodeUtf8(absl::string_view text, size_t pos) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const int32_t lead = byte(pos);
  switch (Utf8Length(text[pos])) {
    case 1:
      return lead;
    case 2:
      return (lead & 0x1F) << 6 | (byte(pos + 1) & 0x3F);
    case 3:
      return (lead & 0x0F) << 12 | (byte(pos + 1) & 0x3F) << 6 |
             (byte(pos + 2) & 0x3F);
    default:
      return (lead & 0x07) << 18 | (byte(pos + 1) & 0x3F) << 12 |
             (byte(pos + 2) & 0x3F) << 6 | (byte(pos + 3) & 0x3F);
  }
}

void AppendUtf8(int32_t code_point, std::string* out) {
  const auto tail = [&](int shift) {
    out->push_back(static_cast<char>(0x80 | ((code_point >> shift) & 0x3F)));
  };
  if (code_point < 0x80) {
    out->push_back(static_cast<char>(code_point));
  } else if (code_point < 0x800) {
    out->push_back(static_cast<char>(0xC0 | code_point >> 6));
    tail(0);
  } else if (code_point < 0x10000) {
    out->push_back(static_cast<char>(0xE0 | code_point >> 12));
    tail(6);
    tail(0);
  } else {
    out->push_back(static_cast<char>(0xF0 | code_point >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

std::string ReplaceInvalidUtf8(absl::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  size_t pos = 0;
  while (pos < bytes.size()) {
    const auto at = [&](size_t i) {
      return static_cast<unsigned char>(bytes[i]);
    };
    const int lead = at(pos);
    if (lead < 0x80) {
      out.push_back(bytes[pos++]);
      continue;
    }
    // The second byte's range excludes overlong forms, surrogates and code
    // points above U+10FFFF (Unicode, table 3-7).
    const size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                          : lead >= 0xE0 && lead <= 0xEF ? 3
                          : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                         : 1;
    int low = 0x80, high = 0xBF;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
    size_t good = 1;
    while (good < length && pos + good < bytes.size() &&
           at(pos + good) >= low && at(pos + good) <= high) {
      ++good;
      low = 0x80;
      high = 0xBF;
    }
    if (length > 1 && good == length) {
      out.append(bytes.data() + pos, length);
    } else {
      out.append("\xEF\xBF\xBD");
    }
    pos += good;
  }
  return out;
}

bool IsWhitespace(int32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 0x09 && c <= 0x0D);
  return c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

bool IsNumeric(int32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  const auto category = utf8proc_category(c);
  return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
         category == UTF8PROC_CATEGORY_NO;
}

bool IsWord(int32_t c) {
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

bool IsPunctuation(int32_t c) {
  if (c < 0x80) {
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') ||
           (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
  }
  const auto category = utf8proc_category(c);
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

const std::array<std::string, 256>& ByteLevelAlphabet() {
  static const auto* const alphabet = [] {
    auto* made = new std::array<std::string, 256>;
    int next = 256;
    for (int byte = 0; byte < 256; ++byte) {
      AppendUtf8(IsByteThatPrintsAsItself(byte) ? byte : next++,
                 &(*made)[byte]);
    }
    return made;
  }();
  return *alphabet;
}

std::string ToByteLevel(absl::string_view text) {
  const auto& alphabet = ByteLevelAlphabet();
  std::string out;
  out.reserve(text.size() * 2);
  for (const char c : text) out += alphabet[static_cast<unsigned char>(c)];
  return out;
}

std::optional<std::string> FromByteLevel(absl::string_view token) {
  static const std::array<int, 512> byte_of = MakeByteOfCodePoint();
  std::string out;
  for (size_t pos = 0; pos < token.size(); pos += Utf8Length(token[pos])) {
    const int32_t c = DecodeUtf8(token, pos);
    if (c >= 512 || byte_of[c] < 0) return std::nullopt;
    out.push_back(static_cast<char>(byte_of[c]));
  }
  return out;
}

}  // namespace evopress::worker
