#include "devices/virtio_fs/dax/inode_states.h"

#include <sys/stat.h>

#include <thread>
#include <vector>

#include "devices/virtio_fs/dax/window_test_support.h"
#include "devices/virtio_fs/fuse/abi.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr mode_t kFile = S_IFREG | 0644;

Policy Named(absl::string_view name) { return *ParsePolicyName(name); }

class InodeStatesTest : public ::testing::Test {
 protected:
  struct Reply {
    uint64_t node = 2;
    uint64_t size = 0;
    mode_t mode = kFile;
    bool persistent_flag = false;
    fuse::AttrReply kind = fuse::AttrReply::kAttr;
    bool instantiates = false;
  };
  uint32_t Flags(const Reply& reply) {
    const auto flag = [&] {
      ++asked_;
      return reply.persistent_flag;
    };
    return states_.AttrFlags(
        {.node = NodeId(reply.node), .mode = reply.mode, .size = ByteCount(reply.size), .persistent_dax_flag = flag},
        reply.kind, reply.instantiates);
  }
  uint32_t Lookup(uint64_t node, uint64_t size, bool persistent_flag = false) {
    return Flags({.node = node,
                  .size = size,
                  .persistent_flag = persistent_flag,
                  .kind = fuse::AttrReply::kEntry,
                  .instantiates = true});
  }
  InodeReport Only() {
    const std::vector<InodeReport> reports = states_.Snapshot();
    EXPECT_THAT(reports, SizeIs(1));
    return reports.empty() ? InodeReport() : reports[0];
  }

  PolicyStore store_{DefaultPolicy()};
  InodeStates states_{"share", &store_};
  int asked_ = 0;
};

TEST_F(InodeStatesTest, PrivilegedFilesAreNamedByTheRuleThatKeepsThemOut) {
  states_.SessionStarted(true);
  EXPECT_EQ(Flags({.size = 1 << 20, .mode = S_IFREG | S_ISUID | 0755, .instantiates = true}), 0u);
  EXPECT_EQ(Only().decision_rule, "builtin:set-id");
  // Set-group-id without execution by the group is no privilege.
  EXPECT_EQ(Flags({.size = 1 << 20, .mode = S_IFREG | S_ISGID | 0644}), uint32_t{FUSE_ATTR_DAX});
  EXPECT_EQ(Flags({.size = 1 << 20, .mode = S_IFREG | S_ISGID | 0654}), 0u);
  EXPECT_EQ(Only().decision_rule, "builtin:set-id");
  EXPECT_EQ(Flags({.size = 1 << 20}), uint32_t{FUSE_ATTR_DAX});
  EXPECT_EQ(Only().decision_rule, "size");

  const auto no_flag = [] { return false; };
  const auto carries = [] { return true; };
  const fuse::InodeFacts facts{
      .node = NodeId(2), .mode = kFile, .size = MiB(1), .persistent_dax_flag = no_flag, .security_capability = carries};
  EXPECT_EQ(states_.AttrFlags(facts, fuse::AttrReply::kAttr, false), 0u);
  EXPECT_EQ(Only().decision_rule, "builtin:security-capability");
}

TEST_F(InodeStatesTest, NothingIsAskedOfTheHostWithoutPerFileDax) {
  ASSERT_TRUE(store_.Set(Named("inode"), {.expected_generation = store_.Get()->generation}).ok());
  states_.SessionStarted(false);
  EXPECT_EQ(Lookup(2, 1 << 20, /*persistent_flag=*/true), 0u);
  EXPECT_EQ(asked_, 0);
  states_.SessionStarted(true);
  EXPECT_EQ(Lookup(2, 1 << 20, /*persistent_flag=*/true), uint32_t{FUSE_ATTR_DAX});
  EXPECT_EQ(asked_, 1);
}

TEST_F(InodeStatesTest, EveryKindOfReplySaysTheSame) {
  states_.SessionStarted(true);
  EXPECT_EQ(Lookup(2, 32768), uint32_t{FUSE_ATTR_DAX});
  EXPECT_EQ(Flags({.size = 32768, .kind = fuse::AttrReply::kAttr}), uint32_t{FUSE_ATTR_DAX});
  EXPECT_EQ(Flags({.size = 32768, .kind = fuse::AttrReply::kEntry}), uint32_t{FUSE_ATTR_DAX});
  EXPECT_EQ(Flags({.size = 32767}), 0u) << "the decision follows the size";
}

