#include "devices/virtio_fs/dax/window_account.h"

#include <chrono>
#include <vector>

#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Loss = WindowAccount::Loss;

class WindowAccountTest : public testing::Test {
 protected:
  void Map(uint64_t node, std::vector<uint64_t> filled, uint32_t node_chunks) {
    account_.Mapped(NodeId(node), filled, node_chunks);
  }
  void Unmap(std::vector<uint64_t> emptied) { account_.Unmapped(emptied, account_.full()); }

  std::chrono::steady_clock::time_point now_{seconds(1000)};
  WindowAccount account_{4, milliseconds(100), [this] { return now_; }};
};

TEST_F(WindowAccountTest, ChunksAndTheirHighWaterMark) {
  EXPECT_EQ(account_.chunk_count(), 4u);
  Map(1, {0, 1, 2}, 3);
  Map(1, {}, 3);
  EXPECT_EQ(account_.mapped_chunks_now(), 3u);
  EXPECT_EQ(account_.mapped_chunks_max(), 3u);
  Unmap({0, 2});
  EXPECT_EQ(account_.mapped_chunks_now(), 1u);
  Map(2, {3}, 1);
  EXPECT_EQ(account_.mapped_chunks_now(), 2u);
  EXPECT_EQ(account_.mapped_chunks_max(), 3u);
  EXPECT_EQ(account_.maps().total(), 3u);
  EXPECT_EQ(account_.unmaps().total(), 1u);
  account_.Cleared();
  EXPECT_EQ(account_.mapped_chunks_now(), 0u);
  EXPECT_EQ(account_.maps().total(), 3u);
}

TEST_F(WindowAccountTest, RatesAreOverWholeSecondsThatArePast) {
  for (int i = 0; i < 30; ++i) Map(1, {}, 1);
  EXPECT_EQ(account_.maps().Rates(now_).last_1s, 0) << "the second is not over";
  now_ += milliseconds(999);
  EXPECT_EQ(account_.maps().Rates(now_).last_1s, 0);
  now_ += milliseconds(1);
  EXPECT_EQ(account_.maps().Rates(now_).last_1s, 30);
  EXPECT_EQ(account_.maps().Rates(now_).last_10s, 3);
  EXPECT_EQ(account_.maps().Rates(now_).last_60s, 0.5);
  now_ += seconds(1);
  EXPECT_EQ(account_.maps().Rates(now_).last_1s, 0);
  EXPECT_EQ(account_.maps().Rates(now_).last_10s, 3);
  now_ += seconds(9);
  EXPECT_EQ(account_.maps().Rates(now_).last_10s, 0);
  EXPECT_EQ(account_.maps().Rates(now_).last_60s, 0.5);
  now_ += seconds(49);
  EXPECT_EQ(account_.maps().Rates(now_).last_60s, 0.5) << "sixty seconds ago";
  now_ += seconds(1);
  EXPECT_EQ(account_.maps().Rates(now_).last_60s, 0);
  EXPECT_EQ(account_.maps().total(), 30u);
}

TEST_F(WindowAccountTest, BucketsAreUsedAgain) {
  for (int second = 0; second < 200; ++second) {
    for (int i = 0; i <= second % 2; ++i) Map(1, {}, 1);
    now_ += seconds(1);
  }
  EXPECT_EQ(account_.maps().Rates(now_).last_1s, 2);
  EXPECT_EQ(account_.maps().Rates(now_).last_60s, 1.5);
  now_ += seconds(100000);
  EXPECT_EQ(account_.maps().Rates(now_).last_60s, 0);
}

TEST_F(WindowAccountTest, ASlotIsReusedSoonOnlyIfNoneWasFree) {
  Map(1, {0, 1, 2}, 3);
  Unmap({0});
  Map(1, {0}, 3);
  EXPECT_EQ(account_.reused_soon(), 0u) << "chunk 3 was free";
  Map(1, {3}, 4);
  ASSERT_TRUE(account_.full());
  Unmap({0, 1});
  Map(1, {0}, 3);
  EXPECT_EQ(account_.reused_soon(), 1u);
  now_ += milliseconds(100);
  Map(1, {1}, 4);
  EXPECT_EQ(account_.reused_soon(), 2u) << "at the limit";
  Unmap({2});
  now_ += milliseconds(101);
  Map(1, {2}, 4);
  EXPECT_EQ(account_.reused_soon(), 2u) << "too late";
}

TEST_F(WindowAccountTest, ARemovalCountsOnce) {
  Map(1, {0, 1, 2, 3}, 4);
  Unmap({0});
  Map(1, {0}, 4);
  EXPECT_EQ(account_.reused_soon(), 1u);
  // Emptied while others are free: the old removal must not count again.
  Unmap({1});
  Unmap({0});
  Map(1, {0}, 3);
  EXPECT_EQ(account_.reused_soon(), 1u);
  Unmap({2, 3});
  account_.Cleared();
  Map(1, {0, 1, 2, 3}, 4);
  EXPECT_EQ(account_.reused_soon(), 1u) << "another session";
}

TEST_F(WindowAccountTest, NodesHaveCountersWhileTheyHaveMappings) {
  Map(1, {0, 1}, 2);
  Map(1, {2}, 3);
  Map(2, {3}, 1);
  account_.NodeLost(NodeId(1), 2, Loss::kRemoved);
  account_.NodeLost(NodeId(1), 1, Loss::kReplaced);
  EXPECT_EQ(account_.UseOf(NodeId(1)), (NodeWindowUse{.chunks = 1, .chunks_max = 3, .maps = 2, .unmaps = 1}));
  EXPECT_EQ(account_.UseOf(NodeId(2)), (NodeWindowUse{.chunks = 1, .chunks_max = 1, .maps = 1, .unmaps = 0}));
  EXPECT_EQ(account_.UseByNode().size(), 2u);
  account_.NodeLost(NodeId(1), 0, Loss::kRemoved);
  EXPECT_EQ(account_.UseOf(NodeId(1)), NodeWindowUse());
  EXPECT_EQ(account_.UseByNode().size(), 1u);
  account_.NodeLost(NodeId(7), 0, Loss::kRemoved);
  account_.Cleared();
  EXPECT_TRUE(account_.UseByNode().empty());
}

}  // namespace
}  // namespace daxvmm::dax
