// evopressd token: makes, lists, rotates and revokes bearer tokens.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/command.h"
#include "server/token_table.h"

namespace evopress::server {
namespace {

struct TokenFlags {
  std::string data_dir;
  std::string file;
  std::string name;
  std::string role;
  int days = 0;
  std::string grace = "24h";
  TokenLimits limits;
};

int Report(const absl::Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "evopressd token: %s\n",
               std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

absl::StatusOr<std::string> PathOf(const TokenFlags& flags) {
  if (!flags.file.empty()) return flags.file;
  if (flags.data_dir.empty()) {
    return absl::InvalidArgumentError("give --data (or --token-file)");
  }
  std::error_code error;
  std::filesystem::create_directories(flags.data_dir, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("cannot make ", flags.data_dir));
  }
  return flags.data_dir + "/tokens.json";
}

absl::StatusOr<TokenTable> LoadOrEmpty(const std::string& path) {
  auto table = TokenTable::Load(path);
  if (absl::IsNotFound(table.status())) return TokenTable();
  return table;
}

// Reads, changes and writes the file; two commands at once take turns.
absl::Status Change(const TokenFlags& flags,
                    const std::function<absl::Status(TokenTable&)>& change) {
  auto path = PathOf(flags);
  if (!path.ok()) return path.status();
  const std::string lock = *path + ".lock";
  const int fd = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, "cannot open " + lock);
  absl::Status status;
  if (::flock(fd, LOCK_EX) != 0) {
    status = absl::ErrnoToStatus(errno, "cannot lock " + lock);
  } else if (auto table = LoadOrEmpty(*path); !table.ok()) {
    status = table.status();
  } else if (status = change(*table); status.ok()) {
    status = table->Save(*path);
  }
  ::close(fd);
  return status;
}

absl::Time ExpiryOf(const TokenFlags& flags) {
  return flags.days > 0 ? absl::Now() + absl::Hours(24) * flags.days
                        : absl::InfiniteFuture();
}

// The secret alone on standard output, so that it can go into a file.
absl::Status Print(const absl::Status& saved, const std::string& secret) {
  if (saved.ok()) std::printf("%s\n", secret.c_str());
  return saved;
}

absl::Status Add(const TokenFlags& flags) {
  Token token;
  token.name = flags.name;
  token.role = *ParseRole(flags.role);  // CLI11 has checked it
  token.expires = ExpiryOf(flags);
  token.limits = flags.limits;
  std::string secret;
  return Print(Change(flags,
                      [&](TokenTable& table) {
                        auto added = table.Add(token, absl::Now());
                        if (added.ok()) secret = *added;
                        return added.status();
                      }),
               secret);
}

absl::Status Rotate(const TokenFlags& flags) {
  absl::Duration grace;
  if (!absl::ParseDuration(flags.grace, &grace) ||
      grace < absl::ZeroDuration() || grace > absl::Hours(24 * 366)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--grace \"", flags.grace, "\" is no duration between 0s and 8784h"));
  }
  std::string secret;
  return Print(Change(flags,
                      [&](TokenTable& table) {
                        auto rotated = table.Rotate(
                            flags.name, grace, ExpiryOf(flags), absl::Now());
                        if (rotated.ok()) secret = *rotated;
                        return rotated.status();
                      }),
               secret);
}

absl::Status Revoke(const TokenFlags& flags) {
  return Change(flags,
                [&](TokenTable& table) { return table.Revoke(flags.name); });
}

std::string Day(absl::Time time) {
  return time == absl::InfiniteFuture()
             ? "never"
             : absl::FormatTime("%Y-%m-%d %H:%M", time, absl::UTCTimeZone());
}

