// Why a job stands where it stands, in sentences for people.
#ifndef EVOPRESS_SERVER_EXPLANATION_H_
#define EVOPRESS_SERVER_EXPLANATION_H_

#include "evopress/v1/jobs.pb.h"
#include "server/lease_table.h"

namespace evopress::server {

// `counts` is of this job alone.
v1::ExplainJobResponse Explain(const v1::Job& job,
                               const LeaseTable::Counts& counts);

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_EXPLANATION_H_
