#include "devices/virtio_fs/dax/inode_states.h"

#include <sys/stat.h>

#include <array>
#include <map>
#include <thread>
#include <vector>

#include "devices/virtio_fs/dax/policy_names.h"
#include "devices/virtio_fs/dax/window_test_support.h"
#include "devices/virtio_fs/fuse/abi.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr mode_t kFile = S_IFREG | 0644;
constexpr uint32_t kDaxFlag = FUSE_ATTR_DAX;
constexpr std::chrono::milliseconds kTimeout{1000};

Policy Named(absl::string_view name) { return *ParsePolicyName(name); }
PolicyStore::SetOptions ByRequest() { return {.source = {.kind = SourceKind::kRequest}}; }

std::optional<std::string> NoPath() { return std::nullopt; }

// A live inode as the file system would hold it.
struct TestInode {
  fuse::ObservedInode Observed() { return {node, identity, slot}; }
  NodeId node;
  uint64_t identity = 0;
  std::string path;
  fuse::ObserverSlot slot;
};

class InodeStatesTest : public ::testing::Test {
 protected:
  struct Reply {
    uint64_t node = 2;
    uint64_t size = 0;
    mode_t mode = kFile;
    bool hint = false;
    bool capability = false;
    uint32_t uid = 0;
    bool huge_pages = false;
    fuse::AttrReply kind = fuse::AttrReply::kGetAttr;
  };
  InodeStatesTest() { states_.SessionStarted(SessionMode::kPerFile); }

  TestInode& Inode(uint64_t node = 2) {
    TestInode& inode = inodes_[node];
    inode.node = NodeId(node);
    inode.identity = node * 1000;
    return inode;
  }
  uint32_t Flags(const Reply& reply) {
    const auto hint = [&] {
      ++hints_asked_;
      return reply.hint;
    };
    const auto capability = [&] { return reply.capability; };
    TestInode& inode = Inode(reply.node);
    const auto path = [&]() -> std::optional<std::string> {
      ++paths_asked_;
      return inode.path;
    };
    return states_.AttrFlags({.sent_after = sent_after_}, inode.Observed(),
                             {.mode = reply.mode,
                              .size = ByteCount(reply.size),
                              .uid = reply.uid,
                              .huge_pages = reply.huge_pages,
                              .dax_hint = hint,
                              .security_capability = capability,
                              .path = path},
                             reply.kind);
  }
  uint32_t Lookup(uint64_t node, uint64_t size, bool hint = false) {
    return Flags({.node = node, .size = size, .hint = hint, .kind = fuse::AttrReply::kEntry});
  }
  void Forget(uint64_t node, uint64_t count, bool last) { states_.Forgotten(Inode(node).Observed(), count, last); }
  InodeReport Report(uint64_t node, uint64_t size, bool open = false) {
    return states_.Report(Inode(node).Observed(), {.mode = kFile, .size = ByteCount(size), .path = NoPath}, open);
  }
  ConvergenceState State(uint64_t node = 2, bool open = false) {
    return states_.StateOf(Inode(node).Observed(), {}, open);
  }
  Convergence What(uint64_t node = 2, bool open = false) { return State(node, open).what; }
  void Set(const Policy& policy) { ASSERT_TRUE(store_.Set(policy, ByRequest()).ok()); }
  void Pass(std::chrono::milliseconds time) { now_ += std::chrono::nanoseconds(time).count(); }

  int64_t now_ = 1'000'000'000;
  // Of the next requests; by default nothing else is in flight.
  std::chrono::steady_clock::time_point sent_after_ = std::chrono::steady_clock::time_point::max();
  PolicyStore store_{DefaultPolicy()};
  InodeStates states_{{.share_tag = "share", .attribute_timeout = kTimeout, .clock = [this] { return ++now_; }},
                      &store_};
  std::map<uint64_t, TestInode> inodes_;
  int hints_asked_ = 0;
  int paths_asked_ = 0;
};

