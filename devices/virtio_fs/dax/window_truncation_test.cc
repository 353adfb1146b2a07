#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <thread>

#include "devices/virtio_fs/dax/window.h"
#include "devices/virtio_fs/dax/window_test_support.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr uint64_t kPages = 1024;  // two chunks

class TruncationTest : public WindowTest {
 protected:
  void SetUp() override {
    WindowTest::SetUp();
    file_.Fill(kPages);
    source_.paths[NodeId(1)] = file_.path();
  }
  bool AwaitRepairs(uint64_t n) const {
    return Await([n](const WindowStats& stats) { return stats.repairs >= n; });
  }
  bool AwaitRestores(uint64_t n) const {
    return Await([n](const WindowStats& stats) { return stats.restores >= n; });
  }

  TestFile file_{"truncated"};
};

TEST_F(TruncationTest, LostPagesBecomeReadOnlyZerosAndOnlyThose) {
  ASSERT_EQ(SetupMapping(1, 0, 2 * kChunk, kRead | kWrite, kChunk), 0);
  file_.Truncate(3 * kPage + 1);
  ASSERT_TRUE(AwaitRepairs(1)) << "the truncation was not noticed";
  EXPECT_EQ(Load(kChunk + 3 * kPage), 'd') << "the page that holds the last byte stays";
  EXPECT_TRUE(CanStore(kChunk + 3 * kPage + 100));
  EXPECT_EQ(Load(kChunk + 4 * kPage), '\0');
  EXPECT_FALSE(CanStore(kChunk + 4 * kPage)) << "a store must not be absorbed";
  EXPECT_EQ(Load(3 * kChunk - 1), '\0');
  file_.Fill(kPages);  // the host grows it again
  ASSERT_TRUE(AwaitRestores(1)) << "the growth was not noticed";
}

TEST_F(TruncationTest, WhoObservesIsToldOfPagesWithdrawnAndGivenBack) {
  std::atomic<int> withdrawn{0};
  std::atomic<int> back{0};
  window_.reset();
  auto window = Window::Create(memory_.get(), false, {.repaired = [&](bool gone) { ++(gone ? withdrawn : back); }});
  ASSERT_TRUE(window.ok()) << window.status();
  window_ = *std::move(window);
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  file_.Truncate(kPage);
  ASSERT_TRUE(AwaitRepairs(1)) << "the truncation was not noticed";
  EXPECT_EQ(withdrawn, 1);
  EXPECT_EQ(back, 0);
  file_.Fill(kPages);
  ASSERT_TRUE(AwaitRestores(1)) << "the growth was not noticed";
  EXPECT_GE(back, 1);
  window_.reset();
}

// A page past the end of a file that is still mapped to it shows the file as soon as that grows; a repair page does
// not until it is given back. With the watch out of the way this tells the two apart.
class QuietTruncationTest : public TruncationTest {
 protected:
  // As /proc tells: whether the byte at `offset` is in a mapping of anonymous zeros. A file's is shared.
  bool IsRepair(uint64_t offset) const {
    FILE* maps = fopen("/proc/self/maps", "r");
    const uintptr_t at = reinterpret_cast<uintptr_t>(memory_->host()) + offset;
    unsigned long from = 0, to = 0;
    char rights[8] = "", line[512];
    bool repair = false;
    while (fgets(line, sizeof(line), maps) != nullptr) {
      if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) == 3 && from <= at && at < to) {
        repair = std::string(rights) == "r--p";
      }
    }
    fclose(maps);
    return repair;
  }
};

TEST_F(QuietTruncationTest, RepairPagesAreAnonymousAndReadOnly) {
  ASSERT_EQ(SetupMapping(1, 0, 2 * kChunk, kRead, 0), 0);
  EXPECT_FALSE(IsRepair(kChunk));
  file_.Truncate(kChunk + 1);
  ASSERT_TRUE(AwaitRepairs(1));
  EXPECT_FALSE(IsRepair(kChunk - 1));
  EXPECT_FALSE(IsRepair(kChunk)) << "the page that holds the last byte";
  EXPECT_TRUE(IsRepair(kChunk + kPage));
  EXPECT_TRUE(IsRepair(2 * kChunk - 1));
}

TEST_F(QuietTruncationTest, ATailThatNeverWasIsLeftAlone) {
  file_.Truncate(3000);
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  EXPECT_FALSE(IsRepair(kPage)) << "the guest does not ask again when the file grows";
  file_.Fill(2, 5);
  EXPECT_EQ(Load(kPage), 'g');
  EXPECT_EQ(window_->stats().repairs, 0u);
}

