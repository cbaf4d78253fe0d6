// A Hugging Face directory with the chosen levels dequantized: it runs
// wherever the model itself runs and shows exactly what the search measured.
// It saves no memory; it is for checking and for further conversion.
//
// Of a dropped module the output projection (o_proj, down_proj, of every
// expert) is written as zeros, bias included: the module then adds exactly
// nothing, and the architecture stays what every runtime knows. The rest of it
// keeps the model's weights.
#ifndef EVOPRESS_CLIENT_EXPORT_HF_H_
#define EVOPRESS_CLIENT_EXPORT_HF_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/export_input.h"
#include "client/output_dir.h"

namespace evopress::client {

struct HfOptions {
  // "float32" keeps every bit of scale x (code - zero); "float16" and
  // "bfloat16" round to nearest.
  std::string dtype = "float32";
  // The uncompressed model; empty: where the job found it.
  std::string model_path;
};

// "float32" -> "F32" and so on, the names of safetensors.
absl::StatusOr<std::string> ParseHfDtype(const std::string& text);

// Writes the weights, config.json and the tokenizer (that of a GGUF source is
// made from its metadata, see tokenizer_json.h), reads the weights back and
// compares shapes and values with what was meant. FailedPrecondition if the
// model at `model_path` is not the one that was searched.
absl::Status ExportHf(const ExportInput& input, const FetchArtifact& fetch,
                      const HfOptions& options, OutputDir& out);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_EXPORT_HF_H_