TEST_F(InodeStatesTest, BuiltinRulesAreNamedByTheReport) {
  EXPECT_EQ(Flags({.size = 1 << 20, .mode = S_IFREG | S_ISUID | 0755}), 0u);
  // Set-group-id without execution by the group is no privilege.
  EXPECT_EQ(Flags({.size = 1 << 20, .mode = S_IFREG | S_ISGID | 0644}), kDaxFlag);
  EXPECT_EQ(Flags({.size = 1 << 20, .mode = S_IFREG | S_ISGID | 0654}), 0u);
  EXPECT_EQ(Flags({.size = 1 << 20, .capability = true}), 0u);
  EXPECT_EQ(Flags({.size = 1 << 20}), kDaxFlag);
  const auto rule = [&](mode_t mode, bool capability) {
    const auto carries = [&] { return capability; };
    return states_
        .Report(Inode().Observed(), {.mode = mode, .size = MiB(1), .security_capability = carries, .path = NoPath},
                false)
        .policy.rule;
  };
  EXPECT_EQ(rule(S_IFREG | S_ISUID | 0755, false), "builtin:set-id");
  EXPECT_EQ(rule(kFile, true), "builtin:security-capability");
  EXPECT_EQ(rule(kFile, false), "size");
}

TEST_F(InodeStatesTest, NothingIsAskedOfTheHostWhereNothingIsMapped) {
  Set(Named("inode"));
  for (const SessionMode mode : {SessionMode::kNone, SessionMode::kNever}) {
    states_.SessionStarted(mode);
    EXPECT_EQ(Lookup(2, 1 << 20, /*hint=*/true), 0u);
    EXPECT_EQ(hints_asked_, 0);
  }
  states_.SessionStarted(SessionMode::kPerFile);
  EXPECT_EQ(Lookup(3, 1 << 20, /*hint=*/true), kDaxFlag);
  EXPECT_EQ(hints_asked_, 1);
}

TEST_F(InodeStatesTest, EveryKindOfReplySaysTheSame) {
  EXPECT_EQ(Lookup(2, 32768), kDaxFlag);
  for (const auto kind : {fuse::AttrReply::kEntry, fuse::AttrReply::kGetAttr, fuse::AttrReply::kSetAttr}) {
    EXPECT_EQ(Flags({.size = 32768, .kind = kind}), kDaxFlag);
  }
  EXPECT_EQ(Flags({.size = 32767}), 0u) << "the decision follows the size";
}

TEST_F(InodeStatesTest, OnlyRegularFiles) {
  Set(Named("always"));
  for (const mode_t type : {S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK}) {
    EXPECT_EQ(Flags({.size = 1 << 20, .mode = type | 0755u, .kind = fuse::AttrReply::kEntry}), 0u) << type;
  }
  EXPECT_EQ(Lookup(2, 0), kDaxFlag);
}

TEST_F(InodeStatesTest, NoFlagWhereItWasNotNegotiated) {
  Set(Named("always"));
  for (const SessionMode mode : {SessionMode::kNone, SessionMode::kNever, SessionMode::kAlways}) {
    states_.SessionStarted(mode);
    EXPECT_EQ(Lookup(2, 1 << 20), 0u);
    EXPECT_TRUE(Report(2, 1 << 20).policy.dax) << "lists show the decision all the same";
    EXPECT_EQ(Report(2, 1 << 20).told_dax, false);
    EXPECT_EQ(What(), Convergence::kConverged) << "this mount does not go by the policy";
  }
}

TEST_F(InodeStatesTest, ReportsDecideUnderThePolicyInForce) {
  (void)Lookup(2, 32768);
  EXPECT_TRUE(Report(2, 32768).policy.dax);
  EXPECT_EQ(Report(2, 32768).policy.rule, "size");
  Set(Named("never"));
  const InodeReport report = Report(2, 32768);
  EXPECT_FALSE(report.policy.dax) << "without any request of the guest";
  EXPECT_EQ(report.policy.generation, 2u);
  EXPECT_EQ(report.told_dax, true);
  EXPECT_EQ(report.told_generation, 1u);
}

