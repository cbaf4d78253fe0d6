// Jobs and workers for people and as JSON.
#ifndef EVOPRESS_CLIENT_JOB_TEXT_H_
#define EVOPRESS_CLIENT_JOB_TEXT_H_

#include <string>

#include "evopress/v1/jobs.pb.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "nlohmann/json.hpp"

namespace evopress::client {

// State, progress and results of a job; the spec in short.
nlohmann::json JobJson(const v1::Job& job);

// A few lines, with the result table of an ended job.
std::string JobText(const v1::Job& job, bool bold);

// "max_tokens", "deadline", or "" if the strategy itself came to its end.
std::string StopName(const v1::Job& job);

// False if a clock decided the result: another run may end elsewhere.
bool IsReproducible(const v1::Job& job);

// What people must know of a search that was cut short, as a line; else "".
std::string StopText(const v1::Job& job);

// Tokens asked for, known already and measured.
std::string LedgerText(const v1::Job& job);

// "2026-11-22 23:55:01" in UTC, "" if unset.
std::string TimeText(const google::protobuf::Timestamp& time);

double Seconds(const google::protobuf::Duration& duration);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_JOB_TEXT_H_
