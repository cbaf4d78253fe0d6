#include "quant/iq_tables.h"

namespace evopress::quant {
namespace {

constexpr int8_t kIq1Values[] = {-1, 0, 1, 0};
constexpr int8_t kIq2Values[] = {8, 25, 43, 0};
constexpr int8_t kIq3XxsValues[16] = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr int8_t kIq3SValues[16] = {1, 3, 5, 7, 9, 11, 13, 15};

template <int kRows, int kEntries>
void Expand(const uint16_t (&packed)[kRows], const int8_t* values,
            int8_t (&table)[kRows][kEntries]) {
  constexpr int kBits = 16 / kEntries;
  for (int row = 0; row < kRows; ++row) {
    for (int i = 0; i < kEntries; ++i) {
      table[row][i] = values[(packed[row] >> (kBits * i)) & ((1 << kBits) - 1)];
    }
  }
}

IqTables MakeTables() {
  IqTables tables;
  Expand(kPackedIq1, kIq1Values, tables.iq1);
  Expand(kPackedIq2Xxs, kIq2Values, tables.iq2_xxs);
  Expand(kPackedIq2Xs, kIq2Values, tables.iq2_xs);
  Expand(kPackedIq2S, kIq2Values, tables.iq2_s);
  Expand(kPackedIq3Xxs, kIq3XxsValues, tables.iq3_xxs);
  Expand(kPackedIq3S, kIq3SValues, tables.iq3_s);
  return tables;
}

}  // namespace

const IqTables& IqTables::Get() {
  static const IqTables tables = MakeTables();
  return tables;
}

}  // namespace evopress::quant
