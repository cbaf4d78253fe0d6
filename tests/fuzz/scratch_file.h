// A file of given bytes, for readers that take a path.
#ifndef EVOPRESS_TESTS_FUZZ_SCRATCH_FILE_H_
#define EVOPRESS_TESTS_FUZZ_SCRATCH_FILE_H_

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"

namespace evopress::fuzz {

// A folder in memory, one for each process. Stays until the process ends.
class ScratchFolder {
 public:
  static const std::string& Path() {
    static const ScratchFolder folder;
    return folder.path_;
  }

 private:
  ScratchFolder() : path_(absl::StrCat("/dev/shm/evopress-fuzz-", ::getpid())) {
    std::filesystem::create_directories(path_);
  }
  ~ScratchFolder() { std::filesystem::remove_all(path_); }

  const std::string path_;
};

// Writes the file `name` there; returns its path.
inline std::string WriteScratch(const std::string& name, const void* data,
                                size_t size) {
  const std::string path = absl::StrCat(ScratchFolder::Path(), "/", name);
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr || std::fwrite(data, 1, size, file) != size) std::abort();
  std::fclose(file);
  return path;
}

}  // namespace evopress::fuzz

#endif  // EVOPRESS_TESTS_FUZZ_SCRATCH_FILE_H_
