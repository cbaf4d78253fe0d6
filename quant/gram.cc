// The statistics file, little-endian:
//   magic "EVST", version u32, sites u64, then per site
//     name (length u64, bytes), n u64, tokens u64, layout u64, float32 values:
//     layout 1 = the lower triangle by rows, 0 = all n x n (not symmetric);
//   layers u64, then per layer its name and its site's name;
//   SHA-256 over everything before it.

#include "quant/gram.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "quant/atomic_file.h"
#include "quant/mapped_file.h"
#include "search/sha256.h"

namespace evopress::quant {
namespace {

constexpr char kMagic[4] = {'E', 'V', 'S', 'T'};
constexpr uint32_t kVersion = 1;
constexpr uint64_t kMaxInputs = uint64_t{1} << 20;
constexpr size_t kDigestBytes = sizeof(search::Sha256Digest);

bool IsSymmetric(const Gram& gram) {
  for (int64_t r = 0; r < gram.n; ++r) {
    for (int64_t c = 0; c < r; ++c) {
      if (gram.values[r * gram.n + c] != gram.values[c * gram.n + r]) {
        return false;
      }
    }
  }
  return true;
}

absl::Status Check(const Statistics& statistics) {
  for (const auto& [site, gram] : statistics.sites) {
    if (gram.n < 1 || static_cast<uint64_t>(gram.n) > kMaxInputs ||
        gram.tokens < 0 ||
        static_cast<int64_t>(gram.values.size()) != gram.n * gram.n) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Gram of site ", site, ": n=", gram.n, ", tokens=", gram.tokens,
          " with ", gram.values.size(), " values"));
    }
    for (size_t i = 0; i < gram.values.size(); ++i) {
      if (!std::isfinite(gram.values[i])) {
        return absl::InvalidArgumentError(absl::StrCat(
            "Gram of site ", site, ": value ", i, " is not finite"));
      }
    }
  }
  for (const auto& [layer, site] : statistics.site_of_layer) {
    if (statistics.sites.count(site) == 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "layer ", layer, " names site ", site, ", which is not there"));
    }
  }
  return absl::OkStatus();
}

// Hashes what it writes.
class Writer {
 public:
  explicit Writer(AtomicFile* file) : file_(file) {}

  void Bytes(const void* data, size_t size) {
    hash_.Update(data, size);
    if (!status_.ok()) return;
    status_ =
        file_->Append(absl::string_view(static_cast<const char*>(data), size));
  }
  void Number(uint64_t value) { Bytes(&value, sizeof(value)); }
  void Text(const std::string& text) {
    Number(text.size());
    Bytes(text.data(), text.size());
  }
  absl::Status Finish() {
    const search::Sha256Digest digest = hash_.Finish();
    if (!status_.ok()) return status_;
    status_ = file_->Append(absl::string_view(
        reinterpret_cast<const char*>(digest.data()), digest.size()));
    return status_.ok() ? file_->Commit() : status_;
  }

 private:
  AtomicFile* file_;
  search::Sha256 hash_;
  absl::Status status_;
};

void WriteGram(const Gram& gram, Writer* writer) {
  const bool triangle = IsSymmetric(gram);
  writer->Number(static_cast<uint64_t>(gram.n));
  writer->Number(static_cast<uint64_t>(gram.tokens));
  writer->Number(triangle ? 1 : 0);
  for (int64_t r = 0; r < gram.n; ++r) {
    const int64_t count = triangle ? r + 1 : gram.n;
    writer->Bytes(gram.values.data() + r * gram.n, count * sizeof(float));
  }
}

