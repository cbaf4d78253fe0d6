// evopress-evaluator-torch: the torch engine as a child process. A worker
// starts it as --evaluator; what the worker does not say comes from the
// environment.
#include <csignal>
#include <cstdio>

#include "CLI/CLI.hpp"
#include "worker/evaluator_protocol.h"
#include "worker/evaluator_server.h"
#include "worker/torch/device.h"
#include "worker/torch/evaluator.h"

int main(int argc, char** argv) {
  using namespace evopress::worker;
  CLI::App app{
      "Measures compressed models with torch for evopress; started by\n"
      "evopress-worker --evaluator evopress-evaluator-torch.\n\n"
      "Example:\n"
      "  EVOPRESS_TORCH_DEVICE=cuda:1 evopress-worker --server HOST:50071 \\\n"
      "      --evaluator evopress-evaluator-torch"};
  bool serve = false;
  bool numeric_class = false;
  TorchOptions torch;
  app.add_flag("--serve", serve,
               "speak the evaluator protocol on descriptor 3");
  app.add_flag("--numeric-class", numeric_class,
               "print the name of this device's arithmetic");
  app.add_option("--device", torch.device, "cpu, cuda or cuda:N")
      ->envname("EVOPRESS_TORCH_DEVICE")
      ->capture_default_str();
  app.add_option("--precision", torch.precision,
                 "what matrix products read: bf16 or f32")
      ->envname("EVOPRESS_TORCH_PRECISION")
      ->capture_default_str();
  app.add_option("--device-memory", torch.device_memory,
                 "bound of prepared weights and hidden states on the device, "
                 "as 8GiB (default: the worker's --memory)")
      ->envname("EVOPRESS_TORCH_DEVICE_MEMORY")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (!serve && !numeric_class) {
    std::fputs(app.help().c_str(), stderr);
    return 2;
  }
  absl::Status status;
  if (numeric_class) {
    const auto device = OpenTorchDevice(torch);
    status = device.status();
    if (device.ok()) std::printf("%s\n", TorchNumericClass(*device).c_str());
  } else {
    // As in evaluator_main.cc: signals to the whole job are for the worker.
    std::signal(SIGTERM, SIG_IGN);
    std::signal(SIGINT, SIG_IGN);
    status = ServeEvaluator(kEvaluatorFd, [&](const std::string& path,
                                              const EvaluatorOptions& options) {
      return OpenTorchEvaluator(path, options, torch);
    });
  }
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return 1;
}