TEST_F(InodeStatesTest, TheHintIsAskedOncePerReplyAndOnlyIfARuleNeedsIt) {
  (void)Lookup(3, 10);
  EXPECT_EQ(hints_asked_, 0) << "a system call that no rule needs";
  Set(Named("inode"));
  EXPECT_EQ(Lookup(2, 10, true), kDaxFlag);
  EXPECT_EQ(hints_asked_, 1);
  EXPECT_EQ(What(), Convergence::kConverged) << "a count goes by what was last told";
  EXPECT_EQ(hints_asked_, 1);
  EXPECT_EQ(Flags({.size = 10, .hint = false}), 0u);
  // Of a file of which no reply has asked for it yet, a count does.
  const auto has_it = [] { return true; };
  EXPECT_EQ(states_.StateOf(Inode(3).Observed(), {.dax_hint = has_it}, false).what, Convergence::kAttributesCached);
  EXPECT_EQ(states_.StateOf(Inode(3).Observed(), {}, false).what, Convergence::kConverged);
}

TEST_F(InodeStatesTest, ThePathIsAskedOnceInAPolicysLife) {
  Policy policy;
  policy.rules = {{.name = "logs", .paths = {"**/*.log"}, .outcome = Outcome::kNoDax}};
  policy.default_outcome = Outcome::kDax;
  Set(policy);
  Inode(2).path = "var/a.log";
  EXPECT_EQ(Lookup(2, 1 << 20), 0u);
  EXPECT_EQ(Flags({.size = 1 << 20}), 0u);
  EXPECT_EQ(paths_asked_, 1);
  // A rename in the guest, of the file or of a directory, makes it another one.
  Inode(2).path = "var/a.dat";
  states_.Renamed(Inode(2).Observed(), /*directory=*/false);
  EXPECT_EQ(Flags({.size = 1 << 20}), kDaxFlag);
  EXPECT_EQ(paths_asked_, 2);
  Inode(2).path = "other.log/b.log";
  states_.Renamed(Inode(9).Observed(), /*directory=*/true);
  EXPECT_EQ(Flags({.size = 1 << 20}), 0u);
  EXPECT_EQ(paths_asked_, 3);
  Set(Named("always"));
  EXPECT_EQ(Flags({.size = 1 << 20}), kDaxFlag);
  EXPECT_EQ(paths_asked_, 3) << "no rule asks for it";
}

TEST_F(InodeStatesTest, AFlipAndItsStates) {
  EXPECT_EQ(Lookup(2, 32768), kDaxFlag);
  EXPECT_EQ(What(), Convergence::kConverged);
  Set(Named("never"));
  EXPECT_EQ(What(), Convergence::kAttributesCached);
  EXPECT_LE(State().attributes_left, absl::FromChrono(kTimeout));
  EXPECT_GT(State().attributes_left, absl::FromChrono(kTimeout) - absl::Milliseconds(10));
  Pass(kTimeout / 2);
  EXPECT_EQ(What(), Convergence::kAttributesCached);
  EXPECT_LE(State().attributes_left, absl::FromChrono(kTimeout) / 2);
  Pass(kTimeout / 2);
  EXPECT_EQ(What(), Convergence::kChangesOnNextUse);
  EXPECT_EQ(State().attributes_left, absl::ZeroDuration());

  EXPECT_EQ(Flags({.size = 32768}), 0u);  // the next use asks
  EXPECT_EQ(What(2, /*open=*/true), Convergence::kNoticedHeldOpen);
  EXPECT_EQ(What(2, /*open=*/false), Convergence::kNoticedStillHeld);
  EXPECT_EQ(Lookup(2, 32768), 0u);  // of the use after the last close, before the FORGET
  Forget(2, 1, /*last=*/false);
  EXPECT_EQ(What(), Convergence::kConverged);
  EXPECT_EQ(Report(2, 32768).told_dax, false);
  EXPECT_EQ(Report(2, 32768).told_generation, 2u);
}

