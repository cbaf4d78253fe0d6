#include "worker/channel_flags.h"

#include <cstdlib>

namespace evopress::worker {

void AddChannelFlags(CLI::App& app, CoordinatorAddress& to) {
  app.add_option(
         "--server", to.address,
         "Address of the coordinator, host:port or unix:PATH; of several "
         "that share a journal all, separated by commas")
      ->envname("EVOPRESS_SERVER")
      ->capture_default_str();
  app.add_option("--tls-ca", to.ca,
                 "Authority that the coordinator's certificate is of (its "
                 "DATA/tls/ca.pem); else those of this system")
      ->envname("EVOPRESS_TLS_CA");
  app.add_option("--tls-cert", to.certificate,
                 "Certificate to show, for mutual TLS")
      ->envname("EVOPRESS_TLS_CERT");
  app.add_option("--tls-key", to.key, "Private key of --tls-cert")
      ->envname("EVOPRESS_TLS_KEY");
  app.add_option("--token-file", to.token_file,
                 "File with a token (evopressd token add), read again when it "
                 "changes; or the token itself in EVOPRESS_TOKEN")
      ->envname("EVOPRESS_TOKEN_FILE");
  app.add_flag("--insecure", to.insecure,
               "No TLS, for networks that you trust");
  if (const char* token = std::getenv("EVOPRESS_TOKEN"); token != nullptr) {
    to.token = token;
  }
}

}  // namespace evopress::worker
