#include "vmm/window_guard.h"

#include <array>
#include <string>

#include "gtest/gtest.h"
#include "vmm/fake_window_owner.h"

namespace daxvmm::vmm {
namespace {

using Kind = memory::MendOutcome::Kind;
using memory::Touch;

constexpr GuestPhysAddr kBase(GiB(4).raw());
constexpr GuestPhysAddr kReadOnlyBase(GiB(8).raw());

class WindowGuardTest : public testing::Test {
 protected:
  WindowGuardTest() {
    guard_.Add({.name = "data", .base = kBase, .size = MiB(2), .read_only = false, .owner = &owner_});
    guard_.Add({.name = "tools", .base = kReadOnlyBase, .size = MiB(2), .read_only = true, .owner = nullptr});
  }
  // Whether the vCPU may go on.
  bool Handle(GuestPhysAddr at, bool write) { return !guard_.HandleUnbackedAccess(at, data_, write).has_value(); }

  FakeWindowOwner owner_;
  std::array<uint8_t, 4> data_{};
  WindowGuard guard_;
};

TEST_F(WindowGuardTest, OnlyAWindowsPageEndsTheGuest) {
  EXPECT_FALSE(Handle(kBase, false));
  EXPECT_FALSE(Handle(kBase + (MiB(2) - ByteCount(1)), true));
  EXPECT_TRUE(Handle(kBase + MiB(2), true));
  EXPECT_TRUE(Handle(GuestPhysAddr(0xd000'0000), false));
  EXPECT_EQ(guard_.HandleUnbackedAccess(kBase + ByteCount(4096), data_, false),
            "share 'data', offset 0x1000 of the DAX window: gone");
}

TEST_F(WindowGuardTest, AnAccessIsCarriedOutInTheGuestsPlace) {
  owner_.outcome = {Kind::kMended, ""};
  ASSERT_TRUE(Handle(kBase + ByteCount(8), false));
  EXPECT_EQ(data_, (std::array<uint8_t, 4>{0x5a, 0x5a, 0x5a, 0x5a}));
  ASSERT_TRUE(Handle(kBase + (MiB(2) - ByteCount(4)), true));
  EXPECT_EQ(owner_.touches.back(), std::pair(WindowOffset(MiB(2).raw() - 4), Touch::kMaybeStore));
  EXPECT_FALSE(Handle(kBase + (MiB(2) - ByteCount(3)), true)) << "reaches out of the window";
  EXPECT_EQ(owner_.touches.size(), 2u);
}

TEST_F(WindowGuardTest, StoresToAReadOnlyWindowAreDroppedAndCounted) {
  EXPECT_FALSE(Handle(kReadOnlyBase, false));
  EXPECT_TRUE(Handle(kReadOnlyBase, true));
  EXPECT_TRUE(Handle(kReadOnlyBase + ByteCount(8), true));
  EXPECT_EQ(guard_.dropped_stores(kReadOnlyBase), 2u);
  EXPECT_EQ(guard_.dropped_stores(kBase), 0u);
}

TEST_F(WindowGuardTest, MendingIsForTheWindowThatHoldsThePage) {
  owner_.outcome = {Kind::kRefused, "mapped read-only"};
  const auto outcome = guard_.Mend(kBase + ByteCount(4096), Touch::kLoad);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->kind, Kind::kRefused);
  EXPECT_EQ(outcome->reason, "share 'data', offset 0x1000 of the DAX window: mapped read-only");
  EXPECT_EQ(guard_.Mend(kReadOnlyBase, Touch::kLoad)->kind, Kind::kLost);
  EXPECT_FALSE(guard_.Mend(kBase + MiB(2), Touch::kLoad).has_value());
  owner_.repairs = 3;
  EXPECT_EQ(guard_.repair_count(), 3u);
  EXPECT_FALSE(guard_.LookAtFiles());
  owner_.look_changes = true;
  EXPECT_TRUE(guard_.LookAtFiles());
}

TEST_F(WindowGuardTest, AFaultAtAKnownAddressIsToldByWhatLiesThere) {
  EXPECT_EQ(guard_.DescribeAt(kBase + ByteCount(8192)), "share 'data', offset 0x2000 of the DAX window: page 2");
  EXPECT_EQ(guard_.DescribeAt(kReadOnlyBase), "share 'tools', offset 0x0 of the DAX window");
  EXPECT_EQ(guard_.DescribeAt(GuestPhysAddr(0)), "");
}

TEST_F(WindowGuardTest, AFaultAtAnUnknownAddressClaimsNothingThatIsNotKnown) {
  EXPECT_NE(guard_.Describe().find("may have been"), std::string::npos) << guard_.Describe();
  owner_.unusable = "'log' shrank";
  EXPECT_EQ(guard_.Describe(), "share 'data': 'log' shrank");
  EXPECT_EQ(WindowGuard().Describe(), "");
}

}  // namespace
}  // namespace daxvmm::vmm
