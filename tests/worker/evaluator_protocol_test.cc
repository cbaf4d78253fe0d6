#include "worker/evaluator_protocol.h"

#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "gtest/gtest.h"
#include "search/strategy.h"
#include "worker/message_channel.h"

namespace evopress::worker {
namespace {

EvaluateRequest SomeRequest() {
  EvaluateRequest request;
  request.assignments = {{{{"a", "/x"}, {"b", "/y"}}, {"m", "n"}}, {}};
  request.samples = {{1, 2, 3}, {-1, 2147483647}};
  return request;
}

ModelProfile SomeProfile() {
  ModelProfile profile;
  profile.tokens = 7;
  profile.blocks.resize(2);
  profile.blocks[0].layers = {{"q", 0}, {"o", 1}};
  profile.blocks[0].modules = {{"attn", {0.5, -0.0, 1e300}}};
  profile.blocks[0].input_powers = {{1, 2}, {}};
  profile.blocks[0].windows = {{1, 2, 3}, {4, 5, 6}};
  return profile;
}

TEST(EvaluatorProtocol, EveryMessageSurvivesTheTrip) {
  const auto request = DecodeEvaluate(EncodeEvaluate(SomeRequest()));
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->samples, SomeRequest().samples);
  ASSERT_EQ(request->assignments.size(), 2u);
  EXPECT_EQ(request->assignments[0], SomeRequest().assignments[0]);

  const EvaluateResponse response{{{{1.5, -0.0, 1e300, 7}}, {}}};
  const auto evaluated = DecodeEvaluated(EncodeEvaluated(response));
  ASSERT_TRUE(evaluated.ok()) << evaluated.status();
  EXPECT_EQ(evaluated->results, response.results);

  const auto open = DecodeOpen(EncodeOpen({"/model", {3, 1LL << 40, 9}}));
  ASSERT_TRUE(open.ok()) << open.status();
  EXPECT_EQ(open->path, "/model");
  EXPECT_EQ(open->options.threads, 3);
  EXPECT_EQ(open->options.memory_bytes, 1LL << 40);
  EXPECT_EQ(open->options.top_k, 9);

  const auto capture = DecodeCapture(EncodeCapture({{{1, 2}}, {"l"}, "/out"}));
  ASSERT_TRUE(capture.ok()) << capture.status();
  EXPECT_EQ(capture->output_path, "/out");

  const auto samples = DecodeProfile(EncodeProfile({{1, 2}, {3}}));
  ASSERT_TRUE(samples.ok()) << samples.status();
  EXPECT_EQ(*samples, (std::vector<std::vector<int32_t>>{{1, 2}, {3}}));
  const auto profiled = DecodeProfiled(EncodeProfiled(SomeProfile()));
  ASSERT_TRUE(profiled.ok()) << profiled.status();
  EXPECT_EQ(*profiled, SomeProfile());

  const auto info =
      DecodeInfo(EncodeInfo({"cpu", {"e"}, "llama", {"l"}, 5, {"m"}}));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->layers, std::vector<std::string>{"l"});
  EXPECT_EQ(info->modules, std::vector<std::string>{"m"});

  EXPECT_EQ(DecodeFailed(EncodeFailed(absl::NotFoundError("gone"))),
            absl::NotFoundError("gone"));
  EXPECT_EQ(*DecodeProgress(EncodeProgress(0.25)), 0.25);
}

TEST(EvaluatorProtocol, RefusesEveryTruncationAndEveryExtraByte) {
  const std::string whole = EncodeEvaluate(SomeRequest());
  for (size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(DecodeEvaluate(whole.substr(0, n)).ok()) << n;
  }
  EXPECT_FALSE(DecodeEvaluate(whole + "x").ok());
}

TEST(EvaluatorProtocol, RefusesAProfileWithoutItsSitesOrItsEnd) {
  ModelProfile profile = SomeProfile();
  profile.blocks[0].layers[1].site = 2;
  EXPECT_EQ(DecodeProfiled(EncodeProfiled(profile)).status().code(),
            absl::StatusCode::kDataLoss);
  const std::string whole = EncodeProfiled(SomeProfile());
  for (size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(DecodeProfiled(whole.substr(0, n)).ok()) << n;
  }
}

TEST(EvaluatorProtocol, RefusesAnotherVersion) {
  std::string bytes = EncodeOpen({"/model", {}});
  bytes[0] = 99;
  EXPECT_EQ(DecodeOpen(bytes).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

// Whatever decodes must encode again; nothing may crash or allocate wildly.
TEST(EvaluatorProtocol, AnyBytesAreDecodedOrRefused) {
  uint64_t state = 1;
  const auto random = [&state] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state >> 33);
  };
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = round % 2 == 0 ? EncodeEvaluate(SomeRequest())
                                       : std::string(random() % 64, '\0');
    for (uint32_t i = 0; i < 1 + random() % 8 && !bytes.empty(); ++i) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    const auto request = DecodeEvaluate(bytes);
    if (request.ok()) {
      EXPECT_TRUE(DecodeEvaluate(EncodeEvaluate(*request)).ok());
    }
    DecodeEvaluated(bytes).IgnoreError();
    DecodeCapture(bytes).IgnoreError();
    DecodeProfile(bytes).IgnoreError();
    DecodeProfiled(bytes).IgnoreError();
    DecodeInfo(bytes).IgnoreError();
    DecodeOpen(bytes).IgnoreError();
    DecodeProgress(bytes).IgnoreError();
    EXPECT_FALSE(DecodeFailed(bytes).ok());
  }
}

TEST(MessageChannel, RefusesALengthBeyondTheLimit) {
  int sockets[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
  MessageChannel channel(sockets[0]);
  const unsigned char header[8] = {1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
  ASSERT_EQ(write(sockets[1], header, 8), 8);
  EXPECT_EQ(channel.Receive().status().code(), absl::StatusCode::kDataLoss);
  close(sockets[1]);
  EXPECT_EQ(channel.Receive().status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace evopress::worker
