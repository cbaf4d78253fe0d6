#include "quant/level_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "quant/atomic_file.h"
#include "quant/level_store_index.h"
#include "search/sha256.h"

namespace evopress::quant {
namespace {

namespace fs = std::filesystem;

constexpr char kIndexSuffix[] = ".json";
constexpr size_t kMaxReported = 20;

// The writers' lock; every holder opens the file anew, so that it also holds
// between threads.
class StoreLock {
 public:
  static absl::StatusOr<std::unique_ptr<StoreLock>> Acquire(
      const std::string& directory) {
    const std::string path = directory + "/lock";
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
    }
    auto lock = std::unique_ptr<StoreLock>(new StoreLock(fd));
    while (::flock(fd, LOCK_EX) != 0) {
      if (errno == EINTR) continue;
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot lock ", path));
    }
    return lock;
  }
  ~StoreLock() { ::close(fd_); }

 private:
  explicit StoreLock(int fd) : fd_(fd) {}
  const int fd_;
};

absl::Status MakeDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0777) == 0 || errno == EEXIST) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path));
}

// Names of the files in `directory`, sorted.
absl::StatusOr<std::vector<std::string>> FilesIn(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator it(directory, error);
  while (!error && it != fs::directory_iterator()) {
    names.push_back(it->path().filename().string());
    it.increment(error);
  }
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("cannot list ", directory));
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool IsHash(const std::string& text) {
  return text.size() == 64 &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

bool IsIndexName(const std::string& name) {
  return name.size() == 64 + sizeof(kIndexSuffix) - 1 &&
         IsHash(name.substr(0, 64)) && name.substr(64) == kIndexSuffix;
}

int64_t SizeOf(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(size);
}

}  // namespace

absl::StatusOr<std::unique_ptr<LevelStore>> LevelStore::Open(
    const std::string& directory) {
  for (const char* part : {"", "/blobs", "/index"}) {
    const absl::Status status = MakeDirectory(directory + part);
    if (!status.ok()) return status;
  }
  return std::unique_ptr<LevelStore>(new LevelStore(directory));
}

std::string LevelStore::IndexPath(const LevelKey& key) const {
  const absl::StatusOr<std::string> hash = LayerHash(key);
  return hash.ok() ? absl::StrCat(directory_, "/index/", *hash, kIndexSuffix)
                   : "";
}

std::string LevelStore::BlobPath(const std::string& blob) const {
  return absl::StrCat(directory_, "/blobs/", blob);
}

absl::StatusOr<LevelRecord> LevelStore::PutBlob(const NewLevel& level) {
  absl::Status status = Validate(level.layer->weight);
  if (!status.ok()) return status;
  const std::string bytes = SerializeBlob(level.layer->weight);
  LevelRecord record;
  record.key = level.key;
  record.blob = search::ToHex(search::Sha256Of(bytes.data(), bytes.size()));
  record.blob_bytes = static_cast<int64_t>(bytes.size());
  record.costs = level.layer->costs;
  record.relative_error = level.layer->relative_error;
  // A blob that is there but damaged is written anew.
  if (!MapBlob(record.blob).ok()) {
    status = WriteFileAtomically(BlobPath(record.blob), {bytes});
    if (!status.ok()) return status;
  }
  return record;
}

absl::StatusOr<std::vector<LevelRecord>> LevelStore::Put(
    absl::Span<const NewLevel> levels) {
  for (const NewLevel& level : levels) {
    const absl::StatusOr<std::string> hash = LayerHash(level.key);
    if (!hash.ok()) return hash.status();
  }
  const absl::StatusOr<std::unique_ptr<StoreLock>> lock =
      StoreLock::Acquire(directory_);
  if (!lock.ok()) return lock.status();
  std::vector<LevelRecord> stored;
  std::map<std::string, LayerRecords> by_index;
  for (const NewLevel& level : levels) {
    absl::StatusOr<LevelRecord> record = PutBlob(level);
    if (!record.ok()) return record.status();
    by_index[IndexPath(level.key)][level.key.level] = *record;
    stored.push_back(*std::move(record));
  }
  for (auto& [path, added] : by_index) {
    absl::StatusOr<LayerRecords> known = ReadLayerRecords(path);
    if (known.ok()) {
      added.merge(*known);
    } else if (!absl::IsNotFound(known.status()) &&
               !absl::IsDataLoss(known.status())) {
      return known.status();
    }
    const absl::Status status = WriteLayerRecords(added, path);
    if (!status.ok()) return status;
  }
  return stored;
}

absl::StatusOr<LevelRecord> LevelStore::Find(const LevelKey& key) const {
  const absl::StatusOr<std::string> hash = LayerHash(key);
  if (!hash.ok()) return hash.status();
  const absl::StatusOr<LayerRecords> records = ReadLayerRecords(IndexPath(key));
  if (!records.ok() && !absl::IsNotFound(records.status())) {
    return records.status();
  }
  if (records.ok()) {
    const auto it = records->find(key.level);
    if (it != records->end()) return it->second;
  }
  return absl::NotFoundError(absl::StrCat(
      "level ", key.level, " of ", key.layer, " is not in ", directory_));
}

absl::StatusOr<PackedWeight> LevelStore::Read(const LevelKey& key) const {
  const absl::StatusOr<LevelRecord> record = Find(key);
  if (!record.ok()) return record.status();
  const absl::StatusOr<std::unique_ptr<MappedFile>> file =
      MapBlob(record->blob);
  if (!file.ok()) {
    if (!absl::IsNotFound(file.status())) return file.status();
    return absl::DataLossError(
        absl::StrCat(BlobPath(record->blob), " is missing, but level ",
                     key.level, " of ", key.layer, " needs it"));
  }
  absl::StatusOr<PackedWeight> weight = ParseBlob((*file)->bytes());
  if (weight.ok()) return weight;
  return absl::Status(
      weight.status().code(),
      absl::StrCat(BlobPath(record->blob), ": ", weight.status().message()));
}

