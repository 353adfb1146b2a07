#include "control/convergence_hub.h"

#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "control/testing/fake_controller.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

constexpr std::chrono::seconds kDeadline(20);

class Recorder final : public ConvergenceHub::Listener {
 public:
  void Counted(const ConvergenceCounts& counts) override {
    MutexLock lock(&mu_);
    counts_.push_back(counts);
    changed_.SignalAll();
  }
  void Ended(const absl::Status& status) override {
    MutexLock lock(&mu_);
    EXPECT_FALSE(end_.has_value()) << "ended twice";
    end_ = status;
    changed_.SignalAll();
  }

  // Waits for that many counts; the last ones so far.
  ConvergenceCounts Await(size_t n) {
    MutexLock lock(&mu_);
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    while (counts_.size() < n) {
      if (!changed_.WaitUntil(&mu_, deadline)) {
        ADD_FAILURE() << "no " << n << " counts in time, but " << counts_.size();
        return {};
      }
    }
    return counts_.back();
  }
  absl::Status AwaitEnd() {
    MutexLock lock(&mu_);
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    while (!end_) {
      if (!changed_.WaitUntil(&mu_, deadline)) return absl::DeadlineExceededError("has not ended in time");
    }
    return *end_;
  }
  size_t size() {
    MutexLock lock(&mu_);
    return counts_.size();
  }

 private:
  Mutex mu_;
  CondVar changed_;
  std::vector<ConvergenceCounts> counts_ ABSL_GUARDED_BY(mu_);
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
};

class ConvergenceHubTest : public ::testing::Test {
 protected:
  ConvergenceHubTest() { controller_.FillWithExamples(); }

  std::shared_ptr<Recorder> Listen(ConvergenceHub::Wish wish) {
    auto recorder = std::make_shared<Recorder>();
    EXPECT_TRUE(hub_.Add(recorder, std::move(wish)).ok());
    return recorder;
  }

  FakeController controller_;
  ConvergenceHub hub_{&controller_};
};

TEST_F(ConvergenceHubTest, SettledCountsComeAtOnceAndEndIt) {
  controller_.SetCounts({.converged = 3, .changes_on_next_use = 2});
  const auto listener = Listen({.interval = absl::Seconds(60)});
  EXPECT_EQ(listener->AwaitEnd(), absl::OkStatus());
  EXPECT_EQ(listener->size(), 1u);
  EXPECT_EQ(listener->Await(1).changes_on_next_use, 2u);
  EXPECT_EQ(listener->Await(1).generation, 1u);
}

TEST_F(ConvergenceHubTest, EveryUnsettledKindKeepsItGoing) {
  for (const ConvergenceCounts& counts :
       {ConvergenceCounts{.attributes_cached = 1}, ConvergenceCounts{.noticed_held_open = 1},
        ConvergenceCounts{.noticed_still_held = 1}, ConvergenceCounts{.unknown = 1}}) {
    EXPECT_FALSE(counts.settled());
    controller_.SetCounts(counts);
    const auto listener = Listen({.interval = absl::Milliseconds(100)});
    listener->Await(3);  // unchanged, but at each interval
    controller_.SetCounts({});
    EXPECT_EQ(listener->AwaitEnd(), absl::OkStatus());
    hub_.Remove(listener.get());
  }
}

TEST_F(ConvergenceHubTest, AChangeIsSentLongBeforeALongInterval) {
  controller_.SetCounts({.noticed_held_open = 2});
  const auto listener = Listen({.interval = absl::Seconds(60), .until_settled = false});
  EXPECT_EQ(listener->Await(1).noticed_held_open, 2u);
  controller_.SetCounts({.converged = 1, .noticed_held_open = 1});
  EXPECT_EQ(listener->Await(2).noticed_held_open, 1u);
  // What only waits less is no change.
  controller_.SetCounts({.converged = 1, .noticed_held_open = 1, .longest_wait = absl::Seconds(1)});
  const int before = controller_.times_counted;
  while (controller_.times_counted < before + 2) std::this_thread::yield();
  EXPECT_EQ(listener->size(), 2u);
  // Settled, but told to go on.
  controller_.SetCounts({.converged = 2});
  EXPECT_EQ(listener->Await(3).converged, 2u);
  hub_.Stop();
  EXPECT_EQ(listener->AwaitEnd().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ConvergenceHubTest, ANewPolicyIsCountedSoon) {
  controller_.SetCounts({.noticed_held_open = 1});
  const auto listener = Listen({.interval = absl::Seconds(60)});
  listener->Await(1);
  ASSERT_TRUE(controller_.SetPolicy(*dax::ParsePolicyName("always"), {}).ok());
  hub_.CountSoon();
  EXPECT_EQ(listener->Await(2).generation, 2u);
}

TEST_F(ConvergenceHubTest, NothingIsCountedWithoutListeners) {
  controller_.SetCounts({.unknown = 1});
  const auto listener = Listen({.interval = absl::Milliseconds(100)});
  listener->Await(2);
  hub_.Remove(listener.get());
  // A listener that is served afterwards shows that nothing but its own counts was made meanwhile.
  const int before = controller_.times_counted;
  controller_.SetCounts({});
  const auto next = Listen({});
  EXPECT_EQ(next->AwaitEnd(), absl::OkStatus());
  EXPECT_LE(controller_.times_counted, before + 2) << "one round may have been under way";
}

TEST_F(ConvergenceHubTest, OneCountServesAllOfAShare) {
  controller_.SetCounts({});
  std::vector<std::shared_ptr<Recorder>> listeners;
  for (int i = 0; i < 8; ++i) listeners.push_back(Listen({.share_tag = "data"}));
  for (const auto& listener : listeners) EXPECT_EQ(listener->AwaitEnd(), absl::OkStatus());
  EXPECT_LE(controller_.times_counted, 8);
}

TEST_F(ConvergenceHubTest, AnUnknownShareEndsIt) {
  const auto listener = Listen({.share_tag = "nope"});
  EXPECT_EQ(listener->AwaitEnd().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(listener->size(), 0u);
}

TEST_F(ConvergenceHubTest, PlacesAreBoundedAndComeBack) {
  controller_.SetCounts({.unknown = 1});
  std::vector<std::shared_ptr<Recorder>> listeners;
  for (size_t i = 0; i < kMaxConvergenceListeners; ++i) listeners.push_back(Listen({}));
  auto more = std::make_shared<Recorder>();
  EXPECT_EQ(hub_.Add(more, {}).code(), absl::StatusCode::kResourceExhausted);
  // One that has ended holds its place until it is removed: its reader may not have got everything yet.
  controller_.SetCounts({});
  hub_.CountSoon();
  EXPECT_EQ(listeners[0]->AwaitEnd(), absl::OkStatus());
  EXPECT_EQ(hub_.Add(more, {}).code(), absl::StatusCode::kResourceExhausted);
  hub_.Remove(listeners[0].get());
  EXPECT_TRUE(hub_.Add(more, {}).ok());
  hub_.Stop();
  EXPECT_EQ(hub_.Add(std::make_shared<Recorder>(), {}).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace daxvmm::control
