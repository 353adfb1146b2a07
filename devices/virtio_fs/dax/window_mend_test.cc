// What a vCPU gets that could not reach a page of the window.
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
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
using Kind = memory::MendOutcome::Kind;
using memory::Touch;

constexpr uint64_t kPages = 512;

class MendTest : public WindowTest {
 protected:
  void SetUp() override {
    WindowTest::SetUp();
    file_.Fill(kPages);
    source_.paths[NodeId(1)] = file_.path();
  }
  memory::MendOutcome Mend(uint64_t at, Touch touch) { return window_->Mend(WindowOffset(at), touch); }
  uint64_t FileSize() const {
    struct stat st = {};
    EXPECT_EQ(stat(file_.path().c_str(), &st), 0);
    return static_cast<uint64_t>(st.st_size);
  }
  // Truncates, and waits until the loss of pages is repaired, so that what follows is not the watch's work.
  void Shrink(uint64_t bytes) {
    const uint64_t repairs = window_->stats().repairs;
    file_.Truncate(bytes);
    ASSERT_TRUE(Await([repairs](const WindowStats& stats) { return stats.repairs > repairs; }));
  }

  TestFile file_{"mended"};
};

TEST_F(MendTest, WhatNothingIsMappedAtIsLost) {
  const memory::MendOutcome outcome = Mend(kChunk, Touch::kLoad);
  EXPECT_EQ(outcome.kind, Kind::kLost);
  EXPECT_EQ(outcome.reason, "nothing is mapped there");
}

TEST_F(MendTest, ALoadFasterThanTheWatchIsRepaired) {
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  EXPECT_EQ(Mend(5 * kPage, Touch::kLoad).kind, Kind::kUsable);
  file_.Truncate(kPage);
  // The watch may be first; then there is nothing to do.
  const memory::MendOutcome outcome = Mend(5 * kPage, Touch::kLoad);
  EXPECT_TRUE(outcome.kind == Kind::kMended || outcome.kind == Kind::kUsable) << outcome.reason;
  EXPECT_EQ(Load(5 * kPage), '\0');
  EXPECT_EQ(Load(0), 'a');
  EXPECT_EQ(window_->repair_count(), 1u);
  EXPECT_EQ(window_->stats().stores_past_end, 0u);
}

TEST_F(MendTest, AStorePastTheEndExtendsTheFileByThatPage) {
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead | kWrite, 0, kChunk), 0);
  Shrink(2 * kPage + 10);
  EXPECT_FALSE(CanStore(5 * kPage));
  EXPECT_EQ(Mend(5 * kPage + 100, Touch::kMaybeStore).kind, Kind::kMended);
  EXPECT_EQ(FileSize(), 6 * kPage);
  EXPECT_TRUE(CanStore(5 * kPage));
  EXPECT_TRUE(CanStore(3 * kPage)) << "what lies between is the file's again";
  EXPECT_FALSE(CanStore(6 * kPage));
  EXPECT_EQ(file_.At(2 * kPage + 9), 'c') << "no byte may change";
  EXPECT_EQ(file_.At(2 * kPage + 10), '\0');
  const WindowStats stats = window_->stats();
  EXPECT_EQ(stats.stores_past_end, 1u);
  EXPECT_EQ(stats.files_extended, 1u);
  EXPECT_EQ(stats.restores, 1u);
  EXPECT_EQ(Mend(5 * kPage, Touch::kMaybeStore).kind, Kind::kUsable);
  EXPECT_EQ(window_->stats().stores_past_end, 1u);
}

TEST_F(MendTest, NoFurtherThanTheGuestWasTold) {
  file_.Truncate(3 * kPage + 100);
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead | kWrite, 0, 3 * kPage + 100), 0);
  Shrink(0);
  EXPECT_EQ(Mend(3 * kPage, Touch::kMaybeStore).kind, Kind::kMended);
  EXPECT_EQ(FileSize(), 3 * kPage + 100);
  EXPECT_EQ(Mend(3 * kPage, Touch::kMaybeStore).kind, Kind::kUsable);
}

TEST_F(MendTest, PastWhatTheGuestWasToldLoadsSeeZerosAndStoresAreLost) {
  file_.Truncate(100);
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead | kWrite, 0, 100), 0);
  EXPECT_EQ(Load(kPage), std::nullopt);
  EXPECT_EQ(Mend(kPage, Touch::kLoad).kind, Kind::kMended);
  EXPECT_EQ(Load(kPage), '\0');
  EXPECT_EQ(Load(kChunk - 1), '\0') << "all of the rest at once";
  const memory::MendOutcome outcome = Mend(kPage, Touch::kMaybeStore);
  EXPECT_EQ(outcome.kind, Kind::kLost);
  EXPECT_THAT(outcome.reason,
              AllOf(HasSubstr(file_.path()), HasSubstr("byte 4096"), HasSubstr("never told of more than 100 bytes")));
  EXPECT_EQ(FileSize(), 100u);
  EXPECT_EQ(window_->stats().files_extended, 0u);
  // The file may grow there all the same.
  file_.Fill(2);
  window_->FileSizeSeen(NodeId(1), ByteCount(2 * kPage));
  EXPECT_EQ(Load(kPage), 'b');
  EXPECT_TRUE(CanStore(kPage));
}

