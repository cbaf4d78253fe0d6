// A directory of compressed layers.
//
//   blobs/<sha256 of the file>   one packed weight each (packed_weight.h)
//   index/<hash>.json            the levels of one layer of one variant, made
//                                from one set of statistics by one numeric
//                                class; the last line is its SHA-256
//   lock                         held (flock) by whoever writes
//
// Files are whole or absent, whenever a process dies. Blobs are verified
// against their name before they are returned; nothing damaged ever is.
#ifndef EVOPRESS_QUANT_LEVEL_STORE_H_
#define EVOPRESS_QUANT_LEVEL_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "quant/compressor.h"
#include "quant/mapped_file.h"
#include "quant/packed_weight.h"

namespace evopress::quant {

// All that a level's bits depend on. Texts are UTF-8, otherwise opaque.
struct LevelKey {
  std::string variant;        // content hash of the variant
  std::string layer;          // "model.layers.0.mlp.down_proj"
  std::string level;          // canonical level name
  std::string statistics;     // hash of the statistics; "" if none were used
  std::string numeric_class;  // engine, version, instruction set

  bool operator==(const LevelKey&) const = default;
  auto operator<=>(const LevelKey&) const = default;
};

// What the index knows of one level.
struct LevelRecord {
  LevelKey key;
  std::string blob;        // 64 hex digits
  int64_t blob_bytes = 0;  // size of the blob's file
  LevelCosts costs;
  double relative_error = 0;
};

// A level to be stored. `layer` must outlive the call.
struct NewLevel {
  LevelKey key;
  const CompressedLayer* layer = nullptr;
};

// Thread-safe, and safe among processes on one host. ResourceExhausted, naming
// the path, when the disk is full.
class LevelStore {
 public:
  // Opens the store in `directory`, which is made if its parent exists.
  static absl::StatusOr<std::unique_ptr<LevelStore>> Open(
      const std::string& directory);

  // Stores levels, replacing records of equal keys; returns their records in
  // order. Levels of one layer together cost one index write. If it fails,
  // levels of a layer are all recorded or none. A damaged index file in the
  // way is replaced. InvalidArgument for an inconsistent weight.
  absl::StatusOr<std::vector<LevelRecord>> Put(
      absl::Span<const NewLevel> levels);

  // NotFound if the key was never stored; DataLoss, naming the file, if its
  // index file is damaged.
  absl::StatusOr<LevelRecord> Find(const LevelKey& key) const;

  // The packed weight of `key`. Errors of Find; DataLoss, naming the file, if
  // the blob is missing or damaged.
  absl::StatusOr<PackedWeight> Read(const LevelKey& key) const;

  // The verified bytes of a blob. InvalidArgument unless `blob` is 64 hex
  // digits; NotFound; DataLoss.
  absl::StatusOr<std::unique_ptr<MappedFile>> MapBlob(
      const std::string& blob) const;

  // All records, ordered by key. DataLoss for a damaged index file.
  absl::StatusOr<std::vector<LevelRecord>> List() const;

  // Reads and checks every file. DataLoss naming all that is damaged or
  // missing. Blobs without a record are no damage.
  absl::Status Verify() const;

  // Size of all files of the store.
  absl::StatusOr<int64_t> TotalBytes() const;

  // Forgets `key`; its blob stays until RemoveUnreferenced. NotFound.
  absl::Status Remove(const LevelKey& key);

  // Deletes blobs that no record names and what dead writers left; returns the
  // bytes freed. Deletes nothing (DataLoss) if an index file is damaged.
  absl::StatusOr<int64_t> RemoveUnreferenced();

  const std::string& directory() const { return directory_; }

 private:
  explicit LevelStore(const std::string& directory) : directory_(directory) {}

  std::string IndexPath(const LevelKey& key) const;
  std::string BlobPath(const std::string& blob) const;
  absl::StatusOr<LevelRecord> PutBlob(const NewLevel& level);

  const std::string directory_;
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_LEVEL_STORE_H_
