// WatchConvergence over a true connection.
#include "control/convergence_stream.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "control/convergence_hub.h"
#include "control/testing/control_server_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/daxvmm/v1/daxvmm.grpc.pb.h"

namespace daxvmm::control {
namespace {

using ConvergenceStreamTest = ControlServerTest;

v1::WatchConvergenceRequest WatchRequest(int milliseconds, bool until_settled = true) {
  v1::WatchConvergenceRequest request;
  request.mutable_interval()->set_seconds(milliseconds / 1000);
  request.mutable_interval()->set_nanos(milliseconds % 1000 * 1'000'000);
  request.set_until_settled(until_settled);
  return request;
}

TEST_F(ConvergenceStreamTest, AStreamEndsWhenEverythingIsSettled) {
  controller_.SetCounts({.attributes_cached = 2, .longest_wait = absl::Milliseconds(700)});
  std::vector<v1::WatchConvergenceResponse> seen;
  const auto status =
      client_->WatchConvergence(WatchRequest(100), absl::Seconds(20), [&](const v1::WatchConvergenceResponse& counts) {
        seen.push_back(counts);
        if (seen.size() == 1) controller_.SetCounts({.noticed_held_open = 2});
        if (seen.size() == 2) controller_.SetCounts({.converged = 1, .changes_on_next_use = 1});
        return true;
      });
  EXPECT_TRUE(status.ok()) << status;
  ASSERT_GE(seen.size(), 3u);
  EXPECT_EQ(seen[0].attributes_cached(), 2u);
  EXPECT_EQ(seen[0].longest_wait().nanos(), 700'000'000);
  EXPECT_FALSE(seen[0].settled());
  EXPECT_EQ(seen.back().converged(), 1u);
  EXPECT_TRUE(seen.back().settled());
}

TEST_F(ConvergenceStreamTest, AStreamThatIsToGoOnDoesAndHearsOfANewPolicy) {
  bool changed = false;
  const auto status = client_->WatchConvergence(WatchRequest(60'000, /*until_settled=*/false), absl::Seconds(20),
                                                [&](const v1::WatchConvergenceResponse& counts) {
                                                  EXPECT_TRUE(counts.settled());
                                                  if (!std::exchange(changed, true)) {
                                                    EXPECT_TRUE(client_->SetNamedPolicy("always").ok());
                                                  }
                                                  return counts.generation() == 1;
                                                });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
}

TEST_F(ConvergenceStreamTest, AStreamEndsAtItsDeadline) {
  controller_.SetCounts({.noticed_held_open = 1});
  int updates = 0;
  const auto status = client_->WatchConvergence(WatchRequest(100), absl::Milliseconds(500), [&](const auto&) {
    ++updates;
    return true;
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_GE(updates, 1);
}

// A stream that the test reads when it wants to.
struct RawStream {
  explicit RawStream(const std::shared_ptr<grpc::Channel>& channel, bool until_settled = false)
      : stub(v1::DaxPolicyService::NewStub(channel)) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    reader = stub->WatchConvergence(&context, WatchRequest(100, until_settled));
  }

  std::unique_ptr<v1::DaxPolicyService::Stub> stub;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::WatchConvergenceResponse>> reader;
  v1::WatchConvergenceResponse response;
};

std::shared_ptr<grpc::Channel> Channel(const std::string& path) {
  return grpc::CreateChannel("unix:" + path, grpc::InsecureChannelCredentials());
}

TEST_F(ConvergenceStreamTest, StreamsAreBoundedAndCancelledOnesGiveTheirPlaceBack) {
  controller_.SetCounts({.unknown = 1});
  const auto channel = Channel(Path());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<RawStream>> streams;
    for (size_t i = 0; i < kMaxConvergenceListeners; ++i) {
      streams.push_back(std::make_unique<RawStream>(channel));
      // The place of one that was cancelled is free once the server has heard of it.
      while (!streams.back()->reader->Read(&streams.back()->response)) {
        const grpc::Status ended = streams.back()->reader->Finish();
        ASSERT_EQ(ended.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << ended.error_message();
        ASSERT_GT(round, 0);
        ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the places of cancelled streams never became free";
        streams.back() = std::make_unique<RawStream>(channel);
      }
    }
    RawStream more(channel);
    EXPECT_FALSE(more.reader->Read(&more.response));
    const grpc::Status refused = more.reader->Finish();
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << refused.error_message();
    EXPECT_TRUE(client_->GetPolicy().ok()) << "streams must not keep others from being answered";
    for (const auto& stream : streams) stream->context.TryCancel();
    for (const auto& stream : streams) {
      while (stream->reader->Read(&stream->response)) {
      }
      EXPECT_EQ(stream->reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
    }
  }
}

TEST_F(ConvergenceStreamTest, ASlowReaderGetsTheNewestAndHoldsNobodyUp) {
  controller_.SetCounts({.unknown = 1});
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  RawStream slow(grpc::CreateCustomChannel("unix:" + Path(), grpc::InsecureChannelCredentials(), arguments));
  ASSERT_TRUE(slow.reader->Read(&slow.response));
  // It does not read; a brisk one sees a hundred policies pass.
  RawStream brisk(Channel(Path()));
  for (uint64_t generation = 2; generation <= 100; ++generation) {
    ASSERT_TRUE(client_->SetNamedPolicy("always").ok());
  }
  while (brisk.response.generation() < 100) ASSERT_TRUE(brisk.reader->Read(&brisk.response));
  int reads = 0;
  while (slow.response.generation() < 100) {
    ASSERT_TRUE(slow.reader->Read(&slow.response));
    ++reads;
  }
  EXPECT_LE(reads, 100);
  slow.context.TryCancel();
  brisk.context.TryCancel();
}

TEST_F(ConvergenceStreamTest, StoppingEndsStreams) {
  controller_.SetCounts({.unknown = 1});
  const auto channel = Channel(Path());
  RawStream stream(channel);
  ASSERT_TRUE(stream.reader->Read(&stream.response));
  const auto begin = std::chrono::steady_clock::now();
  server_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  while (stream.reader->Read(&stream.response)) {
  }
  EXPECT_EQ(stream.reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

// Streams come and go in every way at once; nothing may be left behind or called after its end.
TEST_F(ConvergenceStreamTest, StreamsThatEndInEveryWayAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([t, this] {
      auto client = Client::Connect(Path());
      ASSERT_TRUE(client.ok()) << client.status();
      for (int i = 0; i < 30; ++i) {
        controller_.SetCounts({.unknown = static_cast<uint64_t>((i + t) % 2)});
        int updates = 0;
        (void)(*client)->WatchConvergence(WatchRequest(100), absl::Milliseconds(1 + 7 * (i % 5) * t),
                                          [&](const auto&) { return ++updates < 3; });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  controller_.SetCounts({});
  // All places are free again, once the server has heard of the last cancellation.
  const auto channel = Channel(Path());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  size_t open = 0;
  while (open < kMaxConvergenceListeners) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "some place never became free";
    std::vector<std::unique_ptr<RawStream>> streams;
    for (open = 0; open < kMaxConvergenceListeners; ++open) {
      streams.push_back(std::make_unique<RawStream>(channel));
      if (!streams.back()->reader->Read(&streams.back()->response)) break;
    }
    for (const auto& stream : streams) stream->context.TryCancel();
  }
}

}  // namespace
}  // namespace daxvmm::control
