// Commands of `evopressd` besides serving. They work on files, so they need no
// running coordinator; one that runs takes changed tokens over by itself.
#ifndef EVOPRESS_SERVER_COMMAND_H_
#define EVOPRESS_SERVER_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>

namespace evopress::server {

// Unset: serve. Else what main() calls; the result is the exit code.
using RunCommand = std::function<int()>;

// evopressd token add|list|rotate|revoke
void AddTokenCommand(CLI::App& app, RunCommand& run);
// evopressd certificate: a client certificate for mutual TLS
void AddCertificateCommand(CLI::App& app, RunCommand& run);

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_COMMAND_H_
