#include "control/ctl/top/poller.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "control/ctl/top/round.h"
#include "gtest/gtest.h"

namespace daxvmm::control::top {
namespace {

// What a fake server knows and does; shared by all connections to it. The test changes it.
struct FakeServer {
  Mutex mu;
  CondVar moved;
  bool gone ABSL_GUARDED_BY(mu) = false;
  bool hangs ABSL_GUARDED_BY(mu) = false;  // GetPolicy waits until it is cancelled
  bool old ABSL_GUARDED_BY(mu) = false;    // has neither machines nor mappings
  std::vector<std::string> shares ABSL_GUARDED_BY(mu) = {"plain", "data"};
  int rounds ABSL_GUARDED_BY(mu) = 0;  // that have begun
  int connections ABSL_GUARDED_BY(mu) = 0;
  v1::ListFilesRequest files_request ABSL_GUARDED_BY(mu);
  uint64_t generation ABSL_GUARDED_BY(mu) = 1;
  uint64_t mappings ABSL_GUARDED_BY(mu) = 3;
};

class FakeSource final : public Source {
 public:
  explicit FakeSource(FakeServer* server) : server_(server) {
    MutexLock lock(&server_->mu);
    ++server_->connections;
  }

  absl::StatusOr<v1::GetPolicyResponse> GetPolicy() override {
    MutexLock lock(&server_->mu);
    ++server_->rounds;
    server_->moved.SignalAll();
    while (server_->hangs && !cancelled_ && !server_->gone) server_->moved.Wait(&server_->mu);
    if (Lost()) return absl::UnavailableError("gone");
    v1::GetPolicyResponse response;
    response.set_generation(server_->generation);
    return response;
  }
  absl::StatusOr<v1::Machine> GetMachine() override {
    MutexLock lock(&server_->mu);
    if (Lost()) return absl::UnavailableError("gone");
    if (server_->old) return absl::UnimplementedError("");
    v1::Machine machine;
    machine.set_state(v1::Machine::STATE_RUNNING);
    return machine;
  }
  absl::StatusOr<v1::GetWindowResponse> GetWindow() override {
    MutexLock lock(&server_->mu);
    if (Lost()) return absl::UnavailableError("gone");
    v1::GetWindowResponse response;
    for (const std::string& share : server_->shares) {
      v1::Window* const window = response.add_windows();
      window->set_share(share);
      if (share != "plain") window->set_capacity_bytes(4 << 20);
    }
    return response;
  }
  // Two on a page.
  absl::StatusOr<v1::ListMappingsResponse> ListMappings(const v1::ListMappingsRequest& request) override {
    MutexLock lock(&server_->mu);
    if (Lost()) return absl::UnavailableError("gone");
    if (server_->old) return absl::UnimplementedError("");
    v1::ListMappingsResponse response;
    const uint64_t first = request.page_token().empty() ? 0 : std::stoul(request.page_token());
    for (uint64_t i = first; i < server_->mappings && i < first + 2; ++i) response.add_mappings()->set_node_id(i);
    if (first + 2 < server_->mappings) response.set_next_page_token(absl::StrCat(first + 2));
    return response;
  }
  absl::StatusOr<v1::ListFilesResponse> ListFiles(const v1::ListFilesRequest& request) override {
    MutexLock lock(&server_->mu);
    if (Lost()) return absl::UnavailableError("gone");
    server_->files_request = request;
    v1::ListFilesResponse response;
    response.add_files()->set_reads(1);
    response.add_files()->set_reads(2);
    response.set_total_size(50);
    return response;
  }
  absl::Status WatchConvergence(const v1::WatchConvergenceRequest& request,
                                const std::function<bool(const v1::WatchConvergenceResponse&)>& update) override {
    EXPECT_TRUE(request.has_until_settled() && !request.until_settled());
    v1::WatchConvergenceResponse counts;
    counts.set_converged(5);
    update(counts);
    MutexLock lock(&server_->mu);
    while (!Lost()) server_->moved.Wait(&server_->mu);
    return absl::CancelledError("");
  }
  void Cancel() override {
    MutexLock lock(&server_->mu);
    cancelled_ = true;
    server_->moved.SignalAll();
  }

