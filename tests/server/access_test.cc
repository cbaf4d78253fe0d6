// Who may call what, over real sockets.
#include "server/access.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "evopress/v1/artifacts.grpc.pb.h"
#include "evopress/v1/jobs.grpc.pb.h"
#include "evopress/v1/workers.pb.h"
#include "search/sha256.h"
#include "server/coordinator.h"
#include "server/tls_identity.h"
#include "worker/coordinator_channel.h"

namespace evopress::server {
namespace {

using testing::HasSubstr;

class AccessTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/evopress-access-XXXXXX";
    dir_ = ::mkdtemp(name);
    options_.data_dir = dir_ + "/data";
    std::filesystem::create_directories(options_.data_dir);
  }
  void TearDown() override {
    coordinator_.reset();
    std::filesystem::remove_all(dir_);
  }

  std::string AddToken(Role role, absl::Time expires = absl::InfiniteFuture(),
                       TokenLimits limits = {}) {
    auto table = TokenTable::Load(TokenFile());
    TokenTable tokens = table.ok() ? *table : TokenTable();
    Token token;
    token.name = absl::StrCat("t", tokens.tokens().size());
    token.role = role;
    token.expires = expires;
    token.limits = limits;
    const std::string secret = tokens.Add(token, absl::Now()).value();
    EXPECT_TRUE(tokens.Save(TokenFile()).ok());
    return secret;
  }
  std::string TokenFile() const { return options_.data_dir + "/tokens.json"; }

  void Start(const std::string& listen) {
    options_.listen = {listen};
    auto coordinator = Coordinator::Start(options_);
    ASSERT_TRUE(coordinator.ok()) << coordinator.status();
    coordinator_ = *std::move(coordinator);
    const std::string address = coordinator_->addresses()[0];
    port_ = address.substr(address.rfind(':'));
  }
  std::string Loopback() const { return "127.0.0.1" + port_; }

  static grpc::Status ListJobs(const worker::CoordinatorAddress& to) {
    auto channel = worker::OpenCoordinatorChannel(to, {});
    if (!channel.ok()) {
      return {grpc::StatusCode::INVALID_ARGUMENT,
              std::string(channel.status().message())};
    }
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::seconds(10));
    v1::ListJobsResponse response;
    return v1::Jobs::NewStub(*channel)->ListJobs(&context, {}, &response);
  }
  worker::CoordinatorAddress With(const std::string& token) const {
    worker::CoordinatorAddress to;
    to.address = Loopback();
    to.token = token;
    return to;
  }

  // Calls any method with an empty request.
  grpc::Status CallEmpty(const std::string& method, const std::string& token) {
    auto channel = worker::OpenCoordinatorChannel(With(token), {}).value();
    grpc::GenericStub stub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::seconds(10));
    grpc::CompletionQueue queue;
    auto call = stub.PrepareCall(&context, method, &queue);
    void* tag;
    bool ok;
    call->StartCall(nullptr);
    queue.Next(&tag, &ok);
    const grpc::Slice empty;
    if (ok) {
      call->WriteLast(grpc::ByteBuffer(&empty, 1), grpc::WriteOptions(),
                      nullptr);
      queue.Next(&tag, &ok);
    }
    grpc::ByteBuffer answer;
    call->Read(&answer, nullptr);
    queue.Next(&tag, &ok);
    grpc::Status status;
    call->Finish(&status, nullptr);
    queue.Next(&tag, &ok);
    return status;
  }

  std::string dir_;
  std::string port_;
  CoordinatorOptions options_;
  std::unique_ptr<Coordinator> coordinator_;
};

std::vector<std::string> AllMethods() {
  std::vector<std::string> methods;
  for (const google::protobuf::FileDescriptor* const file :
       {v1::JobSpec::descriptor()->file(), v1::Task::descriptor()->file(),
        v1::LeaseTasksRequest::descriptor()->file(),
        v1::StatArtifactsRequest::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        methods.push_back(absl::StrCat("/", file->service(s)->full_name(), "/",
                                       file->service(s)->method(m)->name()));
      }
    }
  }
  return methods;
}

