// One test for each rule of Linux 6.1's fs/fuse/dax.c that the model keeps.
#include "tools/policy_lab/window_model.h"

#include <vector>

#include "gtest/gtest.h"

namespace daxvmm::lab {
namespace {

constexpr Nanos kMs = 1'000'000;

class WindowModelTest : public ::testing::Test {
 protected:
  void Use(WindowModel* window, FileId file, uint64_t first, uint64_t count, Nanos now = 0) {
    for (uint64_t chunk = first; chunk < first + count; ++chunk) {
      const std::optional<RangeId> id = window->TryAllocate(now);
      ASSERT_TRUE(id.has_value());
      window->Install(*id, file, chunk, /*writable=*/false);
    }
  }
  Costs costs_;
};

TEST_F(WindowModelTest, TheThresholdIsAFifthAndAtLeastOne) {
  EXPECT_EQ(WindowModel(32, costs_).threshold(), 6u);
  EXPECT_EQ(WindowModel(512, costs_).threshold(), 102u);
  EXPECT_EQ(WindowModel(4, costs_).threshold(), 1u);
}

TEST_F(WindowModelTest, FreeRangesAreTakenInTheOrderInWhichTheyBecameFree) {
  WindowModel window(4, costs_);
  Use(&window, 1, 0, 1);
  Use(&window, 2, 0, 1);
  window.Evict(2, 0);  // range 1
  window.Evict(1, 0);  // range 0
  std::vector<RangeId> order;
  while (const std::optional<RangeId> id = window.TryAllocate(0)) order.push_back(*id);
  EXPECT_EQ(order, (std::vector<RangeId>{2, 3, 1, 0}));
}

TEST_F(WindowModelTest, NothingIsReclaimedAsLongAsTheThresholdIsFree) {
  WindowModel window(32, costs_);
  Use(&window, 1, 0, 26);  // 6 free, the threshold
  window.AdvanceTo(1000 * kMs);
  EXPECT_EQ(window.used(), 26u);
}

TEST_F(WindowModelTest, BelowTheThresholdTheWorkerFreesTenAtOnce) {
  WindowModel window(100, costs_);
  Use(&window, 1, 0, 100);
  // One run is ten ranges, one after the other.
  window.AdvanceTo(costs_.reclaim_range - 1);
  EXPECT_EQ(window.free_ranges(), 0u);
  window.AdvanceTo(costs_.reclaim_range);
  EXPECT_EQ(window.free_ranges(), 1u);
  window.AdvanceTo(10 * costs_.reclaim_range);
  EXPECT_EQ(window.free_ranges(), 10u);
  window.AdvanceTo(10 * costs_.reclaim_range + costs_.worker_delay - 1);
  EXPECT_EQ(window.free_ranges(), 10u) << "it rests for a millisecond";
}

TEST_F(WindowModelTest, TheWorkerComesBackAfterAMillisecondWhileFewAreFree) {
  WindowModel window(100, costs_);
  Use(&window, 1, 0, 100);
  const Nanos run = 10 * costs_.reclaim_range;
  window.AdvanceTo(2 * run + costs_.worker_delay);
  EXPECT_EQ(window.free_ranges(), 20u);
  window.AdvanceTo(1000 * kMs);
  EXPECT_EQ(window.free_ranges(), 20u) << "the threshold is reached";
}

TEST_F(WindowModelTest, ARunIsNotCutShortAtTheThreshold) {
  WindowModel window(32, costs_);
  Use(&window, 1, 0, 27);
  window.AdvanceTo(1000 * kMs);
  EXPECT_EQ(window.free_ranges(), 15u) << "5 were free, and 10 more are";
}

TEST_F(WindowModelTest, VictimsComeFromTheHeadOfTheBusyListWhoeverUsesThem) {
  WindowModel window(32, costs_);
  Use(&window, 1, 0, 5);
  Use(&window, 2, 0, 22);
  for (int i = 0; i < 100; ++i) EXPECT_NE(window.Find(1, 0), nullptr);  // use does not move a range
  window.AdvanceTo(1000 * kMs);
  EXPECT_EQ(window.RangesOf(1), 0u);
  EXPECT_EQ(window.RangesOf(2), 17u);
}

TEST_F(WindowModelTest, RangesWithIoInFlightArePassedOverAndGoToTheTail) {
  WindowModel window(10, costs_);
  Use(&window, 1, 0, 9);
  Range* pinned = window.Find(1, 0);
  window.Pin(pinned);
  window.AdvanceTo(1000 * kMs);
  EXPECT_EQ(window.used(), 1u) << "ten looked at, the pinned one kept";
  EXPECT_NE(window.Find(1, 0), nullptr);
  window.Unpin(pinned);
  Use(&window, 2, 0, 8, 1000 * kMs);
  // Behind the others now? It was put to the tail before they came, so it is the next victim again.
  window.AdvanceTo(1000 * kMs + costs_.reclaim_range);
  EXPECT_EQ(window.Find(1, 0), nullptr);
}

TEST_F(WindowModelTest, InlineReclaimTakesTheLowestIdleOffsetOfTheSameFile) {
  WindowModel window(6, costs_);
  Use(&window, 1, 7, 2);
  Use(&window, 1, 3, 1);
  Use(&window, 2, 0, 3);
  window.Pin(window.Find(1, 3));
  EXPECT_FALSE(window.ReclaimInline(3).has_value()) << "of a file without ranges";
  ASSERT_TRUE(window.ReclaimInline(1).has_value());
  EXPECT_NE(window.Find(1, 3), nullptr) << "in use";
  EXPECT_EQ(window.Find(1, 7), nullptr);
  EXPECT_NE(window.Find(1, 8), nullptr);
  EXPECT_EQ(window.RangesOf(2), 3u);
}

TEST_F(WindowModelTest, WhoCannotReclaimWaitsForTheWorker) {
  WindowModel window(4, costs_);
  Use(&window, 1, 0, 4);
  EXPECT_FALSE(window.TryAllocate(0).has_value());
  EXPECT_EQ(window.WaitForFree(0), costs_.reclaim_range);
  EXPECT_TRUE(window.TryAllocate(costs_.reclaim_range).has_value());
}

TEST_F(WindowModelTest, NobodyWaitsForWhatNeverBecomesFree) {
  WindowModel window(1, costs_);
  Use(&window, 1, 0, 1);
  window.Pin(window.Find(1, 0));
  EXPECT_FALSE(window.WaitForFree(0).has_value());
  EXPECT_FALSE(WindowModel(0, costs_).WaitForFree(0).has_value());
}

TEST_F(WindowModelTest, RangesStayUntilTheInodeGoes) {
  WindowModel window(32, costs_);
  Use(&window, 1, 0, 10);
  window.AdvanceTo(1'000'000 * kMs);
  EXPECT_EQ(window.RangesOf(1), 10u);
  EXPECT_EQ(window.Evict(1, 0), 10u);
  EXPECT_EQ(window.free_ranges(), 32u);
}

TEST_F(WindowModelTest, AVictimWhoseInodeGoesMeanwhileIsFreedOnce) {
  WindowModel window(4, costs_);
  Use(&window, 1, 0, 4);
  window.AdvanceTo(costs_.reclaim_range / 2);  // the first is in the worker's hands
  EXPECT_EQ(window.Evict(1, costs_.reclaim_range / 2), 4u);
  Use(&window, 2, 0, 2, costs_.reclaim_range / 2);
  window.AdvanceTo(2 * costs_.reclaim_range);
  EXPECT_EQ(window.free_ranges() + window.used(), 4u);
  EXPECT_EQ(window.RangesOf(2), window.used());
  std::vector<RangeId> seen;
  while (const std::optional<RangeId> id = window.TryAllocate(0)) seen.push_back(*id);
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()), seen.end()) << "a range was free twice";
}

TEST_F(WindowModelTest, ARangeThatIsTakenSoonAfterItBecameFreeIsCounted) {
  WindowModel window(10, costs_);
  Use(&window, 1, 0, 10);
  ASSERT_TRUE(window.WaitForFree(0).has_value());
  EXPECT_EQ(window.reused_soon(), 0u);
  Use(&window, 2, 0, 1, costs_.reclaim_range);
  EXPECT_EQ(window.reused_soon(), 1u);
}

}  // namespace
}  // namespace daxvmm::lab
