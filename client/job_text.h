// Jobs and workers for people and as JSON.
#ifndef EVOPRESS_CLIENT_JOB_TEXT_H_
#define EVOPRESS_CLIENT_JOB_TEXT_H_

#include <string>

#include "evopress/v1/jobs.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "nlohmann/json.hpp"

namespace evopress::client {

// State, progress and results of a job; the spec in short.
nlohmann::json JobJson(const v1::Job& job);

// A few lines, with the result table of an ended job.
std::string JobText(const v1::Job& job, bool bold);

// "2026-11-22 23:55:01" in UTC, "" if unset.
std::string TimeText(const google::protobuf::Timestamp& time);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_JOB_TEXT_H_
