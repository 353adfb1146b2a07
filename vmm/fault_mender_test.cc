#include "vmm/fault_mender.h"

#include <chrono>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "vmm/fake_window_owner.h"

namespace daxvmm::vmm {
namespace {

using Kind = memory::MendOutcome::Kind;
using memory::Touch;

constexpr GuestPhysAddr kBase(GiB(4).raw());
constexpr GuestPhysAddr kRam(0x1000);

class FaultMenderTest : public testing::Test {
 protected:
  FaultMenderTest() { guard_.Add({.name = "data", .base = kBase, .size = MiB(2), .owner = &owner_}); }

  std::optional<std::string> Fault(std::vector<TouchedPage> touched) { return mender_.Handle(touched); }
  // How many faults it takes to end the guest, up to `limit`.
  unsigned FaultsUntilTheEnd(const std::vector<TouchedPage>& touched, unsigned limit = 1000) {
    for (unsigned i = 1; i <= limit; ++i) {
      mender_.Entering();
      if (Fault(touched).has_value()) return i;
    }
    return limit + 1;
  }

  FakeWindowOwner owner_;
  WindowGuard guard_;
  std::chrono::steady_clock::time_point now_{std::chrono::seconds(1)};
  FaultMender mender_{&guard_, [this] { return now_; }};
};

TEST_F(FaultMenderTest, WhatIsMendedGoesOnForEver) {
  owner_.outcome = {Kind::kMended, ""};
  EXPECT_EQ(FaultsUntilTheEnd({{.at = kBase, .may_store = true}}, 5000), 5001u);
  EXPECT_EQ(owner_.looks, 0);
}

TEST_F(FaultMenderTest, WhatIsLostEndsAtOnce) {
  EXPECT_EQ(Fault({{.at = kRam}, {.at = kBase}}), "share 'data', offset 0x0 of the DAX window: gone");
}

TEST_F(FaultMenderTest, WithoutProgressTheGuestEnds) {
  owner_.outcome = {Kind::kUsable, ""};
  EXPECT_EQ(FaultsUntilTheEnd({{.at = kBase, .may_store = true}}), FaultMender::kMaxFutile);
  EXPECT_TRUE(mender_.suspicious());
  EXPECT_EQ(Fault({{.at = kBase}}),
            "share 'data', offset 0x0 of the DAX window: page 0, but the host cannot bring the page in");
}

TEST_F(FaultMenderTest, ARefusalIsTheReasonInTheEnd) {
  owner_.outcome = {Kind::kRefused, "mapped read-only"};
  std::optional<std::string> reason;
  for (unsigned i = 0; i < FaultMender::kMaxFutile; ++i) {
    ASSERT_FALSE(reason.has_value()) << i;
    reason = Fault({{.at = kBase, .may_store = true}});
  }
  EXPECT_EQ(reason, "share 'data', offset 0x0 of the DAX window: mapped read-only");
}

TEST_F(FaultMenderTest, AnUnknownPageIsLookedForInAllFilesAndEndsSooner) {
  owner_.look_changes = true;
  EXPECT_EQ(Fault({}), std::nullopt);
  EXPECT_EQ(owner_.looks, 1);
  owner_.unusable = "'log' shrank";
  EXPECT_EQ(FaultsUntilTheEnd({{.at = kRam}}), FaultMender::kMaxFutileUnknown);
  EXPECT_EQ(owner_.looks, 1 + static_cast<int>(FaultMender::kMaxFutileUnknown));
  EXPECT_TRUE(owner_.touches.empty());
}

TEST_F(FaultMenderTest, OneUnknownPageAmongKnownOnesDoesNotEndTheGuest) {
  owner_.outcome = {Kind::kUsable, ""};
  for (unsigned i = 0; i < 2 * FaultMender::kMaxFutileUnknown; ++i) {
    ASSERT_EQ(Fault({{.at = kBase, .may_store = true}}), std::nullopt) << i;
  }
  EXPECT_EQ(Fault({}), std::nullopt);
}

TEST_F(FaultMenderTest, ProgressAndTimeEndARowOfFutileFaults) {
  owner_.outcome = {Kind::kUsable, ""};
  for (unsigned i = 0; i < 3 * FaultMender::kMaxFutile; ++i) {
    if (i % 100 == 50) ++owner_.repairs;  // since the last entry
    ASSERT_EQ(Fault({{.at = kBase}}), std::nullopt) << i;
    mender_.Entering();
  }
  for (unsigned i = 0; i < 3 * FaultMender::kMaxFutile; ++i) {
    now_ += FaultMender::kRow + std::chrono::milliseconds(1);
    ASSERT_EQ(Fault({{.at = kBase}}), std::nullopt) << i;
  }
}

// The page of a load may have become a repair page between the fault and the look at it: it must not pass for a store.
TEST_F(FaultMenderTest, AFaultThatARepairOvertookIsNoStore) {
  owner_.outcome = {Kind::kUsable, ""};
  mender_.Entering();
  ++owner_.repairs;
  ASSERT_EQ(Fault({{.at = kBase, .may_store = true}}), std::nullopt);
  EXPECT_EQ(owner_.touches.back().second, Touch::kLoad);
  mender_.Entering();
  ASSERT_EQ(Fault({{.at = kBase, .may_store = true}}), std::nullopt);
  EXPECT_EQ(owner_.touches.back().second, Touch::kMaybeStore);
}

TEST_F(FaultMenderTest, WhatIsOnlyPerhapsTouchedEndsNobodyAtOnce) {
  EXPECT_EQ(Fault({{.at = kRam}, {.at = kBase, .may_store = true, .perhaps = true}}), std::nullopt);
  EXPECT_GT(FaultsUntilTheEnd({{.at = kRam}, {.at = kBase, .may_store = true, .perhaps = true}}), 1u);
}

}  // namespace
}  // namespace daxvmm::vmm
