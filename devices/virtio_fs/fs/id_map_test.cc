#include "devices/virtio_fs/fs/id_map.h"

#include <string>

#include "gtest/gtest.h"

namespace daxvmm::fs {
namespace {

TEST(IdMapTest, WithoutRangesEveryIdIsItself) {
  const IdMap map;
  EXPECT_TRUE(map.identity());
  for (const uint32_t id : {0u, 1000u, kOverflowId, UINT32_MAX - 1}) {
    EXPECT_EQ(map.ToHost(id), id);
    EXPECT_EQ(map.ToGuest(id), id);
  }
  EXPECT_EQ(map.ToHost(UINT32_MAX), std::nullopt) << "-1 is no id";
}

TEST(IdMapTest, RangesMapTheirEndsAndNothingElse) {
  IdMap map;
  ASSERT_TRUE(map.AddRange(0, 100000, 1000).ok());
  ASSERT_TRUE(map.AddRange(1000, 50, 1).ok());
  EXPECT_FALSE(map.identity());
  EXPECT_EQ(map.ToHost(0), 100000u);
  EXPECT_EQ(map.ToHost(999), 100999u);
  EXPECT_EQ(map.ToHost(1000), 50u);
  EXPECT_EQ(map.ToHost(1001), std::nullopt);
  EXPECT_EQ(map.ToGuest(100000), 0u);
  EXPECT_EQ(map.ToGuest(100999), 999u);
  EXPECT_EQ(map.ToGuest(50), 1000u);
  EXPECT_EQ(map.ToGuest(101000), kOverflowId);
  EXPECT_EQ(map.ToGuest(0), kOverflowId);
}

TEST(IdMapTest, EveryIdOfARangeComesBack) {
  IdMap map;
  ASSERT_TRUE(map.AddRange(10, 200, 20).ok());
  for (uint32_t id = 10; id < 30; ++id) EXPECT_EQ(map.ToGuest(*map.ToHost(id)), id);
}

TEST(IdMapTest, ASquashTakesWhatNoRangeHolds) {
  IdMap map;
  ASSERT_TRUE(map.AddRange(0, 100000, 10).ok());
  ASSERT_TRUE(map.SetSquash(65000).ok());
  EXPECT_EQ(map.ToHost(5), 100005u);
  EXPECT_EQ(map.ToHost(10), 65000u);
  EXPECT_EQ(map.ToHost(UINT32_MAX), std::nullopt);
  EXPECT_EQ(map.ToGuest(65000), 65000u);
  EXPECT_EQ(map.ToGuest(100005), 5u);
  EXPECT_EQ(map.ToGuest(7), kOverflowId);
}

TEST(IdMapTest, ASquashAloneTakesEverybody) {
  IdMap map;
  ASSERT_TRUE(map.SetSquash(0).ok());
  EXPECT_FALSE(map.identity());
  EXPECT_EQ(map.ToHost(1000), 0u);
  EXPECT_EQ(map.ToGuest(0), 0u);
  EXPECT_EQ(map.ToGuest(1000), kOverflowId);
}

// A squash whose host id a range holds shows as that range says.
TEST(IdMapTest, ARangeOutranksTheSquashOnTheWayBack) {
  IdMap map;
  ASSERT_TRUE(map.AddRange(0, 1000, 1).ok());
  ASSERT_TRUE(map.SetSquash(1000).ok());
  EXPECT_EQ(map.ToHost(77), 1000u);
  EXPECT_EQ(map.ToGuest(1000), 0u);
}

TEST(IdMapTest, BadRangesAreRefusedAndChangeNothing) {
  IdMap map;
  EXPECT_FALSE(map.AddRange(0, 0, 0).ok());
  EXPECT_FALSE(map.AddRange(UINT32_MAX, 0, 1).ok());
  EXPECT_FALSE(map.AddRange(0, UINT32_MAX, 1).ok());
  EXPECT_FALSE(map.AddRange(1, 0, UINT32_MAX).ok());
  EXPECT_FALSE(map.SetSquash(UINT32_MAX).ok());
  EXPECT_TRUE(map.identity());
  EXPECT_TRUE(map.AddRange(0, 0, UINT32_MAX).ok()) << "all ids there are";

  IdMap second;
  ASSERT_TRUE(second.AddRange(10, 110, 10).ok());
  const absl::Status guest = second.AddRange(19, 500, 5);
  EXPECT_NE(std::string(guest.message()).find("guest"), std::string::npos) << guest;
  const absl::Status host = second.AddRange(500, 101, 10);
  EXPECT_NE(std::string(host.message()).find("host"), std::string::npos) << host;
  EXPECT_TRUE(second.AddRange(20, 120, 5).ok()) << "side by side is not on top";
  EXPECT_TRUE(second.AddRange(5, 105, 5).ok());
}

}  // namespace
}  // namespace daxvmm::fs
