#include "server/workers_service.h"

#include <utility>

#include "server/grpc_status.h"

namespace evopress::server {
namespace {

template <typename T>
grpc::Status Reply(absl::StatusOr<T> result, T* response) {
  if (!result.ok()) return ToGrpc(result.status());
  *response = *std::move(result);
  return grpc::Status::OK;
}

}  // namespace

grpc::Status WorkersService::OpenSession(grpc::ServerContext*,
                                         const v1::OpenSessionRequest* request,
                                         v1::OpenSessionResponse* response) {
  return Reply(scheduler_.OpenSession(*request), response);
}

grpc::Status WorkersService::LeaseTasks(grpc::ServerContext*,
                                        const v1::LeaseTasksRequest* request,
                                        v1::LeaseTasksResponse* response) {
  return Reply(scheduler_.LeaseTasks(*request), response);
}

grpc::Status WorkersService::Heartbeat(grpc::ServerContext*,
                                       const v1::HeartbeatRequest* request,
                                       v1::HeartbeatResponse* response) {
  return Reply(scheduler_.Heartbeat(*request), response);
}

grpc::Status WorkersService::CompleteTasks(
    grpc::ServerContext*, const v1::CompleteTasksRequest* request,
    v1::CompleteTasksResponse* response) {
  return Reply(scheduler_.CompleteTasks(*request), response);
}

grpc::Status WorkersService::CloseSession(
    grpc::ServerContext*, const v1::CloseSessionRequest* request,
    v1::CloseSessionResponse*) {
  return ToGrpc(scheduler_.CloseSession(request->session()));
}

grpc::Status WorkersService::ListWorkers(grpc::ServerContext*,
                                         const v1::ListWorkersRequest* request,
                                         v1::ListWorkersResponse* response) {
  return Reply(scheduler_.ListWorkers(*request), response);
}

grpc::Status WorkersService::DrainWorker(grpc::ServerContext*,
                                         const v1::DrainWorkerRequest* request,
                                         v1::DrainWorkerResponse*) {
  return ToGrpc(scheduler_.DrainWorker(request->worker_id()));
}

}  // namespace evopress::server
