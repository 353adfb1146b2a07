#include "devices/virtio_fs/adaptive_driver.h"

#include <sys/stat.h>

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "devices/virtio_fs/dax/policy_names.h"
#include "devices/virtio_fs/dax/window_test_support.h"
#include "gtest/gtest.h"

namespace daxvmm::virtio_fs {
namespace {

using dax::kChunk;
using dax::kRead;

struct Inode {
  fuse::ObservedInode Observed() { return {node, node.raw(), slot}; }
  NodeId node;
  fuse::ObserverSlot slot;
};

// A window of four chunks, of which granted files may be expected to need three.
class AdaptiveDriverTest : public dax::WindowTest {
 protected:
  void SetUp() override {
    WindowTest::SetUp();
    states_.emplace(dax::InodeStatesOptions{.share_tag = "share"}, &store_, window_.get());
    driver_.emplace(&*states_, window_.get(),
                    AdaptiveDriver::Inodes{.latch =
                                               [this](NodeId node, bool dax) {
                                                 states_->SetAdaptiveVerdict(inodes_.at(node).Observed(), dax);
                                                 const std::lock_guard lock(mu_);
                                                 latched_[node] = dax;
                                               },
                                           .is_open = [](NodeId) { return true; }});
    states_->SetAdaptive(&*driver_);
    states_->SessionStarted(dax::SessionMode::kPerFile);
  }
  void TearDown() override {
    states_->SetAdaptive(nullptr);
    driver_.reset();
  }

  bool LookUp(uint64_t node, ByteCount size) {
    Inode& inode = inodes_[NodeId(node)];
    inode.node = NodeId(node);
    return states_->AttrFlags({}, inode.Observed(), {.mode = S_IFREG | 0644, .size = size}, fuse::AttrReply::kEntry) !=
           0;
  }
  std::string Reason(uint64_t node) { return driver_->Reason(dax::FileIdentity(node)); }
  // Whether that verdict was latched.
  bool Latched(uint64_t node, bool dax) {
    const std::lock_guard lock(mu_);
    const auto found = latched_.find(NodeId(node));
    return found != latched_.end() && found->second == dax;
  }

  dax::PolicyStore store_{*dax::ParsePolicyName("adaptive")};
  std::optional<dax::InodeStates> states_;
  std::map<NodeId, Inode> inodes_;
  std::mutex mu_;
  std::map<NodeId, bool> latched_;
  std::optional<AdaptiveDriver> driver_;
};

TEST_F(AdaptiveDriverTest, JudgesWhatComesToLife) {
  EXPECT_FALSE(LookUp(2, KiB(16)));
  EXPECT_TRUE(LookUp(3, MiB(6)));
  EXPECT_FALSE(LookUp(4, MiB(4))) << "no room is left for it";
  EXPECT_NE(Reason(2).find("denied"), std::string::npos) << Reason(2);
  EXPECT_NE(Reason(3).find("granted"), std::string::npos) << Reason(3);
  EXPECT_NE(Reason(4).find("denied"), std::string::npos) << Reason(4);
  const auto facts = [](uint64_t identity, ByteCount size) {
    return dax::FileFacts{.mode = S_IFREG | 0644, .size = size, .identity = identity};
  };
  EXPECT_FALSE(states_->Answer(facts(99, KiB(16))).dax);
  EXPECT_TRUE(states_->Answer(facts(3, MiB(6))).dax) << "what it is known to have";
}

TEST_F(AdaptiveDriverTest, GrantsWhatIsReadByFuseAgainAndAgain) {
  EXPECT_TRUE(LookUp(3, MiB(6)));
  EXPECT_FALSE(LookUp(4, MiB(4)));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  // What it costs by FUSE has to be seen to go on.
  while (!Latched(4, true)) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "never granted: " << Reason(4);
    for (uint64_t offset = 0; offset < MiB(4).raw(); offset += 4096) {
      states_->Read(inodes_.at(NodeId(4)).Observed(), FileOffset(offset), KiB(4));
    }
    driver_->Look();
  }
  EXPECT_TRUE(LookUp(4, MiB(4))) << "the next instance of its inode is told";
}

TEST_F(AdaptiveDriverTest, ForgetsWithTheGuestAndKnowsItAgain) {
  EXPECT_TRUE(LookUp(3, MiB(6)));
  states_->Forgotten(inodes_.at(NodeId(3)).Observed(), 1, /*last=*/true);
  inodes_.erase(NodeId(3));
  EXPECT_TRUE(LookUp(3, MiB(6)));
}

}  // namespace
}  // namespace daxvmm::virtio_fs