TEST_F(InodeStatesTest, OnlyRegularFiles) {
  ASSERT_TRUE(store_.Set(Named("always")).ok());
  states_.SessionStarted(true);
  for (const mode_t type : {S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK}) {
    EXPECT_EQ(Flags({.size = 1 << 20, .mode = type | 0755u, .instantiates = true}), 0u) << type;
  }
  EXPECT_THAT(states_.Snapshot(), IsEmpty());
  EXPECT_EQ(Lookup(2, 0), uint32_t{FUSE_ATTR_DAX});
}

TEST_F(InodeStatesTest, NoFlagWhereItWasNotNegotiated) {
  ASSERT_TRUE(store_.Set(Named("always")).ok());
  EXPECT_EQ(Lookup(2, 1 << 20), 0u) << "no session yet";
  states_.SessionStarted(false);
  EXPECT_EQ(Lookup(2, 1 << 20), 0u);
  EXPECT_TRUE(Only().decision_dax) << "lists show the decision all the same";
  EXPECT_FALSE(Only().told_dax);
  states_.SessionStarted(true);
  EXPECT_EQ(Lookup(2, 1 << 20), uint32_t{FUSE_ATTR_DAX});
  states_.SessionEnded();
  EXPECT_EQ(Lookup(2, 1 << 20), 0u);
}

TEST_F(InodeStatesTest, RemembersWhatTheInstanceWasTold) {
  states_.SessionStarted(true);
  EXPECT_EQ(Lookup(2, 100), 0u);
  ASSERT_TRUE(store_.Set(Named("always")).ok());
  EXPECT_EQ(Flags({.size = 200}), uint32_t{FUSE_ATTR_DAX});
  InodeReport report = Only();
  EXPECT_EQ(report.node, NodeId(2));
  EXPECT_EQ(report.size, ByteCount(200));
  EXPECT_TRUE(report.decision_dax);
  EXPECT_EQ(report.decision_rule, "default");
  EXPECT_EQ(report.decision_generation, 2u);
  EXPECT_FALSE(report.told_dax) << "the guest's inode was made from the first reply";
  EXPECT_EQ(report.told_generation, 1u);

  states_.Forgotten(NodeId(2));
  EXPECT_THAT(states_.Snapshot(), IsEmpty());
  EXPECT_EQ(Lookup(2, 200), uint32_t{FUSE_ATTR_DAX});
  report = Only();
  EXPECT_TRUE(report.told_dax);
  EXPECT_EQ(report.told_generation, 2u);
}

TEST_F(InodeStatesTest, SnapshotDecidesUnderThePolicyInForce) {
  states_.SessionStarted(true);
  (void)Lookup(2, 32768);
  EXPECT_TRUE(Only().decision_dax);
  EXPECT_EQ(Only().decision_rule, "size");
  ASSERT_TRUE(store_.Set(Named("never")).ok());
  EXPECT_FALSE(Only().decision_dax) << "without any request of the guest";
  EXPECT_EQ(Only().decision_generation, 2u);
}

TEST_F(InodeStatesTest, ThePersistentFlagIsAskedOncePerReplyAndRemembered) {
  ASSERT_TRUE(store_.Set(Named("inode")).ok());
  states_.SessionStarted(true);
  EXPECT_EQ(Lookup(2, 10, true), uint32_t{FUSE_ATTR_DAX});
  EXPECT_EQ(asked_, 1);
  EXPECT_TRUE(Only().decision_dax);
  EXPECT_EQ(asked_, 1) << "a list must not ask the request's function";
  EXPECT_EQ(Flags({.size = 10, .persistent_flag = false}), 0u);
  EXPECT_FALSE(Only().decision_dax);

  ASSERT_TRUE(store_.Set(Named("size")).ok());
  asked_ = 0;
  (void)Lookup(3, 10);
  EXPECT_EQ(asked_, 0) << "a system call that no rule needs";
}

TEST_F(InodeStatesTest, ListsTakeCurrentFactsWhereTheCallerHasThem) {
  states_.SessionStarted(true);
  (void)Lookup(2, 10);
  const auto no_flag = [](NodeId) -> std::optional<bool> {
    ADD_FAILURE() << "no rule needs it";
    return std::nullopt;
  };
  const auto size = [](NodeId) { return std::optional(ByteCount(32768)); };
  const std::vector<InodeReport> by_size = states_.Snapshot({.size = size, .persistent_dax_flag = no_flag});
  ASSERT_THAT(by_size, SizeIs(1));
  EXPECT_TRUE(by_size[0].decision_dax);
  EXPECT_EQ(by_size[0].size, ByteCount(32768));

  ASSERT_TRUE(store_.Set(Named("inode")).ok());
  const auto flag = [](NodeId) { return std::optional(true); };
  EXPECT_TRUE(states_.Snapshot({.size = size, .persistent_dax_flag = flag})[0].decision_dax);
}

