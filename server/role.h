// What the holder of a token may do, and which method needs what.
#ifndef EVOPRESS_SERVER_ROLE_H_
#define EVOPRESS_SERVER_ROLE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace evopress::server {

enum class Role {
  kView,    // sees jobs, rounds and workers; no model, no blob
  kSubmit,  // view, and uploads, creates and ends jobs, and downloads results
  kWork,    // a worker: leases and completes tasks, moves artifacts
  kAdmin,   // everything
};

absl::string_view RoleName(Role role);
std::optional<Role> ParseRole(absl::string_view name);

// The roles that may call a method, e.g. "/evopress.v1.Jobs/GetJob", besides
// admin. Unset for a method that is not in the table: nobody may call it.
std::optional<std::vector<Role>> RolesFor(absl::string_view method);

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_ROLE_H_