TEST_F(InodeStatesTest, ASetAttrReplyRenewsTheTimeOutAndIsNotCompared) {
  (void)Lookup(2, 32768);
  Set(Named("never"));
  Pass(kTimeout);
  EXPECT_EQ(What(), Convergence::kChangesOnNextUse);
  EXPECT_EQ(Flags({.size = 32768, .kind = fuse::AttrReply::kSetAttr}), 0u);
  EXPECT_EQ(What(), Convergence::kAttributesCached);
}

TEST_F(InodeStatesTest, AFlipBackIsConvergedAtOnce) {
  (void)Lookup(2, 32768);
  Set(Named("never"));
  (void)Flags({.size = 32768});
  Set(Named("always"));
  EXPECT_EQ(What(), Convergence::kConverged);
}

TEST_F(InodeStatesTest, LookUpsInFlightTogetherAcrossAFlipAreUnknownUntilThereIsEvidence) {
  sent_after_ = {};  // both were sent before any reply
  EXPECT_EQ(Lookup(2, 32768), kDaxFlag);
  Set(Named("never"));
  EXPECT_EQ(Lookup(2, 32768), 0u);
  EXPECT_EQ(What(), Convergence::kUnknown);
  EXPECT_EQ(Report(2, 32768).told_dax, std::nullopt);
  // A READ at or past the end a DAX inode may send as well.
  states_.Read(Inode().Observed(), FileOffset(32768), KiB(4));
  EXPECT_EQ(What(), Convergence::kUnknown);
  states_.Read(Inode().Observed(), FileOffset(32767), KiB(4));
  EXPECT_EQ(What(), Convergence::kConverged);
  // And the other way round.
  EXPECT_TRUE(states_.PermitSetup(Inode().Observed(), {}).ok());
  EXPECT_EQ(Report(2, 32768).told_dax, true);
}

TEST_F(InodeStatesTest, AReplyThatDidNotArriveIsNoInstance) {
  (void)Lookup(2, 32768);
  states_.Undelivered(Inode().Observed());
  Set(Named("never"));
  EXPECT_EQ(Lookup(2, 32768), 0u);
  EXPECT_EQ(What(), Convergence::kConverged);
}

TEST_F(InodeStatesTest, SizesAndSetupsAreRemembered) {
  EXPECT_EQ(states_.ContextOf(Inode().Observed()).told_size, ByteCount(0));
  (void)Lookup(2, 10);
  EXPECT_EQ(states_.ContextOf(Inode().Observed()).told_size, ByteCount(10));
  states_.Grew(Inode().Observed(), ByteCount(4000));
  EXPECT_EQ(states_.ContextOf(Inode().Observed()).told_size, ByteCount(4000));
  EXPECT_EQ(states_.ContextOf(Inode().Observed()).policy_generation, 1u);
  states_.NoteSetup(Inode().Observed(), {});
  states_.NoteSetup(Inode().Observed(), {});
  EXPECT_EQ(Report(2, 4000).setup_mappings, 2u);
}

class EnforcementTest : public InodeStatesTest {
 protected:
  void Enforce(Policy policy, Enforcement enforcement) {
    policy.enforcement = enforcement;
    Set(policy);
  }
  fuse::Errno Permit() { return states_.PermitSetup(Inode().Observed(), {}); }
};

TEST_F(EnforcementTest, AdvisoryServesAndCounts) {
  states_.SessionStarted(SessionMode::kAlways);
  Enforce(Named("never"), Enforcement::kAdvisory);
  (void)Lookup(2, 32768);
  EXPECT_TRUE(Permit().ok());
  EXPECT_EQ(states_.mapped_against_policy(), 1u);
  EXPECT_EQ(states_.denied(), 0u);
  EXPECT_EQ(Report(2, 32768).against_policy, 1u);
}

TEST_F(EnforcementTest, DenyRefusesWhatWasNeverAllowed) {
  states_.SessionStarted(SessionMode::kAlways);
  Enforce(Named("never"), Enforcement::kDeny);
  (void)Lookup(2, 32768);
  const fuse::Errno refused = Permit();
  EXPECT_FALSE(refused.ok());
  EXPECT_NE(refused.value(), EAGAIN);
  EXPECT_NE(refused.value(), ENOMEM);
  EXPECT_EQ(states_.denied(), 1u);
  EXPECT_EQ(states_.mapped_against_policy(), 0u);
  // Allowed from now on: not refused, though the inode is the old one.
  Enforce(Named("always"), Enforcement::kDeny);
  EXPECT_TRUE(Permit().ok());
}