TEST_F(InodeStatesTest, AReplyThatForgetOvertakesDoesNotBringTheNodeBack) {
  states_.SessionStarted(true);
  (void)Lookup(2, 10);
  states_.Forgotten(NodeId(2));
  (void)Flags({.size = 10, .instantiates = false});
  states_.CountSetupMapping(NodeId(2));
  states_.Grew(NodeId(2), ByteCount(20));
  EXPECT_THAT(states_.Snapshot(), IsEmpty());
}

TEST_F(InodeStatesTest, ToldSizeAndSetupCount) {
  states_.SessionStarted(true);
  EXPECT_EQ(states_.ToldSize(NodeId(2)), ByteCount(0));
  (void)Lookup(2, 10);
  EXPECT_EQ(states_.ToldSize(NodeId(2)), ByteCount(10));
  states_.Grew(NodeId(2), ByteCount(4000));
  EXPECT_EQ(states_.ToldSize(NodeId(2)), ByteCount(4000));
  states_.CountSetupMapping(NodeId(2));
  states_.CountSetupMapping(NodeId(2));
  EXPECT_EQ(Only().setup_mappings, 2u);
  (void)Flags({.size = 4000});
  EXPECT_EQ(Only().setup_mappings, 2u);
}

TEST_F(InodeStatesTest, ANewSessionKnowsNothing) {
  states_.SessionStarted(true);
  (void)Lookup(2, 10);
  states_.SessionEnded();
  EXPECT_THAT(states_.Snapshot(), IsEmpty());
}

TEST_F(InodeStatesTest, RepliesListsAndPolicyChangesAtOnce) {
  states_.SessionStarted(true);
  std::vector<std::thread> threads;
  for (uint64_t worker = 0; worker < 3; ++worker) {
    threads.emplace_back([this, worker] {
      const auto no_flag = [] { return false; };
      for (uint64_t i = 0; i < 2000; ++i) {
        const NodeId node(2 + i % 50);
        (void)states_.AttrFlags({.node = node, .mode = kFile, .size = ByteCount(i), .persistent_dax_flag = no_flag},
                                fuse::AttrReply::kEntry, i % 3 == 0);
        if (i % 7 == worker) states_.Forgotten(node);
        states_.Grew(node, ByteCount(i + 1));
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(store_.Set(Named(i % 2 == 0 ? "always" : "never")).ok());
    const uint64_t generation = store_.generation();
    for (const InodeReport& report : states_.Snapshot()) {
      ASSERT_EQ(report.decision_generation, generation);
      ASSERT_EQ(report.decision_dax, i % 2 == 0);
    }
  }
  for (std::thread& thread : threads) thread.join();
}

class InodeStatesWithWindowTest : public WindowTest {};

TEST_F(InodeStatesWithWindowTest, RepliesThatTellOfGrowthBringThePagesBackFirst) {
  PolicyStore store(*ParsePolicyName("always"));
  InodeStates states("share", &store, window_.get());
  states.SessionStarted(true);
  TestFile file("grown");
  file.Fill(512);
  source_.paths[NodeId(2)] = file.path();
  ASSERT_EQ(SetupMapping(2, 0, kChunk, kRead, 0), 0);
  const auto no_flag = [] { return false; };
  for (uint64_t round = 1; round <= 10; ++round) {
    file.Truncate(0);
    ASSERT_TRUE(Await([&](const WindowStats& stats) { return stats.withdrawals >= round; })) << "not noticed";
    file.Fill(1);
    if (round % 2 == 0) {
      states.Grew(NodeId(2), ByteCount(kPage));
    } else {
      (void)states.AttrFlags(
          {.node = NodeId(2), .mode = kFile, .size = ByteCount(kPage), .persistent_dax_flag = no_flag},
          fuse::AttrReply::kAttr, false);
    }
    ASSERT_EQ(Load(0), 'a') << "round " << round;
  }
}

}  // namespace
}  // namespace daxvmm::dax
