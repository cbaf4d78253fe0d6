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

grpc::Status WorkersService::OpenSession(grpc::ServerContext* context,
                                         const v1::OpenSessionRequest* request,
                                         v1::OpenSessionResponse* response) {
  if (auto s = access_.Check(*context, "/evopress.v1.Workers/OpenSession");
      !s.ok())
    return s;
  return Reply(scheduler_.OpenSession(*request), response);
}

grpc::Status WorkersService::LeaseTasks(grpc::ServerContext* context,
                                        const v1::LeaseTasksRequest* request,
                                        v1::LeaseTasksResponse* response) {
  if (auto s = access_.Check(*context, "/evopress.v1.Workers/LeaseTasks");
      !s.ok())
    return s;
  return Reply(scheduler_.LeaseTasks(*request), response);
}

grpc::Status WorkersService::Heartbeat(grpc::ServerContext* context,
                                       const v1::HeartbeatRequest* request,
                                       v1::HeartbeatResponse* response) {
  if (auto s = access_.Check(*context, "/evopress.v1.Workers/Heartbeat");
      !s.ok())
    return s;
  return Reply(scheduler_.Heartbeat(*request), response);
}

grpc::Status WorkersService::CompleteTasks(
    grpc::ServerContext* context, const v1::CompleteTasksRequest* request,
    v1::CompleteTasksResponse* response) {
  if (auto s = access_.Check(*context, "/evopress.v1.Workers/CompleteTasks");
      !s.ok())
    return s;
  return Reply(scheduler_.CompleteTasks(*request), response);
}

grpc::Status WorkersService::CloseSession(
    grpc::ServerContext* context, const v1::CloseSessionRequest* request,
    v1::CloseSessionResponse*) {
  if (auto s = access_.Check(*context, "/evopress.v1.Workers/CloseSession");
      !s.ok())
    return s;
  return ToGrpc(scheduler_.CloseSession(request->session()));
}

grpc::Status WorkersService::ListWorkers(grpc::ServerContext* context,
                                         const v1::ListWorkersRequest* request,
                                         v1::ListWorkersResponse* response) {
  if (auto s = access_.Check(*context, "/evopress.v1.Workers/ListWorkers");
      !s.ok())
    return s;
  return Reply(scheduler_.ListWorkers(*request), response);
}

grpc::Status WorkersService::DrainWorker(grpc::ServerContext* context,
                                         const v1::DrainWorkerRequest* request,
                                         v1::DrainWorkerResponse*) {
  if (auto s = access_.Check(*context, "/evopress.v1.Workers/DrainWorker");
      !s.ok())
    return s;
  return ToGrpc(scheduler_.DrainWorker(request->worker_id()));
}

}  // namespace evopress::server
