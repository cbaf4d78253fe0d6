// quant/gguf_parser.h
// The structure of one GGUF file in memory; behind quant/gguf_reader.h.

#ifndef EVOPRESS_QUANT_GGUF_PARSER_H_
#define EVOPRESS_QUANT_GGUF_PARSER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "quant/gguf_metadata.h"
#include "quant/gguf_reader.h"

namespace evopress::quant {

struct GgufContents {
  uint32_t version = 0;
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;  // in file order; names are unique
};

// Parses `bytes`; the tensors of the result point into them. `path` is only
// named in errors. Same errors as GgufReader::Open.
absl::StatusOr<GgufContents> ParseGguf(const std::string& path,
                                       absl::Span<const uint8_t> bytes);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_GGUF_PARSER_H_