TEST_F(AccessTest, EveryMethodAsksForATokenAndARole) {
  const std::string view = AddToken(Role::kView);
  const std::string submit = AddToken(Role::kSubmit);
  const std::string work = AddToken(Role::kWork);
  Start("127.0.0.1:0");
  const std::vector<std::string> methods = AllMethods();
  ASSERT_GE(methods.size(), 19u);
  for (const std::string& method : methods) {
    SCOPED_TRACE(method);
    const auto roles = RolesFor(method);
    ASSERT_TRUE(roles.has_value());
    EXPECT_EQ(CallEmpty(method, "").error_code(),
              grpc::StatusCode::UNAUTHENTICATED);
    EXPECT_EQ(CallEmpty(method, "made-up").error_code(),
              grpc::StatusCode::UNAUTHENTICATED);
    const std::pair<Role, std::string> holders[] = {
        {Role::kView, view}, {Role::kSubmit, submit}, {Role::kWork, work}};
    for (const auto& [role, secret] : holders) {
      const grpc::Status status = CallEmpty(method, secret);
      const bool allowed =
          std::find(roles->begin(), roles->end(), role) != roles->end();
      EXPECT_EQ(status.error_code() != grpc::StatusCode::PERMISSION_DENIED,
                allowed)
          << RoleName(role) << ": " << status.error_message();
      EXPECT_NE(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
    }
  }
}

TEST_F(AccessTest, WithoutATokenFileLoopbackIsOpen) {
  Start("127.0.0.1:0");
  EXPECT_TRUE(ListJobs(With("")).ok());
}

TEST_F(AccessTest, TheEmbeddingProcessNeedsNoToken) {
  AddToken(Role::kView);
  Start("127.0.0.1:0");
  auto channel = coordinator_->InProcessChannel();
  grpc::ClientContext context;
  v1::ListJobsResponse response;
  EXPECT_TRUE(
      v1::Jobs::NewStub(channel)->ListJobs(&context, {}, &response).ok());
}

// In process, a client that writes on after the answer would wait for ever.
TEST_F(AccessTest, AnUploadOfWhatIsThereEndsInProcessToo) {
  Start("127.0.0.1:0");
  auto channel = coordinator_->InProcessChannel();
  const std::string bytes(3 << 20, 'x');
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::seconds(10));
    v1::UploadArtifactResponse response;
    auto writer =
        v1::Artifacts::NewStub(channel)->UploadArtifact(&context, &response);
    v1::UploadArtifactRequest part;
    part.mutable_header()->set_sha256(search::Sha256Hex(bytes));
    part.mutable_header()->set_size_bytes(static_cast<int64_t>(bytes.size()));
    bool open = writer->Write(part);
    for (size_t at = 0; open && at < bytes.size(); at += 1 << 20) {
      part.set_data(bytes.substr(at, 1 << 20));
      open = writer->Write(part);
    }
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    ASSERT_TRUE(status.ok()) << i << ": " << status.error_message();
    EXPECT_EQ(response.existed(), i > 0);
  }
}

TEST_F(AccessTest, ExpiredTokensAndLimitsAreTold) {
  const std::string old = AddToken(Role::kView, absl::Now() - absl::Hours(1));
  TokenLimits limits;
  limits.requests_per_second = 0.5;
  const std::string slow =
      AddToken(Role::kView, absl::InfiniteFuture(), limits);
  Start("127.0.0.1:0");
  const grpc::Status expired = ListJobs(With(old));
  EXPECT_EQ(expired.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(expired.error_message(), HasSubstr("expired"));
  grpc::Status status;
  for (int i = 0; i < 10 && status.ok(); ++i) status = ListJobs(With(slow));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED)
      << status.error_message();
}

