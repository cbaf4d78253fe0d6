// evopress-evaluator-cpu: the cpu engine as a child process.
#include <csignal>
#include <cstdio>

#include "CLI/CLI.hpp"
#include "worker/evaluator.h"
#include "worker/evaluator_protocol.h"
#include "worker/evaluator_server.h"
#include "worker/ops/arithmetic.h"

int main(int argc, char** argv) {
  using namespace evopress::worker;
  CLI::App app{
      "Measures compressed models for evopress; started by evopress-worker."};
  bool serve = false;
  bool numeric_class = false;
  app.add_flag("--serve", serve,
               "speak the evaluator protocol on descriptor 3");
  app.add_flag("--numeric-class", numeric_class,
               "print the name of this machine's arithmetic");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (numeric_class) {
    std::printf("%s\n", NumericClass(DetectArithmetic()).c_str());
    return 0;
  }
  if (!serve) {
    std::fputs(app.help().c_str(), stderr);
    return 2;
  }
  // Slurm and terminals signal every process of a job. The worker gives back
  // what it holds and hangs up; dying before it would look like a crash.
  std::signal(SIGTERM, SIG_IGN);
  std::signal(SIGINT, SIG_IGN);
  const absl::Status status = ServeEvaluator(kEvaluatorFd, OpenLocalEvaluator);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return 1;
}