absl::Status List(const TokenFlags& flags) {
  auto path = PathOf(flags);
  if (!path.ok()) return path.status();
  auto table = LoadOrEmpty(*path);
  if (!table.ok()) return table.status();
  std::printf("%-24s %-7s %-17s %-17s %s\n", "name", "role", "made (UTC)",
              "expires (UTC)", "limits");
  for (const Token& token : table->tokens()) {
    std::string limits;
    if (token.limits.requests_per_second > 0) {
      absl::StrAppend(&limits, token.limits.requests_per_second,
                      " requests/s  ");
    }
    if (token.limits.open_jobs > 0) {
      absl::StrAppend(&limits, token.limits.open_jobs, " open jobs  ");
    }
    if (token.limits.upload_bytes_per_day > 0) {
      absl::StrAppend(&limits, token.limits.upload_bytes_per_day,
                      " bytes uploaded/day");
    }
    std::printf("%-24s %-7s %-17s %-17s %s%s\n", token.name.c_str(),
                std::string(RoleName(token.role)).c_str(),
                Day(token.created).c_str(), Day(token.expires).c_str(),
                limits.c_str(),
                absl::Now() < token.previous_expires
                    ? absl::StrCat(" (the secret before is good until ",
                                   Day(token.previous_expires), ")")
                          .c_str()
                    : "");
  }
  return absl::OkStatus();
}

CLI::App* AddOne(CLI::App& parent, RunCommand& run, const char* name,
                 const char* help, const std::shared_ptr<TokenFlags>& flags,
                 absl::Status (*action)(const TokenFlags&)) {
  CLI::App* command = parent.add_subcommand(name, help);
  command->add_option("--data", flags->data_dir,
                      "Data directory of the coordinator");
  command->add_option("--token-file", flags->file,
                      "Token file, if it is not DATA/tokens.json");
  command->callback([flags, action, &run] {
    run = [flags, action] { return Report(action(*flags)); };
  });
  return command;
}

void AddName(CLI::App* command, TokenFlags& flags) {
  command->add_option("--name", flags.name, "Name of the token")->required();
}

void AddExpiry(CLI::App* command, TokenFlags& flags) {
  command
      ->add_option("--days", flags.days,
                   "Days that it is good for; 0: until revoked")
      ->check(CLI::Range(0, 36500))
      ->capture_default_str();
}

}  // namespace

void AddTokenCommand(CLI::App& app, RunCommand& run) {
  auto flags = std::make_shared<TokenFlags>();
  CLI::App* token = app.add_subcommand(
      "token",
      "Makes, lists, rotates and revokes tokens. A running coordinator takes\n"
      "changes over within a second. Once there is a token file, every call\n"
      "needs a token, over loopback too.\n\n"
      "Example:\n  evopressd token add --role work --name w1 --data "
      "/var/lib/evopress > w1.token\n");
  token->require_subcommand(1);
  CLI::App* add =
      AddOne(*token, run, "add",
             "Makes a token and prints its secret, once.\n\nExample:\n  "
             "evopressd token add --role submit --name ann --days 90 --data "
             "/var/lib/evopress\n",
             flags, Add);
  AddName(add, *flags);
  AddExpiry(add, *flags);
  add->add_option("--role", flags->role,
                  "view: sees jobs and workers. submit: and creates jobs. "
                  "work: a worker. admin: everything")
      ->check(CLI::IsMember({"view", "submit", "work", "admin"}))
      ->required();
  add->add_option("--requests-per-second", flags->limits.requests_per_second,
                  "Calls a second; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  add->add_option("--open-jobs", flags->limits.open_jobs,
                  "Jobs at once that have not ended; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  add->add_option("--upload-per-day", flags->limits.upload_bytes_per_day,
                  "Bytes uploaded a day, e.g. 20GiB; 0: no limit")
      ->transform(CLI::AsSizeValue(false));
  AddOne(*token, run, "list",
         "All tokens; secrets are kept nowhere.\n\nExample:\n  evopressd token "
         "list --data /var/lib/evopress\n",
         flags, List);
  CLI::App* rotate =
      AddOne(*token, run, "rotate",
             "Makes a new secret for a token and prints it. The one before\n"
             "stays good for a while, so that nothing stops.\n\nExample:\n  "
             "evopressd token rotate --name w1 --data /var/lib/evopress > "
             "w1.token\n",
             flags, Rotate);
  AddName(rotate, *flags);
  AddExpiry(rotate, *flags);
  rotate
      ->add_option("--grace", flags->grace,
                   "How long the secret before stays good")
      ->capture_default_str();
  CLI::App* revoke =
      AddOne(*token, run, "revoke",
             "Ends a token at once.\n\nExample:\n  evopressd token revoke "
             "--name w1 --data /var/lib/evopress\n",
             flags, Revoke);
  AddName(revoke, *flags);
}

}  // namespace evopress::server