TEST_F(QuietTruncationTest, OnlyTheLostPartOfTheMappedRange) {
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);  // the first of two chunks
  file_.Truncate(10 * kPage);
  ASSERT_TRUE(AwaitRepairs(1));
  EXPECT_TRUE(IsRepair(10 * kPage));
  ASSERT_EQ(SetupMapping(1, 0, 4 * kPage, kRead, 2 * kChunk), 0);
  EXPECT_FALSE(IsRepair(2 * kChunk));
}

TEST_F(QuietTruncationTest, GrowthIsMendedBeforeFileSizeSeenReturns) {
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead | kWrite, 0), 0);
  for (int round = 1; round <= 20; ++round) {
    file_.Truncate(0);
    ASSERT_TRUE(AwaitRepairs(static_cast<uint64_t>(round))) << "round " << round;
    ASSERT_TRUE(IsRepair(0));
    file_.Fill(2, round);
    window_->FileSizeSeen(NodeId(1), ByteCount(2 * kPage));
    ASSERT_EQ(Load(kPage), file_.At(kPage)) << "round " << round;
    ASSERT_TRUE(CanStore(0)) << "the right to write must come back too";
    ASSERT_TRUE(IsRepair(2 * kPage));
  }
}

TEST_F(QuietTruncationTest, ReadOnlyPagesComeBackReadOnly) {
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead | kWrite, kChunk), 0);  // now the file is held open for writing
  file_.Truncate(0);
  ASSERT_TRUE(AwaitRepairs(1));
  file_.Fill(1);
  window_->FileSizeSeen(NodeId(1), ByteCount(kPage));
  EXPECT_EQ(Load(0), 'a');
  EXPECT_FALSE(CanStore(0));
  EXPECT_TRUE(CanStore(kChunk));
}

TEST_F(QuietTruncationTest, ANewSetupRepairsAndRestores) {
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  file_.Truncate(kPage);
  ASSERT_TRUE(AwaitRepairs(1));
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, kChunk), 0);
  EXPECT_EQ(Load(kChunk), 'a');
  EXPECT_TRUE(IsRepair(kChunk + kPage)) << "lost pages must not come back by a new mapping";
  file_.Fill(4);
  ASSERT_EQ(SetupMapping(1, kChunk, kChunk, kRead, 2 * kChunk), 0);
  EXPECT_EQ(Load(3 * kPage), 'd');
  EXPECT_EQ(Load(kChunk + 3 * kPage), 'd');
}

TEST_F(QuietTruncationTest, AShrinkBeforeTheFirstMappingIsKnownByWhatTheGuestWasTold) {
  file_.Truncate(2 * kPage);
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0, kPages * kPage), 0);
  EXPECT_FALSE(IsRepair(kPage));
  EXPECT_TRUE(IsRepair(2 * kPage));
  EXPECT_THAT(window_->DescribeUnusable(), HasSubstr("shrank from 4194304 to 8192 bytes"));
  file_.Fill(3);
  window_->FileSizeSeen(NodeId(1), ByteCount(3 * kPage));
  EXPECT_EQ(Load(2 * kPage), 'c');
}

TEST_F(QuietTruncationTest, TwoNodesOfOneFile) {
  source_.paths[NodeId(2)] = file_.path();
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  ASSERT_EQ(SetupMapping(2, 0, kChunk, kRead, kChunk), 0);
  file_.Truncate(0);
  ASSERT_TRUE(AwaitRepairs(1));
  EXPECT_TRUE(IsRepair(0));
  EXPECT_TRUE(IsRepair(kChunk));
}

TEST_F(QuietTruncationTest, ANodeIdThatComesBackForAnotherFile) {
  TestFile other("other");
  other.Fill(2);
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  source_.paths[NodeId(1)] = other.path();
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, kChunk), 0);
  file_.Truncate(0);
  ASSERT_TRUE(AwaitRepairs(1));
  EXPECT_TRUE(IsRepair(0));
  EXPECT_EQ(Load(kChunk), 'a') << "the other file did not shrink";
}

TEST_F(QuietTruncationTest, RemoveAndClearWhileRepaired) {
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  file_.Truncate(0);
  ASSERT_TRUE(AwaitRepairs(1));
  ASSERT_EQ(Remove({{.moffset = 0, .len = kChunk}}), 0);
  EXPECT_EQ(window_->DescribeUnusable(), "");
  file_.Fill(512);
  window_->FileSizeSeen(NodeId(1), ByteCount(kChunk));
  EXPECT_EQ(Load(0), std::nullopt) << "what was removed must not come back";

  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  EXPECT_EQ(Load(0), 'a');
  file_.Truncate(0);
  ASSERT_TRUE(AwaitRepairs(2));
  window_->Clear();
  file_.Fill(512);
  window_->FileSizeSeen(NodeId(1), ByteCount(kChunk));
  EXPECT_EQ(Load(0), std::nullopt);
}

