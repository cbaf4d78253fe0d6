// The Artifacts service over an ArtifactStore.
#ifndef EVOPRESS_SERVER_ARTIFACTS_SERVICE_H_
#define EVOPRESS_SERVER_ARTIFACTS_SERVICE_H_

#include "evopress/v1/artifacts.grpc.pb.h"
#include "server/artifact_store.h"

namespace evopress::server {

// Thread-safe. `store` must outlive this.
class ArtifactsService final : public v1::Artifacts::Service {
 public:
  explicit ArtifactsService(ArtifactStore& store) : store_(store) {}

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
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_ARTIFACTS_SERVICE_H_
