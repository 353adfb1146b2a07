#include "devices/virtio_fs/fs/cached_facts.h"

#include <sys/stat.h>
#include <time.h>

#include "gtest/gtest.h"

namespace daxvmm::fs {
namespace {

constexpr statx_timestamp At(int64_t seconds, uint32_t nanoseconds = 0) {
  statx_timestamp t = {};
  t.tv_sec = seconds;
  t.tv_nsec = nanoseconds;
  return t;
}

struct statx Stat(mode_t mode, const statx_timestamp& ctime) {
  struct statx stx = {};
  stx.stx_mode = static_cast<uint16_t>(S_IFREG | mode);
  stx.stx_ctime = ctime;
  return stx;
}

TEST(CachedFactsTest, ReadHintYieldsToASetter) {
  CachedFacts facts;
  EXPECT_FALSE(facts.dax_hint().has_value());
  EXPECT_EQ(facts.NoteReadHint(DaxHint::kUnset), DaxHint::kUnset);
  facts.SetHint(DaxHint::kSet);
  EXPECT_EQ(facts.NoteReadHint(DaxHint::kUnset), DaxHint::kSet);
  EXPECT_EQ(facts.dax_hint(), DaxHint::kSet);
}

TEST(CachedFactsTest, CapabilityIsKnownAsOfOneChange) {
  CachedFacts facts;
  EXPECT_FALSE(facts.CapabilityAsOf(At(100)).has_value());
  facts.NoteCapability(At(100), /*settled=*/true, /*present=*/true);
  EXPECT_EQ(facts.CapabilityAsOf(At(100)), true);
  EXPECT_FALSE(facts.CapabilityAsOf(At(100, 1)).has_value());
  facts.NoteCapability(At(101), /*settled=*/true, /*present=*/false);
  EXPECT_EQ(facts.CapabilityAsOf(At(101)), false);
  EXPECT_FALSE(facts.CapabilityAsOf(At(100)).has_value());
  facts.ForgetCapability();
  EXPECT_FALSE(facts.CapabilityAsOf(At(101)).has_value());
}

TEST(CachedFactsTest, NothingIsKeptOfAChangeThatIsNotSettled) {
  CachedFacts facts;
  facts.NoteCapability(At(100), /*settled=*/false, /*present=*/false);
  EXPECT_FALSE(facts.CapabilityAsOf(At(100)).has_value());
  timespec now;
  ASSERT_EQ(clock_gettime(CLOCK_REALTIME, &now), 0);
  EXPECT_FALSE(IsSettled(At(now.tv_sec + 1)));
  EXPECT_TRUE(IsSettled(At(now.tv_sec - 60)));
}

TEST(CachedFactsTest, PrivilegesAreRuledOutByModeAndCapabilityOnly) {
  CachedFacts facts;
  EXPECT_TRUE(facts.MayHavePrivileges()) << "nothing is known";
  facts.Seen(Stat(0755, At(100)));
  EXPECT_TRUE(facts.MayHavePrivileges()) << "the capability is not known";
  facts.NoteCapability(At(100), /*settled=*/true, /*present=*/false);
  EXPECT_FALSE(facts.MayHavePrivileges());
  facts.Seen(Stat(0755, At(100)));
  EXPECT_FALSE(facts.MayHavePrivileges());
  facts.Seen(Stat(04755, At(100)));
  EXPECT_TRUE(facts.MayHavePrivileges()) << "set-user-id";
  facts.Seen(Stat(0755, At(101)));
  EXPECT_TRUE(facts.MayHavePrivileges()) << "changed since";
}

}  // namespace
}  // namespace daxvmm::fs
