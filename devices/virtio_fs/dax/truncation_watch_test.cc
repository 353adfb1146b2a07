#include "devices/virtio_fs/dax/truncation_watch.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <chrono>
#include <set>
#include <string>

#include "base/mutex.h"
#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

class TruncationWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<TruncationWatch>> watch = TruncationWatch::Create({
        .changed =
            [this](std::span<const WatchId> ids) {
              MutexLock lock(&mu_);
              changed_.insert(ids.begin(), ids.end());
              happened_.SignalAll();
            },
        .sweep =
            [this] {
              MutexLock lock(&mu_);
              ++sweeps_;
              happened_.SignalAll();
            },
    });
    ASSERT_TRUE(watch.ok()) << watch.status();
    watch_ = *std::move(watch);
  }
  void TearDown() override { watch_.reset(); }

  template <typename Condition>
  bool Await(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    MutexLock lock(&mu_);
    while (!condition()) {
      if (!happened_.WaitUntil(&mu_, deadline)) return false;
    }
    return true;
  }
  bool AwaitChange(WatchId id) {
    return Await([&] { return changed_.count(id) != 0; });
  }

  Mutex mu_;
  CondVar happened_;
  std::set<WatchId> changed_;
  int sweeps_ = 0;
  std::unique_ptr<TruncationWatch> watch_;
};

UniqueFd NewFile(const std::string& name) {
  const std::string path = ::testing::TempDir() + name;
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  EXPECT_TRUE(fd.valid());
  unlink(path.c_str());
  return fd;
}

TEST_F(TruncationWatchTest, TellsWhichFileChanged) {
  const UniqueFd one = NewFile("one"), two = NewFile("two");
  const WatchId first = watch_->Add(one.get()), second = watch_->Add(two.get());
  ASSERT_NE(first, kNoWatch);
  ASSERT_NE(first, second);
  EXPECT_EQ(watch_->Add(one.get()), first) << "one inode, one watch";
  ASSERT_EQ(ftruncate(one.get(), 4096), 0);
  EXPECT_TRUE(AwaitChange(first)) << "no event for a growth";
  ASSERT_EQ(ftruncate(two.get(), 0), 0);
  ASSERT_EQ(pwrite(two.get(), "x", 1, 0), 1);
  EXPECT_TRUE(AwaitChange(second)) << "no event for a write";
}

TEST_F(TruncationWatchTest, WatchesAMemfd) {
  const UniqueFd fd(memfd_create("watched", MFD_CLOEXEC));
  const WatchId id = watch_->Add(fd.get());
  ASSERT_NE(id, kNoWatch);
  ASSERT_EQ(ftruncate(fd.get(), 4096), 0);
  EXPECT_TRUE(AwaitChange(id)) << "no event for a memfd";
}

TEST_F(TruncationWatchTest, SweepsWhileActive) {
  watch_->SetActive(true);
  EXPECT_TRUE(Await([&] { return sweeps_ >= 2; })) << "no periodic sweep";
}

TEST_F(TruncationWatchTest, ABadDescriptorIsLeftToTheSweep) { EXPECT_EQ(watch_->Add(-1), kNoWatch); }

TEST_F(TruncationWatchTest, StopsAtOnceWhateverItWaitsFor) {
  const UniqueFd fd = NewFile("busy");
  ASSERT_NE(watch_->Add(fd.get()), kNoWatch);
  for (int i = 0; i < 10; ++i) ASSERT_EQ(ftruncate(fd.get(), i), 0);
  const auto before = std::chrono::steady_clock::now();
  watch_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));
}

}  // namespace
}  // namespace daxvmm::dax
