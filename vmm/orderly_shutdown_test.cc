#include "vmm/orderly_shutdown.h"

#include <chrono>
#include <vector>

#include "gtest/gtest.h"

namespace daxvmm::vmm {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using Step = ShutdownPlan::Step;

constexpr ShutdownPlan::Time kStart{hours(5)};

// Everything that is due up to `until`, with the milliseconds since the start at which it was.
std::vector<std::pair<Step, int64_t>> RunUntil(ShutdownPlan* plan, ShutdownPlan::Time until) {
  std::vector<std::pair<Step, int64_t>> steps;
  while (plan->next().has_value() && *plan->next() <= until) {
    const ShutdownPlan::Time now = *plan->next();
    const Step step = plan->Take(now);
    if (step == Step::kWait) {
      ADD_FAILURE() << "nothing was due when next() said";
      break;
    }
    steps.push_back({step, std::chrono::duration_cast<milliseconds>(now - kStart).count()});
  }
  return steps;
}

using Steps = std::vector<std::pair<Step, int64_t>>;

TEST(ShutdownPlanTest, DoesNothingUnasked) {
  ShutdownPlan plan;
  EXPECT_FALSE(plan.next().has_value());
  EXPECT_EQ(plan.Take(kStart), Step::kWait);
}

TEST(ShutdownPlanTest, PressesAtOnceAndEachSecondThenForcesOnce) {
  ShutdownPlan plan;
  plan.Ask(kStart, kStart + milliseconds(2500));
  EXPECT_EQ(RunUntil(&plan, kStart + hours(1)),
            (Steps{{Step::kPress, 0}, {Step::kPress, 1000}, {Step::kPress, 2000}, {Step::kForce, 2500}}));
  EXPECT_EQ(plan.Take(kStart + hours(2)), Step::kWait);
}

TEST(ShutdownPlanTest, NoTimeAtAllIsForce) {
  ShutdownPlan plan;
  plan.Ask(kStart, kStart);
  EXPECT_EQ(plan.Take(kStart), Step::kForce);
}

TEST(ShutdownPlanTest, ALaterAskMovesTheDeadlineEitherWay) {
  ShutdownPlan plan;
  plan.Ask(kStart, kStart + seconds(2));
  EXPECT_EQ(RunUntil(&plan, kStart), (Steps{{Step::kPress, 0}}));
  plan.Ask(kStart + milliseconds(500), kStart + milliseconds(2800));
  EXPECT_EQ(RunUntil(&plan, kStart + seconds(2)), (Steps{{Step::kPress, 1000}, {Step::kPress, 2000}}))
      << "the first deadline is not in force any more, and asking again is no press";
  plan.Ask(kStart + seconds(2), kStart + milliseconds(2200));
  EXPECT_EQ(RunUntil(&plan, kStart + hours(1)), (Steps{{Step::kForce, 2200}}));
}

TEST(OrderlyShutdownTest, PressesAndThenForcesWithTheLastTimeout) {
  Mutex mu;
  CondVar changed;
  int presses = 0;
  std::vector<nanoseconds> forced;
  OrderlyShutdown shutdown({.press =
                                [&] {
                                  MutexLock lock(&mu);
                                  ++presses;
                                  changed.SignalAll();
                                },
                            .force =
                                [&](nanoseconds timeout) {
                                  MutexLock lock(&mu);
                                  forced.push_back(timeout);
                                  changed.SignalAll();
                                }});
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  shutdown.Ask(hours(1));
  {
    MutexLock lock(&mu);
    while (presses == 0) ASSERT_TRUE(changed.WaitUntil(&mu, deadline)) << "the button was not pressed";
  }
  shutdown.Ask(nanoseconds(0));
  {
    MutexLock lock(&mu);
    while (forced.empty()) ASSERT_TRUE(changed.WaitUntil(&mu, deadline)) << "the guest was not ended";
  }
  shutdown.Stop();
  shutdown.Ask(nanoseconds(0));
  EXPECT_EQ(forced, std::vector<nanoseconds>{nanoseconds(0)});
}

TEST(OrderlyShutdownTest, StopsInTheMiddle) {
  OrderlyShutdown shutdown({.press = [] {}, .force = [](nanoseconds) { ADD_FAILURE() << "forced"; }});
  shutdown.Ask(hours(1));
  shutdown.Stop();
}

}  // namespace
}  // namespace daxvmm::vmm