// Reads with bounds; once `ok` is false everything reads as zero.
class Reader {
 public:
  explicit Reader(absl::Span<const uint8_t> bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  size_t position() const { return position_; }
  size_t left() const { return bytes_.size() - position_; }

  void Bytes(void* out, uint64_t size) {
    if (!ok_ || size > left()) {
      ok_ = false;
      return;
    }
    if (size > 0) std::memcpy(out, bytes_.data() + position_, size);
    position_ += size;
  }
  uint64_t Number() {
    uint64_t value = 0;
    Bytes(&value, sizeof(value));
    return value;
  }
  std::string Text() {
    const uint64_t size = Number();
    if (!ok_ || size > left()) {
      ok_ = false;
      return "";
    }
    std::string text(size, '\0');
    Bytes(text.data(), size);
    return text;
  }

 private:
  absl::Span<const uint8_t> bytes_;
  size_t position_ = 0;
  bool ok_ = true;
};

bool ReadGram(Reader* reader, Gram* gram) {
  const uint64_t n = reader->Number();
  const uint64_t tokens = reader->Number();
  const uint64_t layout = reader->Number();
  if (!reader->ok() || n < 1 || n > kMaxInputs || tokens > INT64_MAX ||
      layout > 1) {
    return false;
  }
  const uint64_t stored = layout == 1 ? n * (n + 1) / 2 : n * n;
  if (stored * sizeof(float) > reader->left()) return false;
  gram->n = static_cast<int64_t>(n);
  gram->tokens = static_cast<int64_t>(tokens);
  gram->values.resize(n * n);
  for (uint64_t r = 0; r < n; ++r) {
    float* row = gram->values.data() + r * n;
    reader->Bytes(row, (layout == 1 ? r + 1 : n) * sizeof(float));
    for (uint64_t c = 0; layout == 1 && c < r; ++c) {
      gram->values[c * n + r] = row[c];
    }
  }
  return reader->ok();
}

absl::StatusOr<Statistics> Parse(absl::Span<const uint8_t> bytes) {
  if (bytes.size() < 8 + kDigestBytes ||
      std::memcmp(bytes.data(), kMagic, sizeof(kMagic)) != 0) {
    return absl::DataLossError("not a statistics file");
  }
  uint32_t version = 0;
  std::memcpy(&version, bytes.data() + 4, sizeof(version));
  if (version != kVersion) {
    return absl::DataLossError(absl::StrCat("unknown version ", version));
  }
  const size_t body = bytes.size() - kDigestBytes;
  const search::Sha256Digest digest = search::Sha256Of(bytes.data(), body);
  if (std::memcmp(digest.data(), bytes.data() + body, kDigestBytes) != 0) {
    return absl::DataLossError(absl::StrCat("the checksum at byte ", body,
                                            " does not match the content"));
  }
  Reader reader(bytes.subspan(8, body - 8));
  const auto damaged = [&] {
    return absl::DataLossError(
        absl::StrCat("damaged near byte ", 8 + reader.position()));
  };
  Statistics statistics;
  const uint64_t sites = reader.Number();
  for (uint64_t i = 0; i < sites; ++i) {
    const std::string name = reader.Text();
    Gram gram;
    if (!ReadGram(&reader, &gram)) return damaged();
    if (!statistics.sites.emplace(name, std::move(gram)).second) {
      return damaged();
    }
  }
  const uint64_t layers = reader.Number();
  for (uint64_t i = 0; i < layers && reader.ok(); ++i) {
    const std::string layer = reader.Text();
    statistics.site_of_layer[layer] = reader.Text();
  }
  if (!reader.ok() || reader.left() != 0) return damaged();
  const absl::Status status = Check(statistics);
  if (!status.ok()) return absl::DataLossError(status.message());
  return statistics;
}

}  // namespace

absl::Status WriteStatistics(const Statistics& statistics,
                             const std::string& path) {
  absl::Status status = Check(statistics);
  if (!status.ok()) return status;
  absl::StatusOr<std::unique_ptr<AtomicFile>> file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  Writer writer(file->get());
  writer.Bytes(kMagic, sizeof(kMagic));
  writer.Bytes(&kVersion, sizeof(kVersion));
  writer.Number(statistics.sites.size());
  for (const auto& [name, gram] : statistics.sites) {
    writer.Text(name);
    WriteGram(gram, &writer);
  }
  writer.Number(statistics.site_of_layer.size());
  for (const auto& [layer, site] : statistics.site_of_layer) {
    writer.Text(layer);
    writer.Text(site);
  }
  return writer.Finish();
}

absl::StatusOr<Statistics> ReadStatistics(const std::string& path) try {
  const absl::StatusOr<std::unique_ptr<MappedFile>> file =
      MappedFile::Open(path);
  if (!file.ok()) return file.status();
  absl::StatusOr<Statistics> statistics = Parse((*file)->bytes());
  if (statistics.ok()) return statistics;
  return absl::Status(statistics.status().code(),
                      absl::StrCat(path, ": ", statistics.status().message()));
} catch (const std::exception& e) {
  return absl::ResourceExhaustedError(absl::StrCat(path, ": ", e.what()));
}

}  // namespace evopress::quant
