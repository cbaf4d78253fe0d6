#include "client/connection.h"

#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "worker/channel_flags.h"

namespace evopress::client {

void AddConnectionFlags(CLI::App& app, ConnectionFlags& flags) {
  worker::AddChannelFlags(app, flags.server);
  app.add_option("--data", flags.data_dir,
                 "Instead of a server: the data folder of `evopress search`");
}

absl::StatusOr<Connection> Connect(const ConnectionFlags& flags) {
  Connection connection;
  std::function<absl::Status()> why_unavailable;
  if (flags.data_dir.empty()) {
    auto link = OpenLink(flags.server);
    if (!link.ok()) return link.status();
    connection.link = *std::move(link);
    why_unavailable = [to = flags.server] {
      return worker::CheckCoordinatorTls(to);
    };
  } else {
    std::error_code error;
    if (!std::filesystem::is_directory(flags.data_dir, error)) {
      return absl::NotFoundError(
          absl::StrCat("data folder \"", flags.data_dir, "\" does not exist"));
    }
    LocalServiceOptions options;
    options.data_dir = flags.data_dir;
    options.workers = 0;
    auto service = LocalService::Start(options);
    if (!service.ok()) return service.status();
    connection.service = *std::move(service);
    connection.link = connection.service->link();
    connection.data_dir = flags.data_dir;
  }
  connection.client = std::make_unique<ServiceClient>(
      connection.link, std::move(why_unavailable));
  return connection;
}

std::string JobName(const std::string& text) {
  return absl::StartsWith(text, "jobs/") ? text : absl::StrCat("jobs/", text);
}

}  // namespace evopress::client
