// A directory of results that appears whole or not at all.
#ifndef EVOPRESS_CLIENT_OUTPUT_DIR_H_
#define EVOPRESS_CLIENT_OUTPUT_DIR_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace evopress::client {

// Every directory that we write holds this file; --force replaces no others.
inline constexpr char kRecipeFile[] = "recipe.json";

// AlreadyExists if `path` is a non-empty directory or a file, unless `force`
// and it was written by us. Call it before the long work.
absl::Status CheckOutputDir(const std::string& path, bool force);

// Thread-compatible. Destroyed before Commit it leaves no trace.
class OutputDir {
 public:
  // Makes a temporary directory beside `path`, parents included.
  static absl::StatusOr<std::unique_ptr<OutputDir>> Create(
      const std::string& path, bool force);
  ~OutputDir();
  OutputDir(const OutputDir&) = delete;
  OutputDir& operator=(const OutputDir&) = delete;

  // Where to write.
  const std::string& temporary() const { return temporary_; }

  // temporary()/name with these bytes, synced.
  absl::Status Write(const std::string& name, const std::string& bytes);

  // Puts the directory in place of `path`.
  absl::Status Commit();

 private:
  OutputDir(std::string path, std::string temporary, bool force);

  const std::string path_;
  const std::string temporary_;
  const bool force_;
  bool committed_ = false;
};

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_OUTPUT_DIR_H_
