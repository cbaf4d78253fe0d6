#include "server/role.h"

namespace evopress::server {
namespace {

struct Rule {
  absl::string_view method;
  std::vector<Role> roles;
};

// Every method of every service of ours. tests/server/access_test.cc walks the
// services and finds what is missing here or not checked.
const std::vector<Rule>& Rules() {
  using enum Role;
  static const auto* rules = new std::vector<Rule>{
      {"/evopress.v1.Jobs/CreateJob", {kSubmit}},
      {"/evopress.v1.Jobs/GetJob", {kView, kSubmit}},
      {"/evopress.v1.Jobs/ListJobs", {kView, kSubmit}},
      {"/evopress.v1.Jobs/WatchJob", {kView, kSubmit}},
      {"/evopress.v1.Jobs/PauseJob", {kSubmit}},
      {"/evopress.v1.Jobs/ResumeJob", {kSubmit}},
      {"/evopress.v1.Jobs/CancelJob", {kSubmit}},
      {"/evopress.v1.Jobs/DeleteJob", {kSubmit}},
      {"/evopress.v1.Jobs/ListRounds", {kView, kSubmit}},
      {"/evopress.v1.Jobs/ExplainJob", {kView, kSubmit}},
      {"/evopress.v1.Jobs/BackupJournal", {}},
      {"/evopress.v1.Workers/OpenSession", {kWork}},
      {"/evopress.v1.Workers/LeaseTasks", {kWork}},
      {"/evopress.v1.Workers/Heartbeat", {kWork}},
      {"/evopress.v1.Workers/CompleteTasks", {kWork}},
      {"/evopress.v1.Workers/CloseSession", {kWork}},
      {"/evopress.v1.Workers/ListWorkers", {kView, kSubmit}},
      {"/evopress.v1.Workers/DrainWorker", {}},
      {"/evopress.v1.Artifacts/StatArtifacts", {kSubmit, kWork}},
      {"/evopress.v1.Artifacts/UploadArtifact", {kSubmit, kWork}},
      {"/evopress.v1.Artifacts/DownloadArtifact", {kSubmit, kWork}},
  };
  return *rules;
}

}  // namespace

absl::string_view RoleName(Role role) {
  switch (role) {
    case Role::kView:
      return "view";
    case Role::kSubmit:
      return "submit";
    case Role::kWork:
      return "work";
    case Role::kAdmin:
      return "admin";
  }
  return "";
}

std::optional<Role> ParseRole(absl::string_view name) {
  for (Role role : {Role::kView, Role::kSubmit, Role::kWork, Role::kAdmin}) {
    if (RoleName(role) == name) return role;
  }
  return std::nullopt;
}

std::optional<std::vector<Role>> RolesFor(absl::string_view method) {
  for (const Rule& rule : Rules()) {
    if (rule.method == method) return rule.roles;
  }
  return std::nullopt;
}

}  // namespace evopress::server
