// The Workers service over a Scheduler.
#ifndef EVOPRESS_SERVER_WORKERS_SERVICE_H_
#define EVOPRESS_SERVER_WORKERS_SERVICE_H_

#include "evopress/v1/workers.grpc.pb.h"
#include "server/access.h"
#include "server/scheduler.h"

namespace evopress::server {

// Thread-safe. `scheduler` and `access` must outlive this.
class WorkersService final : public v1::Workers::Service {
 public:
  WorkersService(Scheduler& scheduler, Access& access)
      : scheduler_(scheduler), access_(access) {}

  grpc::Status OpenSession(grpc::ServerContext* context,
                           const v1::OpenSessionRequest* request,
                           v1::OpenSessionResponse* response) override;
  grpc::Status LeaseTasks(grpc::ServerContext* context,
                          const v1::LeaseTasksRequest* request,
                          v1::LeaseTasksResponse* response) override;
  grpc::Status Heartbeat(grpc::ServerContext* context,
                         const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override;
  grpc::Status CompleteTasks(grpc::ServerContext* context,
                             const v1::CompleteTasksRequest* request,
                             v1::CompleteTasksResponse* response) override;
  grpc::Status CloseSession(grpc::ServerContext* context,
                            const v1::CloseSessionRequest* request,
                            v1::CloseSessionResponse* response) override;
  grpc::Status ListWorkers(grpc::ServerContext* context,
                           const v1::ListWorkersRequest* request,
                           v1::ListWorkersResponse* response) override;
  grpc::Status DrainWorker(grpc::ServerContext* context,
                           const v1::DrainWorkerRequest* request,
                           v1::DrainWorkerResponse* response) override;

 private:
  Scheduler& scheduler_;
  Access& access_;
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_WORKERS_SERVICE_H_
