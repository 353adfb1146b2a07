// A million lookups, each given back, leave nothing behind: the client's count and the server's never drift apart.
#include <stdlib.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/named_thread.h"
#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "devices/virtio_fs/fuse/dispatcher.h"
#include "devices/virtio_fs/fuse/test_request.h"
#include "gtest/gtest.h"

namespace daxvmm::races {
namespace {

using fuse::AsBytes;
using fuse::AsName;

constexpr int kThreads = 4;
constexpr int kPairsPerThread = 250'000;
constexpr int kFiles = 23;
// References that a thread holds at most before it gives them all back at once.
constexpr size_t kMostHeld = 32;

size_t OpenDescriptors() {
  const std::filesystem::directory_iterator fds("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(fds), end(fds)));
}

std::string FileName(uint32_t i) { return "file" + std::to_string(i); }

class LookupForgetTest : public testing::Test {
 protected:
  void SetUp() override {
    share_ = testing::TempDir() + "/lookups.XXXXXX";
    ASSERT_NE(mkdtemp(share_.data()), nullptr);
    for (uint32_t i = 0; i < kFiles; ++i) std::ofstream(share_ + "/" + FileName(i)) << i;
    // Two names of one inode: references to it come from both.
    std::filesystem::create_hard_link(share_ + "/" + FileName(0), share_ + "/hard");
    fs::ShareOptions options;
    options.path = share_;
    auto fs = fs::PassthroughFs::Create(options, nullptr);
    ASSERT_TRUE(fs.ok()) << fs.status();
    fs_ = *std::move(fs);
    dispatcher_ = std::make_unique<fuse::Dispatcher>(fuse::SessionOptions{}, fs_.get(), nullptr, nullptr);
    ASSERT_EQ(fuse::SendInit(dispatcher_.get()).error(), 0);
  }
  void TearDown() override { std::filesystem::remove_all(share_); }

  fuse::TestReply Send(uint32_t opcode, uint64_t node, const std::string& body) {
    return fuse::Send(dispatcher_.get(), opcode, node, body, /*room=*/256);
  }
  uint64_t Lookup(const std::string& name) {
    const fuse::TestReply reply = Send(FUSE_LOOKUP, FUSE_ROOT_ID, AsName(name));
    EXPECT_EQ(reply.error(), 0);
    lookups_.fetch_add(1, std::memory_order_relaxed);
    return reply.As<fuse_entry_out>().nodeid;
  }
  void Forget(uint64_t node, uint64_t count) { Send(FUSE_FORGET, node, AsBytes(fuse_forget_in{count})); }
  void ForgetAll(const std::vector<uint64_t>& nodes) {
    std::string body = AsBytes(fuse_batch_forget_in{static_cast<uint32_t>(nodes.size()), 0});
    for (uint64_t node : nodes) body += AsBytes(fuse_forget_one{node, 1});
    Send(FUSE_BATCH_FORGET, 0, body);
  }

  // All threads use the same few names, so that one's last FORGET meets another's LOOKUP of the same inode.
  void Churn(uint32_t seed) {
    std::minstd_rand random(seed);
    std::vector<uint64_t> held;
    for (int i = 0; i < kPairsPerThread; ++i) {
      const uint32_t pick = static_cast<uint32_t>(random() % (kFiles + 1));
      const uint64_t node = Lookup(pick == kFiles ? "hard" : FileName(pick));
      if (random() % 8 == 0) {
        // A reference is held: whatever others forget, the node is there.
        EXPECT_EQ(Send(FUSE_GETATTR, node, AsBytes(fuse_getattr_in{})).error(), 0);
      }
      if (random() % 2 == 0) {
        Forget(node, 1);
        continue;
      }
      held.push_back(node);
      if (random() % 16 != 0 && held.size() < kMostHeld) continue;
      ForgetAll(held);
      held.clear();
    }
    if (!held.empty()) ForgetAll(held);
  }

  std::atomic<uint64_t> lookups_{0};
  std::string share_;
  std::unique_ptr<fs::PassthroughFs> fs_;
  std::unique_ptr<fuse::Dispatcher> dispatcher_;
};

TEST_F(LookupForgetTest, AMillionPairsLeaveNothing) {
  const size_t before = OpenDescriptors();
  {
    std::vector<NamedThread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back("client", [this, i] { Churn(static_cast<uint32_t>(i + 1)); });
    }
  }
  EXPECT_GE(lookups_.load(), 1'000'000u);
  EXPECT_EQ(fs_->node_count(), 1u);
  EXPECT_EQ(OpenDescriptors(), before);
  EXPECT_EQ(fs_->over_forgets(), 0u);
}

TEST_F(LookupForgetTest, ReferencesThatAreHeldAreKept) {
  const uint64_t node = Lookup(FileName(1));
  for (int i = 0; i < 9; ++i) EXPECT_EQ(Lookup(FileName(1)), node);
  Forget(node, 4);
  ForgetAll({node, node, node, node, node});
  EXPECT_EQ(Send(FUSE_GETATTR, node, AsBytes(fuse_getattr_in{})).error(), 0);
  Forget(node, 1);
  EXPECT_EQ(Send(FUSE_GETATTR, node, AsBytes(fuse_getattr_in{})).error(), ENOENT);
  EXPECT_EQ(fs_->over_forgets(), 0u);
}

TEST_F(LookupForgetTest, ForgettingTooMuchIsOnlyCounted) {
  const size_t before = OpenDescriptors();
  const uint64_t node = Lookup(FileName(2)), other = Lookup(FileName(3));
  Forget(node, 1'000'000);
  EXPECT_EQ(fs_->over_forgets(), 1u);
  Forget(node, 1);  // unknown by now
  Forget(0, 1);     // never was one
  Forget(~uint64_t{0}, ~uint64_t{0});
  EXPECT_EQ(fs_->over_forgets(), 4u);
  ForgetAll({node, node, ~uint64_t{0}});
  EXPECT_EQ(fs_->over_forgets(), 7u);
  // Nobody else lost anything by it, the root least of all.
  Forget(FUSE_ROOT_ID, ~uint64_t{0});
  EXPECT_EQ(Send(FUSE_GETATTR, other, AsBytes(fuse_getattr_in{})).error(), 0);
  EXPECT_NE(Lookup(FileName(2)), node) << "a node id was used twice";
  Forget(other, 1);
  Forget(Lookup(FileName(2)), 2);
  EXPECT_EQ(fs_->node_count(), 1u);
  EXPECT_EQ(OpenDescriptors(), before);
}

}  // namespace
}  // namespace daxvmm::races
