#include "devices/virtio_fs/dax/adaptive.h"

#include <vector>

#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

constexpr AdaptiveTime kSecond = std::chrono::seconds(1);
constexpr uint64_t kChunks = 32;  // 64 MiB

// A policy, and the counts that a server would keep.
class AdaptiveTest : public ::testing::Test {
 protected:
  static FileIdentity Id(uint64_t n) { return FileIdentity(n); }

  FileSample New(uint64_t n, ByteCount size, bool huge = false) {
    const Verdict verdict = policy_.Instantiated(now_, {.file = Id(n), .size = size, .huge_pages = huge});
    return {.file = Id(n), .size = size, .huge_pages = huge, .dax = verdict.dax};
  }
  // Maps the whole file, chunk after chunk.
  void Stream(FileSample* file) {
    const uint64_t chunks = ChunksOfSize(file->size);
    file->setups += chunks;
    file->sequential_setups += chunks - 1;
    file->mapped_chunks = static_cast<uint32_t>(chunks);
    window_.maps += chunks;
  }
  std::vector<VerdictChange> Tick(std::vector<FileSample> active) {
    now_ += kSecond;
    return policy_.Tick(now_, window_, active);
  }
  std::string Why(uint64_t n) const { return policy_.Explain(Id(n)); }

  AdaptivePolicy policy_{kChunks};
  AdaptiveTime now_{0};
  WindowSample window_{.capacity_chunks = kChunks};
};

TEST_F(AdaptiveTest, GrantsNewFilesWhileThereIsRoom) {
  EXPECT_TRUE(New(1, MiB(4)).dax);
  EXPECT_EQ(Why(1), "granted: new file, window at 0 %");
}

TEST_F(AdaptiveTest, DeniesWithoutAWindow) {
  AdaptivePolicy policy(0);
  EXPECT_FALSE(policy.Instantiated(now_, {.file = Id(1), .size = MiB(4)}).dax);
  EXPECT_EQ(policy.Explain(Id(1)), "denied: there is no window");
}

TEST_F(AdaptiveTest, DeniesFilesThatCostMoreMappedThanCached) {
  EXPECT_FALSE(New(1, ByteCount(KiB(32).raw() - 1)).dax);
  EXPECT_TRUE(New(2, KiB(32)).dax);
  EXPECT_EQ(Why(1), "denied: with 32767 bytes (below 32768) it costs more mapped than cached");
}

TEST_F(AdaptiveTest, DeniesFilesThatDoNotFitIntoTheWindow) {
  EXPECT_EQ(policy_.budget_chunks(), 25u);  // 32, less 6 that the guest keeps free and a margin of 1
  EXPECT_TRUE(New(1, MiB(50)).dax);
  EXPECT_FALSE(New(2, MiB(52)).dax);
  EXPECT_EQ(Why(2), "denied: needs 26 chunks, more than the window holds before the guest reclaims");
}

TEST_F(AdaptiveTest, StopsGrantingBeforeTheGuestsWatermark) {
  uint64_t granted = 0;
  for (uint64_t n = 1; n <= 20; ++n) granted += New(n, MiB(4)).dax ? 2 : 0;
  EXPECT_EQ(granted, 24u);
  EXPECT_EQ(Why(20), "denied: window at 75 %, no room for 2 more chunks before the guest reclaims");
}

TEST_F(AdaptiveTest, RoomThatIsGivenBackIsGrantedAgain) {
  const FileSample first = New(1, MiB(50));
  EXPECT_FALSE(New(2, MiB(8)).dax);
  policy_.Forgotten(now_, first);
  EXPECT_TRUE(New(3, MiB(8)).dax);
}

TEST_F(AdaptiveTest, AQuietFileNoLongerCounts) {
  FileSample first = New(1, MiB(50));
  first.open = true;
  first.setups = first.mapped_chunks = 25;
  window_.used_chunks = 25;
  Tick({first});
  EXPECT_EQ(policy_.bespoken_chunks(), 25u);
  now_ += policy_.tuning().quiet_after - kSecond;
  Tick({});
  EXPECT_EQ(policy_.bespoken_chunks(), 25u);
  Tick({});
  EXPECT_EQ(policy_.bespoken_chunks(), 0u);
}

TEST_F(AdaptiveTest, AClosedFileCountsForLess) {
  FileSample first = New(1, MiB(50));
  first.setups = first.mapped_chunks = 7;
  Tick({first});
  EXPECT_EQ(policy_.bespoken_chunks(), 7u) << "what it has mapped, not its size";
  now_ += policy_.tuning().closed_quiet_after;
  Tick({});
  EXPECT_EQ(policy_.bespoken_chunks(), 0u);
}