TEST_F(MendTest, ASizeToldWhileMappedCounts) {
  file_.Truncate(kPage);
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead | kWrite, 0, kPage), 0);
  // Grown, told and truncated before anyone looked.
  window_->FileSizeSeen(NodeId(1), ByteCount(4 * kPage));
  EXPECT_NE(Mend(3 * kPage, Touch::kLoad).kind, Kind::kLost);
  EXPECT_EQ(Mend(3 * kPage, Touch::kMaybeStore).kind, Kind::kMended);
  EXPECT_EQ(FileSize(), 4 * kPage);
}

TEST_F(MendTest, AReadOnlyMappingTakesNoStore) {
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0, kChunk), 0);
  EXPECT_EQ(Mend(0, Touch::kLoad).kind, Kind::kUsable);
  memory::MendOutcome outcome = Mend(0, Touch::kMaybeStore);
  EXPECT_EQ(outcome.kind, Kind::kRefused);
  EXPECT_THAT(outcome.reason, AllOf(HasSubstr(file_.path()), HasSubstr("byte 0 of"), HasSubstr("read-only")));
  Shrink(0);
  outcome = Mend(kPage, Touch::kMaybeStore);
  EXPECT_EQ(outcome.kind, Kind::kLost);
  EXPECT_THAT(outcome.reason, HasSubstr("cannot be written through this mapping"));
  EXPECT_EQ(FileSize(), 0u);
  EXPECT_EQ(window_->stats().stores_past_end, 1u);
}

TEST_F(MendTest, AFileThatCannotBeExtendedIsLostAndSaysWhy) {
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead | kWrite, 0, kChunk), 0);
  Shrink(0);
  // The limit's signal comes with the error.
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit small = {.rlim_cur = kPage, .rlim_max = limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const memory::MendOutcome outcome = Mend(5 * kPage, Touch::kMaybeStore);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  signal(SIGXFSZ, old_handler);
  EXPECT_EQ(outcome.kind, Kind::kLost);
  EXPECT_THAT(outcome.reason, AllOf(HasSubstr(file_.path()), HasSubstr("byte 20480"), HasSubstr("File too large")));
  EXPECT_EQ(FileSize(), 0u);
  EXPECT_EQ(window_->stats().stores_past_end, 1u);
  EXPECT_EQ(window_->stats().files_extended, 0u);
}

TEST_F(MendTest, AGrowthMeanwhileIsNotTakenBack) {
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead | kWrite, 0, kChunk), 0);
  std::atomic<bool> stop{false};
  std::latch begun{1};
  std::thread host([&] {
    file_.Truncate(0);
    begun.count_down();
    do {
      file_.Truncate(0);
      file_.Fill(8);
    } while (!stop.load());
  });
  begun.wait();
  for (int i = 0; i < 3000; ++i) ASSERT_NE(Mend(2 * kPage, Touch::kMaybeStore).kind, Kind::kLost) << i;
  stop = true;
  host.join();
  EXPECT_EQ(FileSize(), 8 * kPage);
  for (uint64_t page = 0; page < 8; ++page) EXPECT_EQ(file_.At(page * kPage), static_cast<char>('a' + page));
}

TEST_F(MendTest, AccessesInTheGuestsPlace) {
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead | kWrite, 0, kChunk), 0);
  uint8_t data[8] = {};
  const auto access = [&](uint64_t at, bool store) { return window_->Access(WindowOffset(at), data, store); };
  ASSERT_EQ(access(kPage - 4, false).kind, Kind::kMended);
  EXPECT_EQ(std::memcmp(data, "aaaabbbb", 8), 0);
  file_.Truncate(kPage);
  ASSERT_EQ(access(kPage - 4, false).kind, Kind::kMended);
  EXPECT_EQ(std::memcmp(data, "aaaa\0\0\0\0", 8), 0);
  std::memcpy(data, "STORED!!", 8);
  ASSERT_EQ(access(2 * kPage - 4, true).kind, Kind::kMended) << "across two pages, both past the end";
  EXPECT_EQ(FileSize(), 3 * kPage);
  EXPECT_EQ(file_.At(2 * kPage - 4), 'S');
  EXPECT_EQ(file_.At(2 * kPage + 3), '!');
  EXPECT_EQ(access(kChunk, false).kind, Kind::kLost);
  EXPECT_EQ(access(kChunk, true).kind, Kind::kLost);
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, kChunk), 0);
  EXPECT_EQ(access(kChunk, true).kind, Kind::kRefused);
  EXPECT_EQ(access(kChunk, false).kind, Kind::kMended);
}

TEST_F(MendTest, LookAtFilesIsAtOnce) {
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  EXPECT_FALSE(window_->LookAtFiles());
  file_.Truncate(0);
  (void)window_->LookAtFiles();  // false if the watch was faster
  EXPECT_EQ(Load(kPage), '\0');
  EXPECT_FALSE(window_->LookAtFiles());
}

}  // namespace
}  // namespace daxvmm::dax
