#include "server/artifacts_service.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "proto/conversions.h"
#include "server/grpc_status.h"

namespace evopress::server {
namespace {

constexpr int kMaxStats = 10'000;
constexpr int64_t kChunkBytes = int64_t{1} << 20;

// Answers an upload before its end. In process the client's next write would
// wait for ever once the call has been answered, so what it still sends is
// taken. Over a socket it is told at once, whatever it had in mind to send.
grpc::Status AnswerEarly(const grpc::ServerContext& context,
                         grpc::ServerReader<v1::UploadArtifactRequest>* reader,
                         const grpc::Status& status) {
  if (IsInProcess(context)) {
    v1::UploadArtifactRequest ignored;
    while (reader->Read(&ignored)) {
    }
  }
  return status;
}

}  // namespace

grpc::Status ArtifactsService::StatArtifacts(
    grpc::ServerContext* context, const v1::StatArtifactsRequest* request,
    v1::StatArtifactsResponse* response) {
  if (auto s = access_.Check(*context, "/evopress.v1.Artifacts/StatArtifacts");
      !s.ok())
    return s;
  if (request->sha256_size() > kMaxStats) {
    return ToGrpc(absl::InvalidArgumentError(
        absl::StrCat(request->sha256_size(), " hashes in one call; ", kMaxStats,
                     " are possible")));
  }
  for (const std::string& sha256 : request->sha256()) {
    if (!proto::IsSha256(sha256)) {
      return ToGrpc(absl::InvalidArgumentError(
          "an artifact is named by 64 lower-case hex digits"));
    }
    response->add_size_bytes(store_.Size(sha256));
  }
  return grpc::Status::OK;
}

grpc::Status ArtifactsService::UploadArtifact(
    grpc::ServerContext* context,
    grpc::ServerReader<v1::UploadArtifactRequest>* reader,
    v1::UploadArtifactResponse* response) {
  Caller caller;
  if (auto s = access_.Check(*context, "/evopress.v1.Artifacts/UploadArtifact",
                             &caller);
      !s.ok())
    return s;
  v1::UploadArtifactRequest message;
  if (!reader->Read(&message) || !message.has_header()) {
    return ToGrpc(
        absl::InvalidArgumentError("the first message must be the header"));
  }
  const std::string sha256 = message.header().sha256();
  const int64_t size = message.header().size_bytes();
  if (proto::IsSha256(sha256) && store_.Size(sha256) == size) {
    response->set_existed(true);
    return AnswerEarly(*context, reader, grpc::Status::OK);
  }
  if (auto s = access_.CheckUpload(caller, size); !s.ok()) {
    return AnswerEarly(*context, reader, s);
  }
  auto writer = store_.Create(sha256, size);
  if (!writer.ok())
    return AnswerEarly(*context, reader, ToGrpc(writer.status()));
  while (reader->Read(&message)) {
    if (!message.has_data() ||
        static_cast<int64_t>(message.data().size()) > kChunkBytes) {
      return AnswerEarly(*context, reader,
                         ToGrpc(absl::InvalidArgumentError(absl::StrCat(
                             "after the header come messages with at most ",
                             kChunkBytes, " bytes of data"))));
    }
    absl::Status status = (*writer)->Append(message.data());
    if (!status.ok()) return AnswerEarly(*context, reader, ToGrpc(status));
  }
  return ToGrpc((*writer)->Commit());
}

grpc::Status ArtifactsService::DownloadArtifact(
    grpc::ServerContext* context, const v1::DownloadArtifactRequest* request,
    grpc::ServerWriter<v1::DownloadArtifactResponse>* writer) {
  if (auto s =
          access_.Check(*context, "/evopress.v1.Artifacts/DownloadArtifact");
      !s.ok())
    return s;
  auto reader = store_.OpenForReading(request->sha256());
  if (!reader.ok()) return ToGrpc(reader.status());
  const int64_t size = (*reader)->size();
  if (request->offset() < 0 || request->offset() > size) {
    return ToGrpc(absl::OutOfRangeError(absl::StrCat(
        "offset ", request->offset(), " lies outside the ", size, " bytes")));
  }
  for (int64_t offset = request->offset(); offset < size;
       offset += kChunkBytes) {
    auto bytes = (*reader)->Read(offset, kChunkBytes);
    if (!bytes.ok()) return ToGrpc(bytes.status());
    v1::DownloadArtifactResponse message;
    *message.mutable_data() = *std::move(bytes);
    if (!writer->Write(message)) break;  // the client is gone
  }
  return grpc::Status::OK;
}

}  // namespace evopress::server
