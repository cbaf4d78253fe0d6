// Runs the `evopress` binary of this build as a child process.
#ifndef EVOPRESS_TESTS_CLIENT_RUN_EVOPRESS_H_
#define EVOPRESS_TESTS_CLIENT_RUN_EVOPRESS_H_

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/client/tiny_model.h"

namespace evopress::client {

struct RunResult {
  int exit_code = -1;
  std::string out;
  std::string err;
};

inline std::string EvoPressBinary() {
  return std::string(EVOPRESS_BINARY_DIR) + "/client/evopress";
}
inline std::string EvaluatorBinary() {
  return std::string(EVOPRESS_BINARY_DIR) + "/worker/evopress-evaluator-cpu";
}

// `wrapper` comes before the binary, e.g. "timeout -s KILL 1".
inline RunResult RunEvoPress(const std::vector<std::string>& arguments,
                             const std::string& wrapper = "") {
  TempDir tmp;
  std::string command = "NO_COLOR=1 " + wrapper + " '" + EvoPressBinary() + "'";
  for (const std::string& argument : arguments) {
    std::string quoted;
    for (const char c : argument) {
      quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    command += " '" + quoted + "'";
  }
  command += " >'" + (tmp / "out") + "' 2>'" + (tmp / "err") + "'";
  const int status = std::system(command.c_str());
  RunResult result;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  result.out = ReadText(tmp / "out");
  result.err = ReadText(tmp / "err");
  return result;
}

}  // namespace evopress::client

#endif  // EVOPRESS_TESTS_CLIENT_RUN_EVOPRESS_H_
