#include "quant/dequantize.h"

#include "absl/strings/str_cat.h"
#include "quant/dequantize_blocks.h"

namespace evopress::quant {

DequantizeBlocks FindDequantizer(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
      return DequantizeF32;
    case GgmlType::kF16:
      return DequantizeF16;
    case GgmlType::kBF16:
      return DequantizeBF16;
    case GgmlType::kQ4_0:
      return DequantizeQ4_0;
    case GgmlType::kQ4_1:
      return DequantizeQ4_1;
    case GgmlType::kQ5_0:
      return DequantizeQ5_0;
    case GgmlType::kQ5_1:
      return DequantizeQ5_1;
    case GgmlType::kQ8_0:
      return DequantizeQ8_0;
    case GgmlType::kQ2_K:
      return DequantizeQ2_K;
    case GgmlType::kQ3_K:
      return DequantizeQ3_K;
    case GgmlType::kQ4_K:
      return DequantizeQ4_K;
    case GgmlType::kQ5_K:
      return DequantizeQ5_K;
    case GgmlType::kQ6_K:
      return DequantizeQ6_K;
    case GgmlType::kIQ1_S:
      return DequantizeIQ1_S;
    case GgmlType::kIQ1_M:
      return DequantizeIQ1_M;
    case GgmlType::kIQ2_XXS:
      return DequantizeIQ2_XXS;
    case GgmlType::kIQ2_XS:
      return DequantizeIQ2_XS;
    case GgmlType::kIQ2_S:
      return DequantizeIQ2_S;
    case GgmlType::kIQ3_XXS:
      return DequantizeIQ3_XXS;
    case GgmlType::kIQ3_S:
      return DequantizeIQ3_S;
    case GgmlType::kIQ4_NL:
      return DequantizeIQ4_NL;
    case GgmlType::kIQ4_XS:
      return DequantizeIQ4_XS;
    case GgmlType::kTQ1_0:
      return DequantizeTQ1_0;
    case GgmlType::kTQ2_0:
      return DequantizeTQ2_0;
    case GgmlType::kMXFP4:
      return DequantizeMXFP4;
    case GgmlType::kNVFP4:
      return DequantizeNVFP4;
    case GgmlType::kQ8_1:
    case GgmlType::kQ8_K:
    case GgmlType::kI8:
    case GgmlType::kI16:
    case GgmlType::kI32:
    case GgmlType::kI64:
    case GgmlType::kF64:
    case GgmlType::kQ1_0:
      return nullptr;
  }
  return nullptr;
}

absl::Status Dequantize(GgmlType type, absl::Span<const uint8_t> bytes,
                        absl::Span<float> out) {
  const GgmlTypeTraits* traits = FindGgmlType(static_cast<uint32_t>(type));
  const DequantizeBlocks dequantize = FindDequantizer(type);
  if (traits == nullptr || dequantize == nullptr) {
    return absl::UnimplementedError(absl::StrCat(
        "cannot dequantize tensors of type ",
        traits ? traits->name : absl::StrCat(static_cast<uint32_t>(type))));
  }
  const int64_t count =
      static_cast<int64_t>(bytes.size()) / traits->block_bytes;
  if (static_cast<int64_t>(bytes.size()) != count * traits->block_bytes ||
      static_cast<int64_t>(out.size()) != count * traits->block_elements) {
    return absl::InvalidArgumentError(
        absl::StrCat(bytes.size(), " bytes of ", traits->name, " (blocks of ",
                     traits->block_bytes, " bytes) do not hold exactly ",
                     out.size(), " values"));
  }
  dequantize(bytes.data(), count, out.data());
  return absl::OkStatus();
}

}  // namespace evopress::quant