TEST_F(EnforcementTest, WhatTheInstanceWasAllowedItKeeps) {
  for (const SessionMode mode : {SessionMode::kAlways, SessionMode::kPerFile}) {
    states_.SessionStarted(mode);
    Enforce(Named("always"), Enforcement::kDeny);
    (void)Lookup(2, 32768);
    Enforce(Named("never"), Enforcement::kDeny);
    (void)Flags({.size = 32768});
    EXPECT_TRUE(Permit().ok()) << "new chunks, upgrades and remaps too";
    EXPECT_EQ(states_.denied(), 0u);
    Forget(2, 1, /*last=*/false);
    (void)Lookup(2, 32768);
    Forget(2, 1, /*last=*/false);
    inodes_.erase(2);
  }
}

TEST_F(EnforcementTest, AGuestThatWasNeverToldAndMapsAllTheSameIsRefusedPerFileToo) {
  Enforce(Named("never"), Enforcement::kDeny);
  (void)Lookup(2, 32768);
  EXPECT_FALSE(Permit().ok());
  EXPECT_EQ(Report(2, 32768).told_dax, false);
}

class QuotaTest : public WindowTest {};

TEST_F(QuotaTest, NoFurtherFilesBecomeDaxOnceItIsReached) {
  PolicyStore store(Named("always"));
  InodeStates states({.share_tag = "share", .quota_chunks = 2}, &store, window_.get());
  states.SessionStarted(SessionMode::kPerFile);
  TestFile file("quota");
  file.Fill(3 * 512);
  source_.paths[NodeId(2)] = file.path();
  TestInode held{.node = NodeId(2)};
  TestInode late{.node = NodeId(3)};
  const auto flags = [&](TestInode& inode, fuse::AttrReply kind) {
    return states.AttrFlags({}, inode.Observed(), {.mode = kFile, .size = MiB(6)}, kind);
  };
  EXPECT_EQ(flags(held, fuse::AttrReply::kEntry), kDaxFlag);
  ASSERT_EQ(SetupMapping(2, 0, kChunk, kRead, 0), 0);
  EXPECT_FALSE(states.quota_reached());
  ASSERT_EQ(SetupMapping(2, kChunk, kChunk, kRead, kChunk), 0);
  EXPECT_TRUE(states.quota_reached());
  EXPECT_EQ(flags(late, fuse::AttrReply::kEntry), 0u);
  const InodeReport report = states.Report(late.Observed(), {.mode = kFile, .size = MiB(6), .path = NoPath}, false);
  EXPECT_EQ(report.policy.rule, "builtin:window-quota");
  EXPECT_EQ(flags(held, fuse::AttrReply::kGetAttr), kDaxFlag) << "what the guest holds as DAX stays so";
  EXPECT_TRUE(states.PermitSetup(held.Observed(), {}).ok()) << "and goes on mapping";
  ASSERT_EQ(SetupMapping(2, 2 * kChunk, kChunk, kRead, 2 * kChunk), 0);
  ASSERT_EQ(Remove({{0, 3 * kChunk}}), 0);
  EXPECT_EQ(flags(late, fuse::AttrReply::kGetAttr), kDaxFlag);
}

class FakeVerdicts final : public AdaptiveVerdicts {
 public:
  bool Admit(NodeId node, const NewFile& file) override {
    admitted.push_back(node);
    identities.push_back(file.file.raw());
    return verdict;
  }
  bool WouldAdmit(const NewFile&) const override { return verdict; }
  std::string Reason(FileIdentity) const override { return "because"; }
  void Mapped() override { ++mapped; }
  void Forgotten(NodeId node, const FileSample& last) override {
    forgotten.push_back(node);
    samples.push_back(last);
  }
  bool verdict = true;
  int mapped = 0;
  std::vector<NodeId> admitted, forgotten;
  std::vector<uint64_t> identities;
  std::vector<FileSample> samples;
};

