// Tables for people: aligned columns on a terminal.
#ifndef EVOPRESS_CLIENT_TEXT_TABLE_H_
#define EVOPRESS_CLIENT_TEXT_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace evopress::client {

// Thread-compatible.
class TextTable {
 public:
  // Columns whose header starts with ">" are aligned to the right.
  explicit TextTable(std::vector<std::string> headers);

  // Missing cells are empty, cells beyond the headers are dropped.
  void AddRow(std::vector<std::string> cells);

  // Every line ends with a newline. `bold` prints the headers in bold.
  std::string Format(bool bold = false) const;

 private:
  std::vector<std::string> headers_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

// "%.*f", "-" for what is not finite.
std::string FormatFixed(double value, int digits);

// 1234567 -> "1,234,567".
std::string FormatCount(int64_t value);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_TEXT_TABLE_H_
