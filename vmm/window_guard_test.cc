#include "vmm/window_guard.h"

#include <string>

#include "gtest/gtest.h"

namespace daxvmm::vmm {
namespace {

constexpr GuestPhysAddr kBase(GiB(4).raw());
constexpr GuestPhysAddr kReadOnlyBase(GiB(8).raw());

class WindowGuardTest : public testing::Test {
 protected:
  WindowGuardTest() {
    guard_.Add({.name = "data",
                .base = kBase,
                .size = MiB(2),
                .read_only = false,
                .describe_unusable = [this] { return unusable_; },
                .describe_at = [](WindowOffset at) { return "page " + std::to_string(at.raw() / 4096); }});
    guard_.Add({.name = "tools",
                .base = kReadOnlyBase,
                .size = MiB(2),
                .read_only = true,
                .describe_unusable = {},
                .describe_at = {}});
  }

  std::string unusable_;
  WindowGuard guard_;
};

TEST_F(WindowGuardTest, OnlyAWindowsPageEndsTheGuest) {
  EXPECT_FALSE(guard_.HandleUnbackedAccess(kBase, false));
  EXPECT_FALSE(guard_.HandleUnbackedAccess(kBase + (MiB(2) - ByteCount(1)), true));
  EXPECT_TRUE(guard_.HandleUnbackedAccess(kBase + MiB(2), true));
  EXPECT_TRUE(guard_.HandleUnbackedAccess(GuestPhysAddr(0xd000'0000), false));
}

TEST_F(WindowGuardTest, StoresToAReadOnlyWindowAreDroppedAndCounted) {
  EXPECT_FALSE(guard_.HandleUnbackedAccess(kReadOnlyBase, false));
  EXPECT_TRUE(guard_.HandleUnbackedAccess(kReadOnlyBase, true));
  EXPECT_TRUE(guard_.HandleUnbackedAccess(kReadOnlyBase + ByteCount(8), true));
  EXPECT_EQ(guard_.dropped_stores(kReadOnlyBase), 2u);
  EXPECT_EQ(guard_.dropped_stores(kBase), 0u);
}

TEST_F(WindowGuardTest, AFaultAtAKnownAddressIsToldByWhatLiesThere) {
  EXPECT_EQ(guard_.DescribeAt(kBase + ByteCount(8192)), "share 'data', offset 0x2000 of the DAX window: page 2");
  EXPECT_EQ(guard_.DescribeAt(kReadOnlyBase), "share 'tools', offset 0x0 of the DAX window");
  EXPECT_EQ(guard_.DescribeAt(GuestPhysAddr(0)), "");
}

TEST_F(WindowGuardTest, AFaultAtAnUnknownAddressClaimsNothingThatIsNotKnown) {
  EXPECT_NE(guard_.Describe().find("may have been"), std::string::npos) << guard_.Describe();
  unusable_ = "'log' shrank";
  EXPECT_EQ(guard_.Describe(), "share 'data': 'log' shrank");
  EXPECT_EQ(WindowGuard().Describe(), "");
}

}  // namespace
}  // namespace daxvmm::vmm
