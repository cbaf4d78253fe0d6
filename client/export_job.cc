#include "client/export_job.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/export_evopress.h"
#include "client/export_hf.h"
#include "client/export_json.h"
#include "client/export_picture.h"
#include "client/output_dir.h"

namespace evopress::client {

absl::Status CheckExportOptions(const ExportOptions& options) {
  if (options.formats.empty()) {
    return absl::InvalidArgumentError("no format; use evopress, json or hf");
  }
  for (const std::string& format : options.formats) {
    if (format != "evopress" && format != "json" && format != "hf") {
      return absl::InvalidArgumentError(absl::StrCat(
          "format \"", format, "\" is unknown; use evopress, json or hf"));
    }
  }
  auto dtype = ParseHfDtype(options.dtype);
  if (!dtype.ok()) return dtype.status();
  return CheckOutputDir(options.out, options.force);
}

absl::Status ExportJob(const ExportInput& input, const FetchArtifact& fetch,
                       const ExportOptions& options) {
  if (absl::Status s = CheckExportOptions(options); !s.ok()) return s;
  auto out = OutputDir::Create(options.out, options.force);
  if (!out.ok()) return out.status();
  const auto wanted = [&](const char* format) {
    return std::find(options.formats.begin(), options.formats.end(), format) !=
           options.formats.end();
  };
  if (wanted("evopress")) {
    // Asked for alone, the format must be able to say what was chosen.
    const bool strict = options.formats.size() == 1;
    if (absl::Status s = ExportEvoPress(input, strict, **out); !s.ok()) {
      return s;
    }
  }
  if (wanted("hf")) {
    HfOptions hf;
    hf.dtype = options.dtype;
    hf.model_path = options.model_path;
    if (absl::Status s = ExportHf(input, fetch, hf, **out); !s.ok()) return s;
  }
  if (absl::Status s = ExportPicture(input, **out); !s.ok()) return s;
  if (absl::Status s = ExportJson(input, **out); !s.ok()) return s;
  return (*out)->Commit();
}

absl::Status ExportJob(const std::vector<ExportInput>& inputs,
                       const FetchArtifact& fetch,
                       const ExportOptions& options) {
  if (inputs.size() == 1) return ExportJob(inputs[0], fetch, options);
  if (absl::Status s = CheckExportOptions(options); !s.ok()) return s;
  auto out = OutputDir::Create(options.out, options.force);
  if (!out.ok()) return out.status();
  for (const ExportInput& input : inputs) {
    ExportOptions one = options;
    one.out = absl::StrCat((*out)->temporary(), "/", input.candidate.target());
    if (absl::Status s = ExportJob(input, fetch, one); !s.ok()) return s;
  }
  if (absl::Status s = ExportFrontierJson(inputs, **out); !s.ok()) return s;
  return (*out)->Commit();
}

}  // namespace evopress::client
