// A place for a test's files.
#ifndef EVOPRESS_TESTS_SERVER_SCRATCH_DIRECTORY_H_
#define EVOPRESS_TESTS_SERVER_SCRATCH_DIRECTORY_H_

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace evopress::server {

// A directory that vanishes with the object.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name =
        (std::filesystem::temp_directory_path() / "evopress_XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace evopress::server

#endif  // EVOPRESS_TESTS_SERVER_SCRATCH_DIRECTORY_H_