TEST_F(InodeStatesTest, AdaptiveVerdictsAreLatched) {
  FakeVerdicts verdicts;
  states_.SetAdaptive(&verdicts);
  Policy adaptive;
  adaptive.default_outcome = Outcome::kAdaptive;
  Set(adaptive);
  EXPECT_EQ(Lookup(2, 32768), kDaxFlag);
  verdicts.verdict = false;
  EXPECT_EQ(Flags({.size = 32768}), kDaxFlag);
  EXPECT_THAT(verdicts.admitted, ElementsAre(NodeId(2))) << "asked once in the inode's life";
  EXPECT_THAT(verdicts.identities, ElementsAre(2000u));
  EXPECT_EQ(Report(2, 32768).policy.reason, "because");

  states_.SetAdaptiveVerdict(Inode().Observed(), false);
  EXPECT_EQ(What(), Convergence::kAttributesCached);
  EXPECT_EQ(Flags({.size = 32768}), 0u);
  EXPECT_EQ(What(2, true), Convergence::kNoticedHeldOpen);

  states_.Read(Inode().Observed(), FileOffset(0), KiB(8));
  states_.Read(Inode().Observed(), FileOffset(8192), KiB(8));
  states_.Write(Inode().Observed(), FileOffset(0), KiB(1));
  states_.NoteSetup(Inode().Observed(), {.foffset = 0});
  states_.NoteSetup(Inode().Observed(), {.foffset = kChunk, .flags = kWrite});
  const std::vector<InodeStates::Active> active = states_.TakeActive();
  ASSERT_THAT(active, SizeIs(1));
  EXPECT_EQ(active[0].node, NodeId(2));
  EXPECT_EQ(active[0].sample.reads, 2u);
  EXPECT_EQ(active[0].sample.read_bytes, 16384u);
  EXPECT_EQ(active[0].sample.writes, 1u);
  EXPECT_EQ(active[0].sample.write_bytes, 1024u);
  EXPECT_EQ(active[0].sample.setups, 2u);
  EXPECT_EQ(active[0].sample.sequential_reads, 2u);
  EXPECT_EQ(active[0].sample.sequential_setups, 2u);
  EXPECT_EQ(verdicts.mapped, 2);
  EXPECT_EQ(active[0].sample.write_setups, 1u);
  EXPECT_EQ(active[0].sample.size, ByteCount(32768));
  EXPECT_FALSE(active[0].sample.dax);
  EXPECT_THAT(states_.TakeActive(), IsEmpty());
  states_.Closed(Inode().Observed());
  EXPECT_THAT(states_.TakeActive(), SizeIs(1));

  Forget(2, 1, /*last=*/true);
  EXPECT_THAT(verdicts.forgotten, ElementsAre(NodeId(2)));
  EXPECT_EQ(verdicts.samples[0].reads, 2u);
  EXPECT_THAT(states_.TakeActive(), IsEmpty());
}

TEST_F(InodeStatesTest, FilesWithoutAnAdaptiveVerdictAreNotCounted) {
  (void)Lookup(2, 32768);
  states_.Read(Inode().Observed(), FileOffset(0), KiB(8));
  EXPECT_THAT(states_.TakeActive(), IsEmpty());
}

TEST_F(InodeStatesTest, AGuestCannotMakeTheListOfActiveFilesGrow) {
  FakeVerdicts verdicts;
  states_.SetAdaptive(&verdicts);
  Policy adaptive;
  adaptive.default_outcome = Outcome::kAdaptive;
  Set(adaptive);
  for (uint64_t node = 2; node < 2 * InodeStates::kMaxCounted; ++node) {
    TestInode inode{.node = NodeId(node)};
    (void)states_.AttrFlags({}, inode.Observed(), {.mode = kFile, .size = MiB(1)}, fuse::AttrReply::kEntry);
    states_.Read(inode.Observed(), FileOffset(0), KiB(4));
    states_.Forgotten(inode.Observed(), 1, /*last=*/true);
    // By a file that it has kept open.
    states_.Read(inode.Observed(), FileOffset(0), KiB(4));
    states_.Closed(inode.Observed());
  }
  EXPECT_THAT(states_.TakeActive(), IsEmpty()) << "they are all gone";
}

