// The Jobs service over a Scheduler.
#ifndef EVOPRESS_SERVER_JOBS_SERVICE_H_
#define EVOPRESS_SERVER_JOBS_SERVICE_H_

#include <atomic>
#include <string>

#include "evopress/v1/jobs.grpc.pb.h"
#include "server/access.h"
#include "server/scheduler.h"

namespace evopress::server {

// Thread-safe. `scheduler` and `access` must outlive this.
class JobsService final : public v1::Jobs::Service {
 public:
  // Copies of the journal lie in `scratch` while they are sent.
  JobsService(Scheduler& scheduler, Access& access, const std::string& scratch)
      : scheduler_(scheduler), access_(access), scratch_(scratch) {}

  grpc::Status CreateJob(grpc::ServerContext* context,
                         const v1::CreateJobRequest* request,
                         v1::Job* response) override;
  grpc::Status GetJob(grpc::ServerContext* context,
                      const v1::GetJobRequest* request,
                      v1::Job* response) override;
  grpc::Status ListJobs(grpc::ServerContext* context,
                        const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* response) override;
  grpc::Status WatchJob(grpc::ServerContext* context,
                        const v1::WatchJobRequest* request,
                        grpc::ServerWriter<v1::Job>* writer) override;
  grpc::Status PauseJob(grpc::ServerContext* context,
                        const v1::PauseJobRequest* request,
                        v1::Job* response) override;
  grpc::Status ResumeJob(grpc::ServerContext* context,
                         const v1::ResumeJobRequest* request,
                         v1::Job* response) override;
  grpc::Status CancelJob(grpc::ServerContext* context,
                         const v1::CancelJobRequest* request,
                         v1::Job* response) override;
  grpc::Status DeleteJob(grpc::ServerContext* context,
                         const v1::DeleteJobRequest* request,
                         v1::DeleteJobResponse* response) override;
  grpc::Status ListRounds(grpc::ServerContext* context,
                          const v1::ListRoundsRequest* request,
                          v1::ListRoundsResponse* response) override;
  grpc::Status ExplainJob(grpc::ServerContext* context,
                          const v1::ExplainJobRequest* request,
                          v1::ExplainJobResponse* response) override;
  grpc::Status BackupJournal(
      grpc::ServerContext* context, const v1::BackupJournalRequest* request,
      grpc::ServerWriter<v1::BackupJournalResponse>* writer) override;

 private:
  // RESOURCE_EXHAUSTED if the caller has as many open jobs as its token allows.
  // A request that is known already creates none.
  grpc::Status CheckOpenJobs(const Caller& caller,
                             const std::string& request_id);

  Scheduler& scheduler_;
  Access& access_;
  const std::string scratch_;
  Mutex creating_;
  std::atomic<int64_t> backups_ = 0;
  std::atomic<int> watches_ = 0;
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_JOBS_SERVICE_H_