absl::StatusOr<std::unique_ptr<MappedFile>> LevelStore::MapBlob(
    const std::string& blob) const {
  if (!IsHash(blob)) {
    return absl::InvalidArgumentError("a blob's name is 64 hex digits");
  }
  absl::StatusOr<std::unique_ptr<MappedFile>> file =
      MappedFile::Open(BlobPath(blob));
  if (!file.ok()) return file.status();
  const absl::Span<const uint8_t> bytes = (*file)->bytes();
  if (search::ToHex(search::Sha256Of(bytes.data(), bytes.size())) != blob) {
    return absl::DataLossError(absl::StrCat(
        "blob ", BlobPath(blob), " is damaged: its content has another hash"));
  }
  return file;
}

absl::StatusOr<std::vector<LevelRecord>> LevelStore::List() const {
  const std::string directory = directory_ + "/index";
  const absl::StatusOr<std::vector<std::string>> names = FilesIn(directory);
  if (!names.ok()) return names.status();
  std::vector<LevelRecord> all;
  for (const std::string& name : *names) {
    if (!IsIndexName(name)) continue;
    absl::StatusOr<LayerRecords> records =
        ReadLayerRecords(absl::StrCat(directory, "/", name));
    if (absl::IsNotFound(records.status())) continue;  // just removed
    if (!records.ok()) return records.status();
    for (auto& [level, record] : *records) all.push_back(std::move(record));
  }
  std::sort(
      all.begin(), all.end(),
      [](const LevelRecord& a, const LevelRecord& b) { return a.key < b.key; });
  return all;
}

absl::Status LevelStore::Verify() const {
  std::vector<std::string> damages;
  const auto note = [&](const std::string& damage) {
    if (damages.size() < kMaxReported) damages.push_back(damage);
  };
  const absl::StatusOr<std::vector<std::string>> index_files =
      FilesIn(directory_ + "/index");
  if (!index_files.ok()) return index_files.status();
  const absl::StatusOr<std::vector<std::string>> blob_files =
      FilesIn(directory_ + "/blobs");
  if (!blob_files.ok()) return blob_files.status();
  for (const std::string& name : *index_files) {
    if (!IsIndexName(name)) continue;
    const std::string path = absl::StrCat(directory_, "/index/", name);
    const absl::StatusOr<LayerRecords> records = ReadLayerRecords(path);
    if (!records.ok()) {
      note(std::string(records.status().message()));
      continue;
    }
    for (const auto& [level, record] : *records) {
      if (IndexPath(record.key) != path) note(path + " has another's name");
      std::error_code error;
      if (!fs::exists(BlobPath(record.blob), error)) {
        note(BlobPath(record.blob) + " is missing");
      }
    }
  }
  for (const std::string& name : *blob_files) {
    if (!IsHash(name)) continue;
    const absl::StatusOr<std::unique_ptr<MappedFile>> file = MapBlob(name);
    if (!file.ok()) {
      note(std::string(file.status().message()));
      continue;
    }
    const absl::StatusOr<PackedWeight> weight = ParseBlob((*file)->bytes());
    if (!weight.ok()) {
      note(absl::StrCat(BlobPath(name), ": ", weight.status().message()));
    }
  }
  if (damages.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrJoin(damages, "; "));
}

absl::StatusOr<int64_t> LevelStore::TotalBytes() const {
  int64_t total = 0;
  for (const char* part : {"/index", "/blobs"}) {
    const std::string directory = directory_ + part;
    const absl::StatusOr<std::vector<std::string>> names = FilesIn(directory);
    if (!names.ok()) return names.status();
    for (const std::string& name : *names) {
      total += SizeOf(absl::StrCat(directory, "/", name));
    }
  }
  return total;
}

absl::Status LevelStore::Remove(const LevelKey& key) {
  const absl::StatusOr<std::unique_ptr<StoreLock>> lock =
      StoreLock::Acquire(directory_);
  if (!lock.ok()) return lock.status();
  const absl::StatusOr<LevelRecord> record = Find(key);
  if (!record.ok()) return record.status();
  absl::StatusOr<LayerRecords> records = ReadLayerRecords(IndexPath(key));
  if (!records.ok()) return records.status();
  records->erase(key.level);
  return WriteLayerRecords(*records, IndexPath(key));
}

absl::StatusOr<int64_t> LevelStore::RemoveUnreferenced() {
  const absl::StatusOr<std::unique_ptr<StoreLock>> lock =
      StoreLock::Acquire(directory_);
  if (!lock.ok()) return lock.status();
  const absl::StatusOr<std::vector<LevelRecord>> records = List();
  if (!records.ok()) return records.status();
  std::set<std::string> kept;
  for (const LevelRecord& record : *records) kept.insert(record.blob);
  int64_t freed = 0;
  for (const char* part : {"/index", "/blobs"}) {
    const std::string directory = directory_ + part;
    const absl::StatusOr<std::vector<std::string>> names = FilesIn(directory);
    if (!names.ok()) return names.status();
    for (const std::string& name : *names) {
      if (IsIndexName(name) || kept.count(name) > 0) continue;
      const std::string path = absl::StrCat(directory, "/", name);
      const int64_t bytes = SizeOf(path);
      if (::unlink(path.c_str()) != 0) {
        return absl::ErrnoToStatus(errno, absl::StrCat("cannot delete ", path));
      }
      freed += bytes;
    }
  }
  return freed;
}

}  // namespace evopress::quant
