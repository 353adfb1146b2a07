#include "vmm/memory_plan.h"

#include <string>

#include "gtest/gtest.h"

namespace daxvmm::vmm {
namespace {

std::string Error(ByteCount ram, std::vector<ByteCount> windows, unsigned bits) {
  return std::string(PlanMemory(ram, windows, bits).status().message());
}

TEST(MemoryPlanTest, SmallMemoryStaysBelowTheHole) {
  const auto plan = PlanMemory(MiB(512), {}, 40);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->ram, (std::vector<AddressRange>{{GuestPhysAddr(0), MiB(512)}}));
}

TEST(MemoryPlanTest, LargeMemoryGoesOnAboveTheHole) {
  const auto plan = PlanMemory(GiB(5), {}, 40);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->ram,
            (std::vector<AddressRange>{{GuestPhysAddr(0), GiB(3)}, {GuestPhysAddr(uint64_t{4} << 30), GiB(2)}}));
  EXPECT_EQ(PlanMemory(GiB(3), {}, 40)->ram.size(), 1u);
}

TEST(MemoryPlanTest, WindowsFollowAlignedAndApart) {
  const std::vector<ByteCount> sizes = {MiB(2), ByteCount(0), GiB(1) + MiB(2), MiB(64)};
  const auto plan = PlanMemory(GiB(4) + MiB(1), sizes, 40);
  ASSERT_TRUE(plan.ok());
  ASSERT_EQ(plan->windows.size(), 4u);
  EXPECT_EQ(plan->windows[0], (AddressRange{GuestPhysAddr(uint64_t{6} << 30), MiB(2)}));
  EXPECT_EQ(plan->windows[1], AddressRange{});
  EXPECT_EQ(plan->windows[2], (AddressRange{GuestPhysAddr(uint64_t{7} << 30), GiB(1) + MiB(2)}));
  EXPECT_EQ(plan->windows[3], (AddressRange{GuestPhysAddr(uint64_t{9} << 30), MiB(64)}));
}

TEST(MemoryPlanTest, AWindowMustEndWithinTheAddressBits) {
  EXPECT_TRUE(PlanMemory(MiB(512), std::vector<ByteCount>{GiB(60)}, 36).ok());
  EXPECT_EQ(Error(MiB(512), {GiB(60) + MiB(2)}, 36).substr(0, 24), "share: dax-window=61442 ");
  EXPECT_NE(Error(MiB(512), {GiB(60) + MiB(2)}, 36).find("36 address bits"), std::string::npos);
}

TEST(MemoryPlanTest, AWindowMustStayWithinReachOfTheGuestsDirectMap) {
  EXPECT_TRUE(PlanMemory(MiB(512), std::vector<ByteCount>{GiB(10 * 1024 - 4)}, 48).ok());
  EXPECT_NE(Error(MiB(512), {GiB(10 * 1024)}, 48).find("below 10 TiB"), std::string::npos);
}

TEST(MemoryPlanTest, SumsThatWrapAreRefused) {
  const ByteCount huge(~uint64_t{0} & ~(kDaxRangeSize.raw() - 1));
  EXPECT_FALSE(PlanMemory(MiB(512), std::vector<ByteCount>{huge}, 64).ok());
  EXPECT_NE(Error(huge, {}, 64).find("mem:"), std::string::npos);
}

}  // namespace
}  // namespace daxvmm::vmm