TEST_F(InodeStatesTest, ExplainsAFileThatIsNotLive) {
  const auto path = [] { return std::optional<std::string>("a/b"); };
  const FileFacts facts{.mode = kFile, .size = ByteCount(100), .path = path};
  const PolicyAnswer answer = states_.Answer(facts);
  EXPECT_FALSE(answer.dax);
  EXPECT_EQ(answer.rule, "default");
  const auto steps = states_.Explain(nullptr, facts);
  ASSERT_FALSE(steps.empty());
  EXPECT_EQ(steps.back().rule, "default");
  EXPECT_TRUE(steps.back().matched);
  EXPECT_EQ(steps.front().rule, "size");
  EXPECT_FALSE(steps.front().matched);
}

TEST_F(InodeStatesTest, RepliesCountsAndPolicyChangesAtOnce) {
  std::array<TestInode, 50> shared;
  for (size_t i = 0; i < shared.size(); ++i) shared[i].node = NodeId(i + 2);
  InodeStates states({.share_tag = "share", .attribute_timeout = kTimeout}, &store_);
  states.SessionStarted(SessionMode::kPerFile);
  std::vector<std::thread> threads;
  for (uint64_t worker = 0; worker < 3; ++worker) {
    threads.emplace_back([&, worker] {
      for (uint64_t i = 0; i < 2000; ++i) {
        TestInode& inode = shared[i % shared.size()];
        (void)states.AttrFlags({}, inode.Observed(), {.mode = kFile, .size = ByteCount(i)}, fuse::AttrReply::kEntry);
        if (i % 7 == worker) states.Forgotten(inode.Observed(), 1, /*last=*/false);
        if (i % 11 == worker) states.Renamed(inode.Observed(), /*directory=*/i % 2 == 0);
        states.Grew(inode.Observed(), ByteCount(i + 1));
        states.Read(inode.Observed(), FileOffset(0), KiB(4));
        (void)states.PermitSetup(inode.Observed(), {});
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    Set(Named(i % 2 == 0 ? "always" : "never"));
    for (TestInode& inode : shared) {
      const InodeReport report =
          states.Report(inode.Observed(), {.mode = kFile, .size = ByteCount(1), .path = NoPath}, false);
      ASSERT_EQ(report.policy.dax, i % 2 == 0);
      (void)states.StateOf(inode.Observed(), {}, false);
    }
  }
  for (std::thread& thread : threads) thread.join();
}

class InodeStatesWithWindowTest : public WindowTest {};

TEST_F(InodeStatesWithWindowTest, RepliesThatTellOfGrowthBringThePagesBackFirst) {
  PolicyStore store(Named("always"));
  InodeStates states({.share_tag = "share"}, &store, window_.get());
  states.SessionStarted(SessionMode::kPerFile);
  TestFile file("grown");
  file.Fill(512);
  source_.paths[NodeId(2)] = file.path();
  ASSERT_EQ(SetupMapping(2, 0, kChunk, kRead, 0), 0);
  TestInode inode{.node = NodeId(2)};
  for (uint64_t round = 1; round <= 10; ++round) {
    file.Truncate(0);
    ASSERT_TRUE(Await([&](const WindowStats& stats) { return stats.repairs >= round; })) << "not noticed";
    file.Fill(1);
    if (round % 2 == 0) {
      states.Grew(inode.Observed(), ByteCount(kPage));
    } else {
      (void)states.AttrFlags({}, inode.Observed(), {.mode = kFile, .size = ByteCount(kPage)},
                             fuse::AttrReply::kGetAttr);
    }
    ASSERT_EQ(Load(0), 'a') << "round " << round;
  }
}

}  // namespace
}  // namespace daxvmm::dax
