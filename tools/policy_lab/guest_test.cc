#include "tools/policy_lab/guest.h"

#include "gtest/gtest.h"

namespace daxvmm::lab {
namespace {

constexpr Nanos kSecond = 1'000'000'000;

// Says what the test tells it to.
class Told final : public LabPolicy {
 public:
  bool Instantiated(Nanos, FileId, uint64_t, bool) override {
    ++asked;
    return dax;
  }
  bool Current(FileId, uint64_t) const override { return dax; }
  void Forgotten(Nanos, const dax::FileSample& last) override {
    ++forgotten;
    last_seen = last;
  }

  bool dax = true;
  int asked = 0;
  int forgotten = 0;
  dax::FileSample last_seen;
};

class GuestTest : public ::testing::Test {
 protected:
  static GuestConfig Config() {
    GuestConfig config;
    config.window_bytes = 10 * kChunk;
    config.cache_bytes = 100 * kPage;
    return config;
  }
  FileId File(uint64_t size) {
    Trace trace;
    trace.AddFile(size);
    guest_.AddFiles(trace);
    return files_++;
  }
  void Do(OpKind kind, FileId file, uint64_t offset = 0, uint64_t length = 0) {
    guest_.Do({.kind = kind, .file = file, .offset = offset, .length = length});
  }
  void Think(Nanos ns) { guest_.Do({.kind = OpKind::kThink, .length = static_cast<uint64_t>(ns)}); }
  const Metrics& metrics() const { return guest_.metrics(); }

