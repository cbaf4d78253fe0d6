#include "server/standby.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "server/coordinator.h"
#include "tests/server/scratch_directory.h"
#include "worker/coordinator_link.h"

namespace evopress::server {
namespace {

using ::testing::HasSubstr;

class StandbyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto listener = Listener::Open({}, folder_ + "/tls", {"127.0.0.1:0"});
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    auto standby = Standby::Serve(*listener_);
    ASSERT_TRUE(standby.ok()) << standby.status();
    standby_ = *std::move(standby);
    CoordinatorOptions options;
    options.data_dir = folder_ + "/data";
    options.listen = {"127.0.0.1:0"};
    auto leader = Coordinator::Start(options);
    ASSERT_TRUE(leader.ok()) << leader.status();
    leader_ = *std::move(leader);
  }

  std::string waiting() const { return standby_->addresses()[0]; }
  std::string leading() const { return leader_->addresses()[0]; }

  static grpc::Status Ask(worker::CoordinatorLink& link) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
    v1::ListJobsResponse response;
    return link.jobs().ListJobs(&context, {}, &response);
  }

  const ScratchDirectory scratch_;
  const std::string& folder_ = scratch_.path();
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Standby> standby_;
  std::unique_ptr<Coordinator> leader_;
};

TEST_F(StandbyTest, CallsAreRefusedWithTheLeadersAddress) {
  auto link = worker::CoordinatorLink::Open({waiting()}, {});
  ASSERT_TRUE(link.ok());
  grpc::Status status = Ask(**link);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("nobody leads"));
  standby_->SetLeader("other:50071");
  status = Ask(**link);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("other:50071 leads"));
}

TEST_F(StandbyTest, ALinkTurnsToTheAddressThatServes) {
  for (const std::string& addresses :
       {waiting() + "," + leading(),
        waiting() + ", unix:/nowhere, " + leading(),
        leading() + "," + waiting()}) {
    auto link = worker::CoordinatorLink::Open({addresses}, {});
    ASSERT_TRUE(link.ok()) << link.status();
    const grpc::Status first = Ask(**link);
    (*link)->Heed(first);
    EXPECT_TRUE(Ask(**link).ok()) << addresses;
  }
}

TEST_F(StandbyTest, ALinkStaysWhereItIsWhileNobodyServes) {
  auto link = worker::CoordinatorLink::Open(
      {waiting() + ",unix:" + folder_ + "/nobody"}, {});
  ASSERT_TRUE(link.ok());
  (*link)->Heed(Ask(**link));
  EXPECT_THAT(Ask(**link).error_message(), HasSubstr("standby"));
}

TEST_F(StandbyTest, EveryAddressOfAListIsChecked) {
  EXPECT_EQ(worker::CoordinatorLink::Open({leading() + ",nonsense"}, {})
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(StandbyTest, ItsAddressIsFreeAfterwards) {
  const std::string address = waiting();
  standby_.reset();
  CoordinatorOptions options;
  options.data_dir = folder_ + "/next";
  options.listen = {address};
  EXPECT_TRUE(Coordinator::Start(options).ok());
}

}  // namespace
}  // namespace evopress::server
