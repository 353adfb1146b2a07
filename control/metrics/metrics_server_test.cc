// The loaded library, from a machine without a guest to a client.
#include "control/metrics/metrics_server.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>

#include <atomic>
#include <memory>
#include <thread>

#include "absl/strings/str_join.h"
#include "control/metrics/endpoint.h"
#include "control/metrics/loader.h"
#include "control/metrics/metrics_abi.h"
#include "control/metrics/testing/example_metrics.h"
#include "control/metrics/testing/exposition_check.h"
#include "control/metrics/testing/http_client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using testing::HasSubstr;

constexpr char kLibrary[] = "control/metrics/libdaxvmm_metrics.so";

class FakeCallCounts final : public ControlCallCounts {
 public:
  std::vector<ControlCallCount> CallCounts() const override { return {{"ListFiles", "OK", ++asked_}}; }

 private:
  mutable std::atomic<uint64_t> asked_{0};
};

class MetricsServerTest : public testing::Test {
 protected:
  void SetUp() override { FillWithMetrics(&controller_); }
  static std::string Path() { return testing::TempDir() + "/metrics"; }
  void Bind(const MetricsEndpoint& endpoint) {
    auto socket = MetricsSocket::Bind(endpoint);
    ASSERT_TRUE(socket.ok()) << socket.status();
    socket_ = std::make_unique<MetricsSocket>(*std::move(socket));
  }
  static CheckedExposition CheckedBody(const HttpAnswer& answer) {
    EXPECT_EQ(answer.status, 200) << answer.head;
    CheckedExposition checked = CheckExposition(answer.body);
    EXPECT_TRUE(checked.problems.empty()) << absl::StrJoin(checked.problems, "\n");
    return checked;
  }

  FakeController controller_;
  std::unique_ptr<MetricsSocket> socket_;
};

TEST_F(MetricsServerTest, ServesOnAUnixSocket) {
  Bind({.path = Path()});
  // Who asks too early waits.
  const UniqueFd early = ConnectUnix(Path());
  SendText(early, kGet);
  auto server = LoadedMetricsServer::Start(&controller_, socket_->listen_fd(), kLibrary);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ(CheckedBody(ReadAnswer(early)).samples.at("daxvmm_policy_generation"), 3);
  EXPECT_EQ(CheckedBody(Exchange(Path(), kGet)).samples.at("daxvmm_policy_generation"), 3);
}

TEST_F(MetricsServerTest, ServesOnAPort) {
  // A port that is free, as far as one can know.
  UniqueFd probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(probe.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  probe.reset();
  Bind({.address = "127.0.0.1", .port = ntohs(address.sin_port)});
  auto server = LoadedMetricsServer::Start(&controller_, socket_->listen_fd(), kLibrary);
  ASSERT_TRUE(server.ok()) << server.status();
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0) << strerror(errno);
  SendText(fd, kGet);
  EXPECT_EQ(CheckedBody(ReadAnswer(fd)).samples.at("daxvmm_policy_generation"), 3);
}

TEST_F(MetricsServerTest, ControlCallsCrossFromWhoCountsThem) {
  Bind({.path = Path()});
  auto server = MetricsServer::Start(&controller_, socket_->listen_fd(), {.reuse_page = std::chrono::seconds(0)});
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string series = "daxvmm_control_calls_total{method=\"ListFiles\",code=\"OK\"}";
  EXPECT_EQ(CheckedBody(Exchange(Path(), kGet)).samples.count(series), 0u);
  {
    const FakeCallCounts counts;
    controller_.SetCallCounts(&counts);
    EXPECT_EQ(CheckedBody(Exchange(Path(), kGet)).samples.at(series), 1);
    EXPECT_EQ(CheckedBody(Exchange(Path(), kGet)).samples.at(series), 2);
    controller_.SetCallCounts(nullptr);
  }
  EXPECT_EQ(CheckedBody(Exchange(Path(), kGet)).samples.count(series), 0u);
}

TEST_F(MetricsServerTest, ManyWhoAskDoNotAskTheMachineMoreOften) {
  Bind({.path = Path()});
  const FakeCallCounts counts;
  controller_.SetCallCounts(&counts);
  auto server = MetricsServer::Start(&controller_, socket_->listen_fd(), {.reuse_page = std::chrono::hours(1)});
  ASSERT_TRUE(server.ok()) << server.status();
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(Exchange(Path(), kGet).body,
                HasSubstr("daxvmm_control_calls_total{method=\"ListFiles\",code=\"OK\"} 1\n"));
  }
  EXPECT_EQ(counts.CallCounts()[0].count, 2u);
}

TEST_F(MetricsServerTest, ALibraryOfAnotherBuildIsRefused) {
  void* const library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  ASSERT_NE(library, nullptr) << dlerror();
  const auto start = reinterpret_cast<daxvmm_metrics_start_fn>(dlsym(library, kMetricsStartSymbol));
  ASSERT_NE(start, nullptr);
  daxvmm_library_handle handle{};
  char error[200] = "";
  const daxvmm_metrics_start_args args{.abi_version = kMetricsAbiVersion + 1, .layout = kMetricsAbiLayout};
  EXPECT_EQ(start(&args, &handle, error, sizeof(error)), static_cast<int>(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(error, HasSubstr("another build"));
  EXPECT_EQ(handle.server, nullptr);
}

TEST_F(MetricsServerTest, WhatIsNoLibraryIsAnError) {
  Bind({.path = Path()});
  const auto start = [this](const char* path) {
    return LoadedMetricsServer::Start(&controller_, socket_->listen_fd(), path).status();
  };
  EXPECT_EQ(start("/proc/self/status").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(start("libm.so.6").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(start("libm.so.6").message()), testing::StartsWith("metrics library libm.so.6"));
  EXPECT_THAT(std::string(LoadedMetricsServer::Start(&controller_, -1, kLibrary).status().message()),
              HasSubstr("listening socket"));
  EXPECT_EQ(LocateMetricsLibrary("/nowhere/x.so").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace daxvmm::control