TEST_F(AdaptiveTest, AFileThatWasReadThroughOnceHoldsNoRoom) {
  FileSample first = New(1, MiB(40));
  first.open = true;
  first.setups = first.mapped_chunks = 10;
  first.sequential_setups = 9;
  Tick({first});
  EXPECT_EQ(policy_.bespoken_chunks(), 20u) << "half-way";
  Stream(&first);
  first.setups = 20;
  Tick({first});
  EXPECT_EQ(policy_.bespoken_chunks(), 0u);
  first.setups += 20;
  first.sequential_setups += 20;
  Tick({first});
  EXPECT_EQ(policy_.bespoken_chunks(), 20u) << "it comes back for more";
}

TEST_F(AdaptiveTest, NewFilesOfAKindThatIsReadOnceAreDenied) {
  for (uint64_t n = 1; n <= 3; ++n) {
    FileSample file = New(n, MiB(8));
    ASSERT_TRUE(file.dax);
    Stream(&file);
    Tick({file});
  }
  EXPECT_FALSE(New(10, MiB(8)).dax);
  EXPECT_EQ(Why(10), "denied: files of its size were read once lately (3 seen)");
  EXPECT_TRUE(New(11, MiB(1)).dax) << "another kind";
  EXPECT_TRUE(New(12, MiB(8), /*huge=*/true).dax) << "another kind";
}

TEST_F(AdaptiveTest, AKindIsGrantedAgainWhenItsFilesAreReadAgain) {
  for (uint64_t n = 1; n <= 3; ++n) {
    FileSample file = New(n, MiB(8));
    Stream(&file);
    Tick({file});
    policy_.Forgotten(now_, file);
  }
  for (uint64_t n = 11; n <= 12; ++n) {
    FileSample file = New(n, MiB(8));
    ASSERT_FALSE(file.dax);
    file.reads = 2000;
    file.read_bytes = file.reads * 8192;
    Tick({file});
  }
  EXPECT_TRUE(New(20, MiB(8)).dax);
}

TEST_F(AdaptiveTest, WithdrawsWhatWasStreamedThroughSmallPagesUnderPressure) {
  FileSample file = New(1, MiB(30));
  Stream(&file);
  window_.used_chunks = 15;
  EXPECT_TRUE(Tick({file}).empty()) << "no pressure yet";
  window_.used_chunks = 20;
  const std::vector<VerdictChange> changes = Tick({file});
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_FALSE(changes[0].verdict.dax);
  EXPECT_EQ(Why(1), "denied: window at 62 %, file only read through in order, chunks mapped 15 times in 2 s");
}

TEST_F(AdaptiveTest, KeepsWhatWasStreamedThroughHugePages) {
  FileSample file = New(1, MiB(30), /*huge=*/true);
  Stream(&file);
  window_.used_chunks = 25;
  EXPECT_TRUE(Tick({file}).empty());
}

TEST_F(AdaptiveTest, KeepsWhatIsReadOutOfOrder) {
  FileSample file = New(1, MiB(30));
  file.setups = 15;
  file.sequential_setups = 2;
  file.mapped_chunks = 15;
  window_.used_chunks = 25;
  EXPECT_TRUE(Tick({file}).empty());
}

TEST_F(AdaptiveTest, AStreamedFileIsDeniedWhenItComesBack) {
  FileSample file = New(1, MiB(8));
  Stream(&file);
  policy_.Forgotten(now_, file);
  EXPECT_FALSE(New(1, MiB(8)).dax);
}

TEST_F(AdaptiveTest, GrantsWhatFuseServesAgainAndAgain) {
  FileSample file = New(1, MiB(52));
  ASSERT_FALSE(file.dax);
  policy_.Forgotten(now_, file);
  file = New(2, KiB(4));
  ASSERT_FALSE(file.dax);
  file.size = MiB(2);  // it has grown
  Tick({file});
  file.reads = 500;
  file.read_bytes = file.reads * 4096;
  EXPECT_TRUE(Tick({file}).empty()) << "it may be cached now";
  file.reads = 600;
  file.read_bytes = file.reads * 4096;
  const std::vector<VerdictChange> changes = Tick({file});
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_TRUE(changes[0].verdict.dax);
  EXPECT_EQ(Why(2), "granted: 596 FUSE requests in 1 s cost more than mapping would, window at 0 %");
}

TEST_F(AdaptiveTest, OnePassThroughFuseIsNoReasonToMap) {
  FileSample file = New(1, KiB(4));
  file.size = MiB(8);
  file.reads = 8;
  file.read_bytes = MiB(8).raw();
  EXPECT_TRUE(Tick({file}).empty());
}

TEST_F(AdaptiveTest, AppendingIsNoReasonToMap) {
  FileSample file = New(1, KiB(4));
  file.writes = 4000;
  file.write_bytes = MiB(16).raw();
  file.size = KiB(4) + MiB(16);
  EXPECT_TRUE(Tick({file}).empty()) << "extending writes are FUSE_WRITE with DAX too";
  file.writes += 8000;  // in place
  file.write_bytes += MiB(32).raw();
  EXPECT_EQ(Tick({file}).size(), 1u);
}