TEST_F(AccessTest, TokensChangeWithoutARestart) {
  const std::string first = AddToken(Role::kView);
  Start("127.0.0.1:0");
  ASSERT_TRUE(ListJobs(With(first)).ok());
  const std::string second = AddToken(Role::kView);
  absl::SleepFor(absl::Milliseconds(300));
  EXPECT_TRUE(ListJobs(With(second)).ok());
  TokenTable tokens = *TokenTable::Load(TokenFile());
  ASSERT_TRUE(tokens.Revoke("t0").ok());
  ASSERT_TRUE(tokens.Save(TokenFile()).ok());
  absl::SleepFor(absl::Milliseconds(300));
  EXPECT_EQ(ListJobs(With(first)).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(AccessTest, NoSecretIsKept) {
  const std::string secret = AddToken(Role::kWork);
  std::stringstream text;
  text << std::ifstream(TokenFile()).rdbuf();
  EXPECT_THAT(text.str(), testing::Not(HasSubstr(secret)));
  struct stat info;
  ASSERT_EQ(::stat(TokenFile().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(AccessTest, PathEscapesAreRefused) {
  Start("127.0.0.1:0");
  auto channel = worker::OpenCoordinatorChannel(With(""), {}).value();
  for (const char* const name :
       {"../../etc/passwd", "/etc/passwd", "", "..", "jobs/../x"}) {
    grpc::ClientContext download;
    v1::DownloadArtifactRequest request;
    request.set_sha256(name);
    auto reader =
        v1::Artifacts::NewStub(channel)->DownloadArtifact(&download, request);
    v1::DownloadArtifactResponse part;
    EXPECT_FALSE(reader->Read(&part)) << name;
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT)
        << name;
    grpc::ClientContext get;
    v1::GetJobRequest job;
    job.set_name(name);
    v1::Job found;
    EXPECT_FALSE(v1::Jobs::NewStub(channel)->GetJob(&get, job, &found).ok())
        << name;
  }
}

TEST_F(AccessTest, LargeMessagesAndUploadsAreRefused) {
  options_.max_artifact_bytes = int64_t{1} << 30;
  Start("127.0.0.1:0");
  auto channel = worker::OpenCoordinatorChannel(With(""), {}).value();
  grpc::ClientContext context;
  v1::GetJobRequest request;
  request.set_name(std::string(80 << 20, 'x'));
  v1::Job job;
  EXPECT_EQ(
      v1::Jobs::NewStub(channel)->GetJob(&context, request, &job).error_code(),
      grpc::StatusCode::RESOURCE_EXHAUSTED);
  grpc::ClientContext upload;
  v1::UploadArtifactResponse response;
  auto writer =
      v1::Artifacts::NewStub(channel)->UploadArtifact(&upload, &response);
  v1::UploadArtifactRequest header;
  header.mutable_header()->set_sha256(std::string(64, 'a'));
  header.mutable_header()->set_size_bytes(int64_t{10} << 30);
  writer->Write(header);
  const grpc::Status status = writer->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED)
      << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr("10737418240"));
}

// Listening on all interfaces means TLS, with an authority made on first start.
class TlsTest : public AccessTest {
 protected:
  worker::CoordinatorAddress Tls(const std::string& token) const {
    worker::CoordinatorAddress to = With(token);
    to.ca = options_.data_dir + "/tls/ca.pem";
    return to;
  }
  std::string Write(const std::string& name, const std::string& text) const {
    const std::string path = dir_ + "/" + name;
    std::ofstream(path) << text;
    ::chmod(path.c_str(), 0600);
    return path;
  }
};

TEST_F(TlsTest, IsMadeOnFirstStartAndKept) {
  const std::string token = AddToken(Role::kView);
  Start("0.0.0.0:0");
  const grpc::Status status = ListJobs(Tls(token));
  EXPECT_TRUE(status.ok()) << status.error_message();
  struct stat info;
  for (const char* const secret : {"ca-key.pem", "server.pem"}) {
    const std::string path = absl::StrCat(options_.data_dir, "/tls/", secret);
    ASSERT_EQ(::stat(path.c_str(), &info), 0) << path;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << path;
  }
  std::stringstream before, after;
  before << std::ifstream(Tls("").ca).rdbuf();
  coordinator_.reset();
  Start("0.0.0.0:0");
  after << std::ifstream(Tls("").ca).rdbuf();
  EXPECT_EQ(before.str(), after.str());
}

TEST_F(TlsTest, WithoutTokensNobodyGetsIn) {
  Start("0.0.0.0:0");
  EXPECT_EQ(ListJobs(Tls("")).error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(TlsTest, PlaintextIsRefusedAndExplained) {
  const std::string token = AddToken(Role::kView);
  Start("0.0.0.0:0");
  EXPECT_EQ(ListJobs(With(token)).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(
      absl::IsFailedPrecondition(worker::CheckCoordinatorTls(With(token))))
      << worker::CheckCoordinatorTls(With(token));
}

TEST_F(TlsTest, AnotherAuthorityIsNotTrusted) {
  const std::string token = AddToken(Role::kView);
  Start("0.0.0.0:0");
  const absl::Time now = absl::Now();
  const CertifiedKey other =
      *MakeAuthority("other", now - absl::Hours(1), now + absl::Hours(1));
  worker::CoordinatorAddress to = Tls(token);
  to.ca = Write("other.pem", other.certificate);
  EXPECT_EQ(ListJobs(to).error_code(), grpc::StatusCode::UNAVAILABLE);
  const absl::Status why = worker::CheckCoordinatorTls(to);
  EXPECT_TRUE(absl::IsUnauthenticated(why)) << why;
}

TEST_F(TlsTest, MutualTlsRefusesExpiredAndMissingCertificates) {
  const absl::Time now = absl::Now();
  const CertifiedKey authority =
      *MakeAuthority("clients", now - absl::Hours(9), now + absl::Hours(9));
  options_.tls.client_ca = Write("clients.pem", authority.certificate);
  Start("0.0.0.0:0");
  worker::CoordinatorAddress to = Tls("");
  const auto show = [&](const char* name, absl::Time until) {
    CertificateRequest request;
    request.use = CertificateRequest::Use::kClient;
    request.subject = name;
    request.from = now - absl::Hours(8);
    request.until = until;
    const CertifiedKey client = *SignCertificate(authority, request);
    to.certificate = Write(absl::StrCat(name, ".pem"), client.certificate);
    to.key = Write(absl::StrCat(name, "-key.pem"), client.key);
  };
  EXPECT_FALSE(ListJobs(to).ok());
  absl::Status why = worker::CheckCoordinatorTls(to);
  EXPECT_TRUE(absl::IsUnauthenticated(why)) << why;
  show("valid", now + absl::Hours(1));
  const grpc::Status status = ListJobs(to);
  EXPECT_TRUE(status.ok()) << status.error_message();
  show("expired", now - absl::Hours(1));
  EXPECT_FALSE(ListJobs(to).ok());
  why = worker::CheckCoordinatorTls(to);
  EXPECT_TRUE(absl::IsUnauthenticated(why)) << why;
}

TEST_F(TlsTest, AnExpiredServerCertificateDoesNotStart) {
  const absl::Time now = absl::Now();
  const CertifiedKey authority =
      *MakeAuthority("own", now - absl::Hours(9), now + absl::Hours(9));
  CertificateRequest request;
  request.subject = "coordinator";
  request.names = {"127.0.0.1"};
  request.from = now - absl::Hours(8);
  request.until = now - absl::Hours(1);
  const CertifiedKey server = *SignCertificate(authority, request);
  options_.tls.certificate = Write("server.pem", server.certificate);
  options_.tls.key = Write("server-key.pem", server.key);
  options_.listen = {"0.0.0.0:0"};
  const auto coordinator = Coordinator::Start(options_);
  ASSERT_FALSE(coordinator.ok());
  EXPECT_THAT(std::string(coordinator.status().message()),
              HasSubstr("server.pem"));
}

TEST(CoordinatorAddress, ATokenDoesNotCrossANetworkInTheClear) {
  worker::CoordinatorAddress to;
  to.address = "10.0.0.1:50071";
  to.token = "secret";
  to.insecure = true;
  const auto channel = worker::OpenCoordinatorChannel(to, {});
  EXPECT_TRUE(absl::IsInvalidArgument(channel.status())) << channel.status();
  EXPECT_THAT(std::string(channel.status().message()),
              testing::Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace evopress::server