TEST_F(QuietTruncationTest, UnlinkedFilesAreWatchedToo) {
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  ASSERT_EQ(unlink(file_.path().c_str()), 0);
  file_.Truncate(0);
  ASSERT_TRUE(AwaitRepairs(1));
  EXPECT_TRUE(IsRepair(0));
}

TEST_F(TruncationTest, Descriptions) {
  EXPECT_EQ(window_->DescribeUnusable(), "");
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  EXPECT_EQ(window_->DescribeUnusable(), "");
  EXPECT_THAT(window_->Describe(WindowOffset(5)),
              AllOf(HasSubstr("byte 5 of"), HasSubstr("node 1"), HasSubstr("read-only")));
  file_.Truncate(kPage);
  // No need to wait: whoever asks gets the sizes of this moment.
  EXPECT_THAT(window_->DescribeUnusable(), AllOf(HasSubstr(file_.path()), HasSubstr("node 1"),
                                                 HasSubstr("from 4194304 to 4096 bytes"), HasSubstr("511 pages")));
  EXPECT_THAT(window_->Describe(WindowOffset(kPage)), HasSubstr("but the file has 4096 bytes"));
}

// Log rotation by copytruncate, with a guest that appends: whatever size the guest is told of must be readable.
TEST_F(TruncationTest, NoReplyReportsGrowthThatIsOutOfReach) {
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  std::atomic<bool> stop{false};
  std::latch truncated{1};
  std::thread host([&] {
    // Above what the loop below reads: only the pages beyond come and go.
    file_.Truncate(64 * kPage);
    file_.Truncate(512 * kPage);
    truncated.count_down();
    while (!stop.load()) {
      file_.Truncate(64 * kPage);
      file_.Truncate(512 * kPage);
    }
  });
  // A busy host may start the thread late.
  truncated.wait();
  for (uint64_t i = 0; i < 2000; ++i) {
    window_->FileSizeSeen(NodeId(1), ByteCount(64 * kPage));
    ASSERT_EQ(Load((i % 64) * kPage), static_cast<char>('a' + i % 64 % 26)) << "iteration " << i;
  }
  stop = true;
  host.join();
  file_.Truncate(512 * kPage);
  window_->FileSizeSeen(NodeId(1), ByteCount(kChunk));
  EXPECT_EQ(Load(511 * kPage), '\0');
}

// The watch may look at the size between the two steps and lay repair pages after the second: whoever tells of the
// growth must then find them, or wait for them.
TEST_F(TruncationTest, ARepairThatRacesWithGrowthIsTakenBack) {
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead | kWrite, 0), 0);
  for (int i = 0; i < 20000; ++i) {
    file_.Truncate(0);
    file_.Truncate(kPage);
    window_->FileSizeSeen(NodeId(1), ByteCount(kPage));
    ASSERT_TRUE(CanStore(0)) << "iteration " << i;
  }
}

// The watch never sees the size that the guest was told of.
TEST_F(QuietTruncationTest, AGrowthThatWasToldAndTakenBackUnseenIsRepaired) {
  file_.Truncate(kPage);
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0, kPage), 0);
  // Nothing shrank as far as the window knows, and the guest is told what will not be true when anyone looks.
  window_->FileSizeSeen(NodeId(1), ByteCount(3 * kPage));
  ASSERT_TRUE(AwaitRepairs(1)) << "nobody looked at a size that was told but never seen";
  EXPECT_FALSE(IsRepair(0));
  EXPECT_TRUE(IsRepair(kPage));
  EXPECT_TRUE(IsRepair(2 * kPage));
  EXPECT_FALSE(IsRepair(3 * kPage));
}

TEST_F(QuietTruncationTest, GrowthToldThroughAnyNodeOfTheFileRestores) {
  source_.paths[NodeId(2)] = file_.path();
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead | kWrite, 0), 0);
  ASSERT_EQ(SetupMapping(2, 0, kChunk, kRead | kWrite, kChunk), 0);
  for (int round = 1; round <= 20; ++round) {
    file_.Truncate(0);
    ASSERT_TRUE(AwaitRepairs(static_cast<uint64_t>(round)));
    file_.Fill(1, round);
    window_->FileSizeSeen(NodeId(1 + static_cast<uint64_t>(round) % 2), ByteCount(kPage));
    ASSERT_TRUE(CanStore(0)) << "round " << round;
    ASSERT_TRUE(CanStore(kChunk)) << "round " << round;
  }
}

TEST_F(TruncationTest, ChangesWhileTheWindowGoes) {
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
    std::thread host([this] {
      for (int i = 0; i < 20; ++i) {
        file_.Truncate(0);
        file_.Truncate(kChunk);
      }
    });
    if (round % 2 == 0) {
      window_->Clear();
    } else {
      Make(false);  // ends one window and makes another
    }
    host.join();
    ASSERT_EQ(Load(0), std::nullopt);
  }
}

}  // namespace
}  // namespace daxvmm::dax