TEST_F(AdaptiveTest, AGrownFileIsGrantedWhenItComesBack) {
  FileSample file = New(1, ByteCount(0));
  EXPECT_FALSE(file.dax);
  file.size = MiB(4);
  policy_.Forgotten(now_, file);
  EXPECT_TRUE(New(1, MiB(4)).dax);
  EXPECT_EQ(Why(1), "granted: grew to 4194304 bytes, window at 0 %");
}

TEST_F(AdaptiveTest, WithdrawsTheLeastUsedWhenTheWindowTurnsOver) {
  std::vector<FileSample> files;
  for (uint64_t n = 1; n <= 6; ++n) files.push_back(New(n, MiB(8)));
  for (FileSample& file : files) {
    file.setups = 4;
    file.mapped_chunks = 4;
  }
  window_.used_chunks = 30;
  window_.maps += 24;
  EXPECT_TRUE(Tick(files).empty());
  // All map again what was taken away; the third least.
  for (FileSample& file : files) file.setups += 40;
  files[2].setups -= 30;
  window_.maps += 6 * 40 - 30;
  const std::vector<VerdictChange> changes = Tick(files);
  EXPECT_TRUE(policy_.turning_over());
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].file, Id(3));
  EXPECT_EQ(Why(3), "denied: window at 93 % and turning over, file among the least used: mapped 14 times in 1 s");
}

TEST_F(AdaptiveTest, NewcomersThatTakeThePlaceDoNotCostTheOthersTheirs) {
  FileSample old = New(1, MiB(8));
  old.setups = old.mapped_chunks = 4;
  Tick({old});
  old.setups += 8;
  window_.used_chunks = 32;
  window_.maps += 100;
  EXPECT_TRUE(Tick({old}).empty());
  EXPECT_TRUE(policy_.turning_over());
}

TEST_F(AdaptiveTest, HugePagesMayStreamThroughAFullWindow) {
  FileSample file = New(1, MiB(16), /*huge=*/true);
  Stream(&file);
  Tick({file});
  ASSERT_TRUE(New(2, MiB(48)).dax);
  ASSERT_EQ(policy_.bespoken_chunks(), 24u);
  EXPECT_TRUE(New(10, MiB(16), /*huge=*/true).dax);
  EXPECT_FALSE(New(11, MiB(16)).dax);
}

TEST_F(AdaptiveTest, OneNewSmallFileInEightIsATrial) {
  int denied = 0;
  for (uint64_t n = 1; n <= 16; ++n) {
    const FileSample file = New(n, KiB(64));
    denied += file.dax ? 0 : 1;
    if (n == 8) {
      EXPECT_FALSE(file.dax);
      EXPECT_EQ(Why(n), "denied: one new file of its size in 8 goes without, to see how it is read");
    }
    policy_.Forgotten(now_, file);
  }
  EXPECT_EQ(denied, 2);
}

TEST_F(AdaptiveTest, AFileThatWasPushedOutIsTakenUpAsTheCallerKnowsIt) {
  AdaptivePolicy policy(kChunks, {.max_live_files = 1, .max_forgotten_files = 0});
  const Verdict first = policy.Instantiated(now_, {.file = Id(1), .size = MiB(4)});
  ASSERT_TRUE(first.dax);
  policy.Instantiated(now_, {.file = Id(2), .size = MiB(4)});
  EXPECT_EQ(policy.Explain(Id(1)), "nothing is remembered of this file");
  const FileSample sample{.file = Id(1), .size = MiB(4), .dax = true, .mapped_chunks = 2, .setups = 2};
  EXPECT_TRUE(policy.Tick(kSecond, window_, std::vector{sample}).empty());
  EXPECT_EQ(policy.Explain(Id(1)), "granted: new file, window at 0 %");
  EXPECT_EQ(policy.bespoken_chunks(), 2u);
}

TEST_F(AdaptiveTest, ATickIsDueAfterASecondOrAfterManyMaps) {
  EXPECT_FALSE(policy_.Due(AdaptiveTime(999), 0));
  EXPECT_TRUE(policy_.Due(AdaptiveTime(1000), 0));
  EXPECT_TRUE(policy_.Due(AdaptiveTime(10), 8));
  EXPECT_FALSE(policy_.Due(AdaptiveTime(9), 8));
  EXPECT_FALSE(policy_.Due(AdaptiveTime(10), 7));
}

TEST_F(AdaptiveTest, TimeThatGoesBackwardsStandsStill) {
  now_ = std::chrono::seconds(100);
  FileSample file = New(1, MiB(8));
  Tick({file});
  now_ = AdaptiveTime(0);
  New(2, MiB(8));
  EXPECT_TRUE(Tick({file}).empty());
}

TEST_F(AdaptiveTest, ResetForgetsEverything) {
  const FileSample file = New(1, MiB(8));
  policy_.Reset();
  EXPECT_EQ(policy_.live_files(), 0u);
  EXPECT_EQ(policy_.bespoken_chunks(), 0u);
  policy_.Forgotten(now_, file);  // unknown now: ignored
  EXPECT_EQ(policy_.forgotten_files(), 0u);
}

}  // namespace
}  // namespace daxvmm::dax
