// evopressd certificate: a client certificate of the coordinator's own
// authority, for mutual TLS.
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/command.h"
#include "server/secret_file.h"
#include "server/tls_identity.h"

namespace evopress::server {
namespace {

struct CertificateFlags {
  std::string data_dir;
  std::string name;
  std::string out;
  int days = 365;
};

absl::Status Make(const CertificateFlags& flags) {
  const std::string dir = flags.data_dir + "/tls";
  // The authority may be needed before the first start.
  auto identity = EnsureTlsIdentity(dir, CertificateNames({}, {}), absl::Now());
  if (!identity.ok()) return identity.status();
  auto made = MakeClientCertificate(dir, flags.name,
                                    absl::Hours(24) * flags.days, absl::Now());
  if (!made.ok()) return made.status();
  return ReplaceFile(flags.out, absl::StrCat(made->certificate, made->key),
                     0600);
}

int Run(const CertificateFlags& flags) {
  const absl::Status status = Make(flags);
  if (status.ok()) return 0;
  std::fprintf(stderr, "evopressd certificate: %s\n",
               std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

}  // namespace

void AddCertificateCommand(CLI::App& app, RunCommand& run) {
  auto flags = std::make_shared<CertificateFlags>();
  CLI::App* command = app.add_subcommand(
      "certificate",
      "Makes a client certificate, signed by the authority in DATA/tls, with\n"
      "its key in the same file. Give it to --tls-cert and --tls-key of a\n"
      "client, and DATA/tls/ca.pem to --tls-client-ca of evopressd.\n\n"
      "Example:\n  evopressd certificate --name w1 --data /var/lib/evopress "
      "--out w1.pem\n");
  command
      ->add_option("--data", flags->data_dir,
                   "Data directory of the coordinator")
      ->required();
  command->add_option("--name", flags->name, "Whom it is for")->required();
  command->add_option("--out", flags->out, "File to write (mode 0600)")
      ->required();
  command->add_option("--days", flags->days, "Days that it is good for")
      ->check(CLI::Range(1, 3650))
      ->capture_default_str();
  command->callback([flags, &run] { run = [flags] { return Run(*flags); }; });
}

}  // namespace evopress::server
