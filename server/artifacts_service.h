// The Artifacts service over an ArtifactStore.
#ifndef EVOPRESS_SERVER_ARTIFACTS_SERVICE_H_
#define EVOPRESS_SERVER_ARTIFACTS_SERVICE_H_

#include "evopress/v1/artifacts.grpc.pb.h"
#include "server/access.h"
#include "server/artifact_store.h"

namespace evopress::server {

// Thread-safe. `store` and `access` must outlive this.
class ArtifactsService final : public v1::Artifacts::Service {
 public:
  ArtifactsService(ArtifactStore& store, Access& access)
      : store_(store), access_(access) {}

  grpc::Status StatArtifacts(grpc::ServerContext* context,
                             const v1::StatArtifactsRequest* request,
                             v1::StatArtifactsResponse* response) override;
  grpc::Status UploadArtifact(
      grpc::ServerContext* context,
      grpc::ServerReader<v1::UploadArtifactRequest>* reader,
      v1::UploadArtifactResponse* response) override;
  grpc::Status DownloadArtifact(
      grpc::ServerContext* context, const v1::DownloadArtifactRequest* request,
      grpc::ServerWriter<v1::DownloadArtifactResponse>* writer) override;

 private:
  ArtifactStore& store_;
  Access& access_;
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_ARTIFACTS_SERVICE_H_
