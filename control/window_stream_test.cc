// WatchWindow over a true connection, and the hub behind it.
#include "control/window_stream.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error_reason.h"
#include "control/testing/control_server_fixture.h"
#include "control/window_hub.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/daxvmm/v1/daxvmm.grpc.pb.h"

namespace daxvmm::control {
namespace {

using WindowStreamTest = ControlServerTest;

constexpr std::chrono::seconds kPatience(30);

v1::WatchWindowRequest WatchRequest(int milliseconds, const std::string& share = "") {
  v1::WatchWindowRequest request;
  request.set_share(share);
  request.mutable_interval()->set_seconds(milliseconds / 1000);
  request.mutable_interval()->set_nanos(milliseconds % 1000 * 1'000'000);
  return request;
}

// A stream that the test reads when it wants to.
struct RawStream {
  explicit RawStream(const std::shared_ptr<grpc::Channel>& channel, int milliseconds = 3'600'000)
      : stub(v1::DaxWindowService::NewStub(channel)) {
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    reader = stub->WatchWindow(&context, WatchRequest(milliseconds));
  }
  std::unique_ptr<v1::DaxWindowService::Stub> stub;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::WatchWindowResponse>> reader;
  v1::WatchWindowResponse response;
};

std::shared_ptr<grpc::Channel> Channel(const std::string& path) {
  return grpc::CreateChannel("unix:" + path, grpc::InsecureChannelCredentials());
}

TEST_F(WindowStreamTest, SamplesComeAtOnceAndThenAtEachInterval) {
  std::vector<v1::WatchWindowResponse> seen;
  const auto status = client_->WatchWindow(WatchRequest(100), absl::FromChrono(kPatience), [&](const auto& sample) {
    seen.push_back(sample);
    return seen.size() < 3;
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
  ASSERT_GE(seen.size(), 3u);
  EXPECT_EQ(seen[0].windows_size(), 2);
  EXPECT_EQ(seen[0].windows(0).mapped_chunks(), 3u);
  EXPECT_EQ(seen[2].dropped_samples(), 0u);
  const auto at = [](const v1::WatchWindowResponse& sample) {
    return absl::FromUnixSeconds(sample.sample_time().seconds()) + absl::Nanoseconds(sample.sample_time().nanos());
  };
  EXPECT_GE(at(seen[2]) - at(seen[0]), absl::Milliseconds(150)) << "two intervals, but for a late first one";
}

TEST_F(WindowStreamTest, OfOneShareAlone) {
  const auto status =
      client_->WatchWindow(WatchRequest(3'600'000, "src"), absl::FromChrono(kPatience), [](const auto& sample) {
        EXPECT_EQ(sample.windows_size(), 1);
        EXPECT_EQ(sample.windows(0).share(), "src");
        return false;
      });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
}

TEST_F(WindowStreamTest, StreamsAreBoundedAndCancelledOnesGiveTheirPlaceBack) {
  const auto channel = Channel(Path());
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (int round = 0; round < 2; ++round) {
    std::vector<std::unique_ptr<RawStream>> streams;
    for (size_t i = 0; i < kMaxWindowListeners; ++i) {
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
    const absl::Status refused =
        client_->WatchWindow(WatchRequest(1000), absl::FromChrono(kPatience), [](const auto&) { return true; });
    EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
    EXPECT_EQ(ReasonOf(refused), "TOO_MANY_STREAMS");
    EXPECT_TRUE(client_->GetWindow().ok()) << "streams must not keep others from being answered";
    for (const auto& stream : streams) stream->context.TryCancel();
    for (const auto& stream : streams) {
      while (stream->reader->Read(&stream->response)) {
      }
      EXPECT_EQ(stream->reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
    }
  }
}

TEST_F(WindowStreamTest, StoppingEndsStreams) {
  RawStream stream(Channel(Path()));
  ASSERT_TRUE(stream.reader->Read(&stream.response));
  server_.reset();
  while (stream.reader->Read(&stream.response)) {
  }
  EXPECT_EQ(stream.reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

// Samples of many windows fill what gRPC buffers for a reader that does not read; what comes then is dropped, told and
// made good by a newer one.
TEST_F(WindowStreamTest, ASlowReaderIsToldHowManySamplesItMissed) {
  WindowUse window = {.share_tag = "data"};
  controller_.windows.assign(2000, window);
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  RawStream slow(grpc::CreateCustomChannel("unix:" + Path(), grpc::InsecureChannelCredentials(), arguments), 100);
  // A brisk reader tells how much time has passed on the hub's clock.
  int samples = 0;
  (void)client_->WatchWindow(WatchRequest(100), absl::FromChrono(kPatience),
                             [&](const auto&) { return ++samples < 20; });
  ASSERT_GE(samples, 20) << "the brisk reader was held up";
  uint64_t received = 0;
  while (slow.response.dropped_samples() == 0) {
    ASSERT_TRUE(slow.reader->Read(&slow.response)) << "no sample was said to be dropped in " << received;
    ++received;
  }
  EXPECT_GE(slow.response.dropped_samples(), 1u);
  slow.context.TryCancel();
}

struct Listener final : WindowHub::Listener {
  void Sampled(const std::shared_ptr<const WindowHub::Sample>& sample) override {
    MutexLock lock(&mu);
    ++samples;
    last = sample;
    changed.SignalAll();
  }
  void Ended(const absl::Status& status) override {
    MutexLock lock(&mu);
    end = status;
    changed.SignalAll();
  }
  bool AwaitSamples(int count) {
    MutexLock lock(&mu);
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (samples < count && std::chrono::steady_clock::now() < deadline) changed.WaitUntil(&mu, deadline);
    return samples >= count;
  }
  Mutex mu;
  CondVar changed;
  int samples ABSL_GUARDED_BY(mu) = 0;
  std::shared_ptr<const WindowHub::Sample> last ABSL_GUARDED_BY(mu);
  std::optional<absl::Status> end ABSL_GUARDED_BY(mu);
};

TEST(WindowHub, ListenersOfOneRoundShareASample) {
  FakeController controller;
  controller.FillWithExamples();
  WindowHub hub(&controller);
  const auto listener = std::make_shared<Listener>();
  const auto brisk = std::make_shared<Listener>();
  ASSERT_TRUE(hub.Add(listener, absl::Hours(1)).ok());
  ASSERT_TRUE(hub.Add(brisk, absl::Milliseconds(1)).ok());
  EXPECT_TRUE(brisk->AwaitSamples(5)) << "a beat of 1 ms never came five times";
  EXPECT_TRUE(listener->AwaitSamples(1)) << "the first sample never came";
  hub.Remove(brisk.get());
  hub.Stop();
  MutexLock lock(&listener->mu);
  EXPECT_EQ(listener->samples, 1);
  EXPECT_EQ(listener->last->windows.size(), 2u);
  ASSERT_TRUE(listener->end.has_value());
  EXPECT_EQ(ReasonOf(*listener->end), "MACHINE_ENDING");
}

TEST(WindowHub, AFailureEndsItsListenersAndGivesNoMore) {
  FakeController without_shares;
  WindowHub hub(&without_shares);
  const auto listener = std::make_shared<Listener>();
  ASSERT_TRUE(hub.Add(listener, absl::Milliseconds(1)).ok());
  {
    MutexLock lock(&listener->mu);
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!listener->end && std::chrono::steady_clock::now() < deadline) {
      listener->changed.WaitUntil(&listener->mu, deadline);
    }
    ASSERT_TRUE(listener->end.has_value()) << "the failure was never told";
    EXPECT_EQ(listener->end->code(), absl::StatusCode::kNotFound);
    listener->end.reset();
  }
  hub.Stop();
  EXPECT_EQ(hub.Add(listener, absl::Seconds(1)).code(), absl::StatusCode::kUnavailable);
  MutexLock lock(&listener->mu);
  EXPECT_FALSE(listener->end.has_value()) << "ended twice";
}

}  // namespace
}  // namespace daxvmm::control