 private:
  bool Lost() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(server_->mu) { return cancelled_ || server_->gone; }

  FakeServer* const server_;
  bool cancelled_ = false;  // guarded by server_->mu
};

class PollerTest : public ::testing::Test {
 protected:
  struct Changes {
    Mutex mu;
    CondVar moved;
  };

  ~PollerTest() override {
    const bool ended = poller_ == nullptr || poller_->Stop(absl::Seconds(30));
    EXPECT_TRUE(ended) << "a thread has not ended";
  }

  void Start(const Questions& questions) {
    poller_ = std::make_unique<Poller>(
        std::make_unique<FakeSource>(&server_),
        [this]() -> absl::StatusOr<std::unique_ptr<Source>> {
          {
            MutexLock lock(&server_.mu);
            if (server_.gone) return absl::UnavailableError("nobody");
          }
          return std::make_unique<FakeSource>(&server_);
        },
        questions,
        [changes = changes_] {
          MutexLock lock(&changes->mu);
          changes->moved.SignalAll();
        });
  }

  template <typename Done>
  Report WaitFor(const char* what, Done done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    MutexLock lock(&changes_->mu);
    while (true) {
      const Report report = poller_->Get();
      if (done(report)) return report;
      if (!changes_->moved.WaitUntil(&changes_->mu, deadline)) {
        ADD_FAILURE() << "not in time: " << what;
        return report;
      }
    }
  }
  Report WaitForSnapshot() {
    return WaitFor("an answer", [](const Report& report) { return report.snapshot != nullptr; });
  }
  FakeServer server_;
  const std::shared_ptr<Changes> changes_ = std::make_shared<Changes>();
  std::unique_ptr<Poller> poller_;
};

constexpr absl::Duration kNever = absl::Hours(1);

TEST_F(PollerTest, ARoundHasEverything) {
  Start({.order = v1::ListFilesRequest::ORDER_READS, .files = 10, .interval = kNever});
  const Report report = WaitFor("an answer and counts", [](const Report& report) {
    return report.snapshot != nullptr && report.following.counts.has_value();
  });
  EXPECT_TRUE(report.connection.up);
  EXPECT_EQ(report.following.counts->converged(), 5u);
  const Snapshot& snapshot = *report.snapshot;
  EXPECT_EQ(snapshot.generation, 1u);
  EXPECT_TRUE(snapshot.machine.has_value());
  EXPECT_EQ(snapshot.share, "data") << "the first one with a window";
  EXPECT_EQ(snapshot.mappings.items.size(), 3u) << "of both pages";
  ASSERT_EQ(snapshot.files.items.size(), 2u);
  EXPECT_EQ(snapshot.files.items[0].reads(), 2u) << "sorted, whatever the server did";
  EXPECT_EQ(snapshot.files.total, 50u);
  MutexLock lock(&server_.mu);
  EXPECT_EQ(server_.files_request.share(), "data");
  EXPECT_EQ(server_.files_request.order(), v1::ListFilesRequest::ORDER_READS);
  EXPECT_EQ(server_.files_request.page_size(), 10u);
}

TEST_F(PollerTest, AnOldServerLacksSome) {
  {
    MutexLock lock(&server_.mu);
    server_.old = true;
  }
  Start({.interval = kNever});
  const Report report = WaitForSnapshot();
  EXPECT_TRUE(report.connection.up);
  EXPECT_FALSE(report.snapshot->machine.has_value());
  EXPECT_NE(report.snapshot->mappings.error, "");
  EXPECT_EQ(report.snapshot->files.error, "");
}

TEST_F(PollerTest, AnotherShareIsAskedForAtOnce) {
  Start({.interval = kNever});
  WaitForSnapshot();
  poller_->Ask({.share = "plain", .interval = kNever});
  WaitFor("the other share", [](const Report& report) { return report.snapshot->share == "plain"; });
  poller_->Ask({.share = "gone", .interval = kNever});
  WaitFor("a share that there is", [](const Report& report) { return report.snapshot->share == "data"; });
}

TEST_F(PollerTest, PausedItAsksOnlyWhenItIsTold) {
  Start({.interval = kNever, .paused = true});
  const Report first = WaitForSnapshot();
  {
    MutexLock lock(&server_.mu);
    server_.generation = 2;
  }
  poller_->Refresh();
  WaitFor("the refresh", [](const Report& report) { return report.snapshot->generation == 2; });
  MutexLock lock(&server_.mu);
  EXPECT_EQ(server_.rounds, 2);
}

TEST_F(PollerTest, AShorterIntervalCountsForTheRoundThatIsDue) {
  Start({.interval = kNever});
  const auto first = WaitForSnapshot().snapshot;
  poller_->Ask({.interval = absl::Milliseconds(1)});
  WaitFor("another round", [&](const Report& report) { return report.snapshot != first; });
}

TEST_F(PollerTest, ALostConnectionIsMadeAnew) {
  Start({.interval = absl::Milliseconds(1)});
  WaitForSnapshot();
  {
    MutexLock lock(&server_.mu);
    server_.gone = true;
    server_.moved.SignalAll();
  }
  const Report lost = WaitFor("the loss", [](const Report& report) { return !report.connection.up; });
  EXPECT_NE(lost.connection.error, "");
  EXPECT_NE(lost.snapshot, nullptr) << "what was known stays";
  {
    MutexLock lock(&server_.mu);
    server_.gone = false;
    server_.generation = 2;
  }
  const Report back = WaitFor("the new connection", [](const Report& report) {
    return report.connection.up && report.snapshot->generation == 2;
  });
  EXPECT_EQ(back.connection.error, "");
  MutexLock lock(&server_.mu);
  EXPECT_EQ(server_.connections, 2);
}

TEST_F(PollerTest, AServerThatHangsIsSeenAndDoesNotHoldTheEnd) {
  {
    MutexLock lock(&server_.mu);
    server_.hangs = true;
  }
  Start({.interval = kNever});
  WaitFor("that it waits", [](const Report& report) { return report.connection.waiting_since.has_value(); });
  {
    MutexLock lock(&server_.mu);
    while (server_.rounds == 0) server_.moved.Wait(&server_.mu);
  }
  EXPECT_TRUE(poller_->Stop(absl::Seconds(30))) << "the call was not cancelled";
}

TEST_F(PollerTest, AConnectThatHangsIsGivenUp) {
  auto blocked = std::make_shared<std::pair<Mutex, CondVar>>();
  auto free = std::make_shared<std::atomic<bool>>(false);
  auto inside = std::make_shared<std::atomic<bool>>(false);
  Poller poller(
      nullptr,
      [=]() -> absl::StatusOr<std::unique_ptr<Source>> {
        MutexLock lock(&blocked->first);
        inside->store(true);
        blocked->second.SignalAll();
        while (!free->load()) blocked->second.Wait(&blocked->first);
        return absl::UnavailableError("late");
      },
      {.interval = kNever}, [] {});
  {
    MutexLock lock(&blocked->first);
    while (!inside->load()) blocked->second.Wait(&blocked->first);
  }
  EXPECT_FALSE(poller.Stop(absl::Milliseconds(1)));
  {
    MutexLock lock(&blocked->first);
    free->store(true);
    blocked->second.SignalAll();
  }
  EXPECT_TRUE(poller.Stop(absl::Seconds(30)));
}

TEST(RoundTest, WhatIsALoss) {
  EXPECT_TRUE(IsLost(absl::UnavailableError("")));
  EXPECT_TRUE(IsLost(absl::DeadlineExceededError("")));
  EXPECT_FALSE(IsLost(absl::PermissionDeniedError("")));
  EXPECT_FALSE(IsLost(absl::ResourceExhaustedError("")));
}

}  // namespace
}  // namespace daxvmm::control::top