  Told policy_;
  Guest guest_{Config(), &policy_};
  FileId files_ = 0;
};

TEST_F(GuestTest, AVerdictIsAskedForWhenTheInodeIsMadeOnly) {
  const FileId file = File(kChunk);
  for (int i = 0; i < 5; ++i) {
    Do(OpKind::kOpen, file);
    Do(OpKind::kClose, file);
    Think(2 * kSecond);
  }
  EXPECT_EQ(policy_.asked, 1);
}

TEST_F(GuestTest, AChangeIsNotSeenWhileAttributesAreCached) {
  const FileId file = File(kChunk);
  Do(OpKind::kOpen, file);
  policy_.dax = false;
  Do(OpKind::kClose, file);
  Do(OpKind::kStat, file);
  EXPECT_TRUE(guest_.IsLive(file));
  Think(2 * kSecond);
  Do(OpKind::kStat, file);
  EXPECT_FALSE(guest_.IsLive(file)) << "the stat that sees the change lets the inode go";
  Do(OpKind::kOpen, file);
  EXPECT_FALSE(guest_.IsDax(file));
  EXPECT_EQ(policy_.asked, 2);
}

TEST_F(GuestTest, AnOpenFileKeepsItsStateUntilItsLastClose) {
  const FileId file = File(kChunk);
  Do(OpKind::kOpen, file);
  Do(OpKind::kOpen, file);
  Do(OpKind::kRead, file, 0, kPage);
  policy_.dax = false;
  Think(2 * kSecond);
  Do(OpKind::kStat, file);
  Do(OpKind::kClose, file);
  EXPECT_TRUE(guest_.IsDax(file));
  EXPECT_EQ(guest_.window().used(), 1u);
  Do(OpKind::kClose, file);
  EXPECT_FALSE(guest_.IsLive(file));
  EXPECT_EQ(guest_.window().used(), 0u);
  EXPECT_EQ(metrics().dropped_inodes, 1u);
  EXPECT_EQ(policy_.last_seen.removes, 1u);
}

TEST_F(GuestTest, AnInodesRangesAreGivenBackByOneRequest) {
  const FileId file = File(5 * kChunk);
  Do(OpKind::kOpen, file);
  Do(OpKind::kRead, file, 0, 5 * kChunk);
  Do(OpKind::kClose, file);
  EXPECT_EQ(guest_.window().used(), 5u) << "closed, and still mapped";
  Do(OpKind::kUnlink, file);
  EXPECT_EQ(metrics().removes, 5u);
  EXPECT_EQ(metrics().remove_requests, 1u);
}

TEST_F(GuestTest, MappedReadsCopyNothingAndCachedOnesDo) {
  const FileId file = File(kChunk);
  Do(OpKind::kRead, file, 0, 64 * kPage);
  EXPECT_EQ(metrics().setups, 1u);
  EXPECT_EQ(metrics().copied_bytes, 0u);
  policy_.dax = false;
  const FileId other = File(kChunk);
  Do(OpKind::kRead, other, 0, 64 * kPage);
  Do(OpKind::kRead, other, 0, 64 * kPage);
  EXPECT_EQ(metrics().setups, 1u);
  EXPECT_EQ(metrics().fuse_reads, 1u);
  EXPECT_EQ(metrics().copied_bytes, 64 * kPage);
}

TEST_F(GuestTest, TheCacheDropsWhatWasUsedLeastRecently) {
  policy_.dax = false;
  const FileId file = File(kChunk);
  Do(OpKind::kOpen, file);
  Do(OpKind::kRead, file, 0, 60 * kPage);
  Do(OpKind::kRead, file, 60 * kPage, 40 * kPage);
  Do(OpKind::kRead, file, 0, 60 * kPage);  // again: the most recent now
  EXPECT_EQ(metrics().fuse_reads, 2u);
  Do(OpKind::kRead, file, 100 * kPage, 40 * kPage);
  Do(OpKind::kRead, file, 0, 60 * kPage);
  EXPECT_EQ(metrics().fuse_reads, 3u) << "the other forty went";
  Do(OpKind::kRead, file, 60 * kPage, 1 * kPage);
  EXPECT_EQ(metrics().fuse_reads, 4u);
}

TEST_F(GuestTest, AWriteInPlaceIsAStoreAndOneThatExtendsIsNot) {
  const FileId file = File(kChunk);
  Do(OpKind::kOpen, file);
  Do(OpKind::kRead, file, 0, kPage);
  Do(OpKind::kWrite, file, 0, kPage);
  EXPECT_EQ(metrics().setups, 2u) << "the read-only range is mapped again, writable";
  Do(OpKind::kWrite, file, kPage, kPage);
  EXPECT_EQ(metrics().setups, 2u);
  EXPECT_EQ(metrics().fuse_writes, 0u);
  Do(OpKind::kWrite, file, kChunk - kPage, kPage);
  EXPECT_EQ(metrics().fuse_writes, 0u) << "it ends at the end of the file";
  Do(OpKind::kWrite, file, kChunk - kPage, 2 * kPage);
  EXPECT_EQ(metrics().fuse_writes, 1u);
}

TEST_F(GuestTest, AReadReclaimsFromItsOwnFileAndDoesNotWait) {
  const FileId file = File(20 * kChunk);
  Do(OpKind::kRead, file, 0, 20 * kChunk);
  EXPECT_EQ(metrics().waits, 0u);
  EXPECT_EQ(metrics().setups, 20u);
  EXPECT_GT(metrics().removes, 0u);
}

TEST_F(GuestTest, AReadOfAFileWithoutRangesWaits) {
  std::vector<FileId> files;
  for (int i = 0; i < 60; ++i) files.push_back(File(kPage));
  for (const FileId file : files) Do(OpKind::kOpen, file);
  // A new range every 37 us, against 49 us of the worker for each.
  for (const FileId file : files) Do(OpKind::kRead, file, 0, kPage);
  EXPECT_GT(metrics().waits, 0u);
  EXPECT_EQ(guest_.window().inline_reclaims(), 0u);
}

TEST_F(GuestTest, AFaultCannotReclaimAndWaits) {
  const FileId file = File(60 * kChunk);
  Do(OpKind::kOpen, file);
  // One page of each: a new range every 36 us, against 49 us of the worker for each.
  for (uint64_t chunk = 0; chunk < 60; ++chunk) Do(OpKind::kTouch, file, chunk * kChunk, kPage);
  EXPECT_GT(metrics().waits, 0u);
  EXPECT_GT(metrics().wait_ns, 0);
  EXPECT_EQ(guest_.window().inline_reclaims(), 0u);
}

TEST_F(GuestTest, PagesThatAreTouchedAgainCostLess) {
  const FileId file = File(kChunk);
  Do(OpKind::kOpen, file);
  Do(OpKind::kRead, file, 0, kPage);
  Nanos before = guest_.now();
  Do(OpKind::kRead, file, kPage, 100 * kPage);
  const Nanos cold = guest_.now() - before;
  before = guest_.now();
  Do(OpKind::kRead, file, kPage, 100 * kPage);
  const Nanos hot = guest_.now() - before;
  EXPECT_EQ(cold - hot, 100 * Costs().first_touch_tmpfs);
}

TEST_F(GuestTest, TheCostsOfAColdScanAreThoseThatWereMeasured) {
  // Microseconds for 2 MiB: 865 (tmpfs), 2352 (ext4), 129 (huge pages), 274 to 448 by FUSE_READ.
  struct Case {
    Backing backing;
    bool dax;
    Nanos low_us;
    Nanos high_us;
  };
  for (const Case& c : {Case{Backing::kTmpfs, true, 820, 910}, Case{Backing::kExt4, true, 2230, 2470},
                        Case{Backing::kHuge, true, 120, 140}, Case{Backing::kTmpfs, false, 274, 448}}) {
    GuestConfig config = Config();
    config.backing = c.backing;
    config.cache_bytes = 10 * kChunk;
    Told policy;
    policy.dax = c.dax;
    Guest guest(config, &policy);
    Trace trace;
    trace.AddFile(kChunk);
    guest.AddFiles(trace);
    guest.Do({.kind = OpKind::kOpen});
    const Nanos before = guest.now();
    guest.Do({.kind = OpKind::kRead, .length = kChunk});
    const Nanos us = (guest.now() - before) / 1000;
    EXPECT_GE(us, c.low_us) << static_cast<int>(c.backing) << c.dax;
    EXPECT_LE(us, c.high_us) << static_cast<int>(c.backing) << c.dax;
  }
}

TEST_F(GuestTest, ClosedInodesBeyondTheCacheAreForgotten) {
  GuestConfig config = Config();
  config.max_inodes = 3;
  Guest guest(config, &policy_);
  Trace trace;
  for (FileId i = 0; i < 5; ++i) {
    trace.AddFile(kPage);
    trace.Open(i);
    trace.Close(i);
  }
  guest.Run(trace);
  EXPECT_EQ(policy_.forgotten, 2);
  EXPECT_FALSE(guest.IsLive(0));
  EXPECT_TRUE(guest.IsLive(4));
}

TEST_F(GuestTest, WithoutAWindowNothingIsMapped) {
  GuestConfig config = Config();
  config.window_bytes = 0;
  Guest guest(config, &policy_);
  Trace trace;
  trace.AddFile(kChunk);
  trace.Read(0, 0, kChunk);
  EXPECT_EQ(guest.Run(trace).setups, 0u);
}

}  // namespace
}  // namespace daxvmm::lab
