// What the device knows of a guest's way from one policy to the next, and what it allows meanwhile.
#include <fcntl.h>
#include <sys/stat.h>

#include <string>

#include "absl/time/time.h"
#include "devices/virtio_fs/dax/policy_names.h"
#include "gtest/gtest.h"
#include "tests/device/device_fixture.h"

namespace daxvmm::virtio_fs {
namespace {

using dax::Convergence;
using fakes::BytesOf;
using fakes::BytesOfName;
using fakes::Concatenate;

constexpr uint32_t kDax = FUSE_ATTR_DAX;
constexpr uint32_t kRead = FUSE_SETUPMAPPING_FLAG_READ;
constexpr uint32_t kWrite = FUSE_SETUPMAPPING_FLAG_WRITE;

class ConvergenceTest : public DeviceFixture {
 protected:
  void Set(dax::Policy policy, dax::Enforcement enforcement = dax::Enforcement::kAdvisory) {
    policy.enforcement = enforcement;
    const auto generation = policy_->Set(std::move(policy), {.source = {.kind = dax::SourceKind::kRequest}});
    ASSERT_TRUE(generation.ok()) << generation.status();
  }
  void SetNamed(absl::string_view name, dax::Enforcement enforcement = dax::Enforcement::kAdvisory) {
    Set(*dax::ParsePolicyName(name), enforcement);
  }
  // Of the only live file.
  LiveFile Only() {
    std::vector<LiveFile> files = device_->ListFiles();
    EXPECT_EQ(files.size(), 1u);
    return files.empty() ? LiveFile() : std::move(files[0]);
  }
  Convergence What() { return Only().report.convergence.what; }
};

TEST_F(ConvergenceTest, EachStateFromAFlipToTheNewInode) {
  Mount(kPerFileMount, {.policy = *dax::ParsePolicyName("always"), .timeout = absl::Hours(1)});
  MakeFile("file", KiB(64));
  const uint64_t node = Lookup("file").nodeid;
  const uint64_t fh = Open(node, O_RDONLY);
  EXPECT_EQ(What(), Convergence::kConverged);

  SetNamed("never");
  EXPECT_EQ(What(), Convergence::kAttributesCached);
  EXPECT_GT(Only().report.convergence.attributes_left, absl::Minutes(59));
  dax::ConvergenceCounts counts = device_->CountConvergence();
  EXPECT_EQ(counts.attributes_cached, 1u);
  EXPECT_GT(counts.longest_wait, absl::Minutes(59));

  EXPECT_EQ(GetAttr(node).flags, 0u);
  EXPECT_EQ(What(), Convergence::kNoticedHeldOpen);
  EXPECT_EQ(device_->CountConvergence().noticed_held_open, 1u);
  fuse_release_in release = {};
  release.fh = fh;
  EXPECT_EQ(Ask(FUSE_RELEASE, node, BytesOf(release)).error, 0);
  EXPECT_EQ(What(), Convergence::kNoticedStillHeld);
  EXPECT_EQ(device_->CountConvergence().noticed_still_held, 1u);

  // The look-up that makes the new inode overtakes the FORGET of the old one.
  EXPECT_EQ(Lookup("file").attr.flags, 0u);
  EXPECT_EQ(What(), Convergence::kNoticedStillHeld);
  Forget(node, 1);
  EXPECT_EQ(What(), Convergence::kConverged);
  EXPECT_EQ(Only().report.told_dax, false);
  EXPECT_EQ(Only().report.told_generation, 2u);
  EXPECT_EQ(device_->CountConvergence().converged, 1u);
}

TEST_F(ConvergenceTest, WithoutATimeOutTheNextUseChanges) {
  Mount(kPerFileMount, {.timeout = absl::ZeroDuration()});
  MakeFile("file", KiB(64));
  Lookup("file");
  SetNamed("never");
  EXPECT_EQ(What(), Convergence::kChangesOnNextUse);
  EXPECT_EQ(device_->CountConvergence().changes_on_next_use, 1u);
  EXPECT_EQ(device_->attribute_timeout(), absl::ZeroDuration());
}

TEST_F(ConvergenceTest, OneAfterTheOtherIsNeverUnknown) {
  Mount(kPerFileMount, {.policy = *dax::ParsePolicyName("always")});
  MakeFile("file", KiB(64));
  for (int i = 0; i < 50; ++i) {
    // Each request is sent when the reply before it was read: nothing is in flight together, however fast.
    const bool dax = i % 2 == 0;
    const uint64_t node = Lookup("file").nodeid;
    SetNamed(dax ? "never" : "always");
    Lookup("file");
    ASSERT_EQ(Only().report.told_dax, dax) << i;
    Forget(node, 1);
    ASSERT_EQ(Only().report.told_dax, !dax) << i;
    Forget(node, 1);
  }
}

TEST_F(ConvergenceTest, WhatTheGuestDoesCorrectsTheRecord) {
  Mount(kPerFileMount, {.policy = *dax::ParsePolicyName("always")});
  MakeFile("file", KiB(64));
  const uint64_t node = Lookup("file").nodeid;
  const uint64_t fh = Open(node, O_RDONLY);
  EXPECT_EQ(Read(node, fh, KiB(64).raw(), 4096).error, 0);
  EXPECT_EQ(Only().report.told_dax, true) << "at the end of the file a DAX inode may send it too";
  EXPECT_EQ(Read(node, fh, 0, 4096).error, 0);
  EXPECT_EQ(Only().report.told_dax, false);
  EXPECT_EQ(SetupMapping(node, 0, 0, kRead).error, 0);
  EXPECT_EQ(Only().report.told_dax, true);
}

TEST_F(ConvergenceTest, ADeniedMappingIsRefusedUntilThePolicyAllowsIt) {
  Mount(kAlwaysMount);
  MakeFile("file", KiB(64));
  SetNamed("never", dax::Enforcement::kDeny);
  const uint64_t node = Lookup("file").nodeid;
  EXPECT_EQ(SetupMapping(node, 0, 0, kRead).error, EPERM);
  EXPECT_EQ(SetupMapping(node, 0, 0, kRead | kWrite).error, EPERM);
  EXPECT_EQ(Only().use.chunks, 0u);
  EXPECT_EQ(device_->states().denied(), 2u);
  EXPECT_EQ(Only().report.against_policy, 2u);
  EXPECT_EQ(device_->window()->stats().rejected, 0u) << "refused by policy, not for being malformed";
  SetNamed("never");
  EXPECT_EQ(SetupMapping(node, 0, 0, kRead).error, 0);
  EXPECT_EQ(device_->states().mapped_against_policy(), 1u);
}

TEST_F(ConvergenceTest, AnInstanceThatWasToldDaxKeepsItsRightToMap) {
  Mount(kPerFileMount, {.policy = *dax::ParsePolicyName("always")});
  MakeFile("file", MiB(4));
  const uint64_t node = Lookup("file").nodeid;
  EXPECT_EQ(SetupMapping(node, 0, 0, kRead).error, 0);
  SetNamed("never", dax::Enforcement::kDeny);
  EXPECT_EQ(GetAttr(node).flags, 0u);
  EXPECT_EQ(SetupMapping(node, 0, 0, kRead | kWrite).error, 0) << "an upgrade";
  EXPECT_EQ(SetupMapping(node, kDaxRangeSize.raw(), kDaxRangeSize.raw(), kRead).error, 0) << "a new chunk";
  EXPECT_EQ(RemoveMapping(node, {{0, kDaxRangeSize.raw()}}).error, 0);
  EXPECT_EQ(SetupMapping(node, 0, 2 * kDaxRangeSize.raw(), kRead).error, 0) << "one that had been given back";
  EXPECT_EQ(WindowBytes(2 * kDaxRangeSize.raw(), 1), "x");
  Forget(node, 1);
  const uint64_t again = Lookup("file").nodeid;
  EXPECT_EQ(SetupMapping(again, 0, 0, kRead).error, EPERM) << "the next one was not told";
}

TEST_F(ConvergenceTest, TheQuotaKeepsFilesFromBecomingDaxAndRefusesNothing) {
  Mount(kPerFileMount, {.policy = *dax::ParsePolicyName("always"), .dax_quota = MiB(4)});
  MakeFile("first", MiB(8));
  MakeFile("second", MiB(8));
  const fuse_entry_out first = Lookup("first");
  EXPECT_EQ(first.attr.flags, kDax);
  for (uint64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(SetupMapping(first.nodeid, i * kDaxRangeSize.raw(), i * kDaxRangeSize.raw(), kRead).error, 0) << i;
  }
  EXPECT_TRUE(device_->states().quota_reached());
  EXPECT_EQ(Lookup("second").attr.flags, 0u);
  EXPECT_EQ(GetAttr(first.nodeid).flags, kDax);
  const auto explained = device_->Explain("second");
  ASSERT_TRUE(explained.ok());
  EXPECT_EQ(explained->answer.rule, "builtin:window-quota");
}

TEST_F(ConvergenceTest, PathsAreTheGuestsAndFollowItsRenames) {
  dax::Policy policy;
  policy.rules = {{.name = "bin", .subtrees = {"bin"}, .outcome = dax::Outcome::kDax}};
  Mount(kPerFileMount, {.policy = policy});
  ASSERT_EQ(mkdir(HostPath("bin").c_str(), 0755), 0);
  MakeFile("bin/tool", KiB(64));
  MakeFile("bin/other", KiB(64));
  const uint64_t bin = Lookup("bin").nodeid;
  const fuse_entry_out tool = Lookup("tool", bin);
  EXPECT_EQ(tool.attr.flags, kDax);
  // A hard link is the same node: one decision, by the path that it was found by first.
  ASSERT_EQ(link(HostPath("bin/tool").c_str(), HostPath("link").c_str()), 0);
  const fuse_entry_out linked = Lookup("link");
  EXPECT_EQ(linked.nodeid, tool.nodeid);
  EXPECT_EQ(linked.attr.flags, kDax);
  // A rename on the host is not seen as long as the node lives.
  ASSERT_EQ(rename(HostPath("bin/other").c_str(), HostPath("elsewhere").c_str()), 0);
  EXPECT_EQ(GetAttr(tool.nodeid).flags, kDax);
  // One in the guest is, of an ancestor too.
  fuse_rename_in rename = {};
  rename.newdir = FUSE_ROOT_ID;
  std::vector<std::byte> names = Concatenate(BytesOfName("bin"), BytesOfName("nib"));
  ASSERT_EQ(Ask(FUSE_RENAME, FUSE_ROOT_ID, Concatenate(BytesOf(rename), names)).error, 0);
  EXPECT_EQ(GetAttr(tool.nodeid).flags, 0u);
  EXPECT_EQ(device_->Explain(NodeId(tool.nodeid))->path, "nib/tool");
  // An unlinked file keeps its last path.
  names = Concatenate(BytesOfName("nib"), BytesOfName("bin"));
  ASSERT_EQ(Ask(FUSE_RENAME, FUSE_ROOT_ID, Concatenate(BytesOf(rename), names)).error, 0);
  const uint64_t fh = Open(tool.nodeid, O_RDONLY);
  ASSERT_EQ(Ask(FUSE_UNLINK, bin, BytesOfName("tool")).error, 0);
  ASSERT_EQ(Ask(FUSE_UNLINK, FUSE_ROOT_ID, BytesOfName("link")).error, 0);
  EXPECT_EQ(GetAttr(tool.nodeid).flags, kDax);
  EXPECT_NE(fh, UINT64_MAX);
}

TEST_F(ConvergenceTest, OverridesStandAboveTheRules) {
  Mount(kPerFileMount, {.policy = *dax::ParsePolicyName("never")});
  MakeFile("file", KiB(64));
  const fuse_entry_out entry = Lookup("file");
  EXPECT_EQ(entry.attr.flags, 0u);
  const dax::PolicyStore::SetOptions by_request{.source = {.kind = dax::SourceKind::kRequest}};
  ASSERT_TRUE(
      policy_->SetOverride({.share_tag = device_->tag(), .file = std::string("file"), .dax = true}, by_request).ok());
  EXPECT_EQ(GetAttr(entry.nodeid).flags, kDax);
  EXPECT_TRUE(Only().report.policy.overridden);
  ASSERT_TRUE(
      policy_->SetOverride({.share_tag = device_->tag(), .file = NodeId(entry.nodeid), .dax = false}, by_request).ok());
  EXPECT_EQ(GetAttr(entry.nodeid).flags, 0u);
}

TEST_F(ConvergenceTest, ExplainsWhatIsLiveAndWhatIsNot) {
  Mount();
  MakeFile("large", KiB(64));
  MakeFile("small", "x");
  const uint64_t node = Lookup("large").nodeid;
  const auto live = device_->Explain("large");
  ASSERT_TRUE(live.ok()) << live.status();
  EXPECT_TRUE(live->live.has_value());
  EXPECT_EQ(live->live->node, NodeId(node));
  EXPECT_TRUE(live->answer.dax);
  EXPECT_EQ(live->answer.rule, "size");
  ASSERT_FALSE(live->steps.empty());
  EXPECT_TRUE(live->steps.back().matched);
  const auto other = device_->Explain("small");
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_FALSE(other->live.has_value());
  EXPECT_FALSE(other->answer.dax);
  EXPECT_EQ(device_->ListFiles().size(), 1u) << "asking makes nothing live";
  EXPECT_FALSE(device_->Explain("none").ok());
  EXPECT_FALSE(device_->Explain(NodeId(99)).ok());
  const auto root = device_->Explain(".");
  ASSERT_TRUE(root.ok());
  EXPECT_EQ(root->answer.rule, "builtin:regular-files-only");
}

class AdaptiveDeviceTest : public ConvergenceTest {};

TEST_F(AdaptiveDeviceTest, NewFilesAreJudgedAndTheReasonIsShown) {
  Mount(kPerFileMount, {.policy = *dax::ParsePolicyName("adaptive")});
  MakeFile("large", MiB(2));
  MakeFile("small", "x");
  MakeFile("huge", MiB(64));  // four times the window
  EXPECT_EQ(Lookup("small").attr.flags, 0u);
  EXPECT_EQ(Lookup("huge").attr.flags, 0u);
  for (const LiveFile& file : device_->ListFiles()) {
    EXPECT_FALSE(file.report.policy.dax) << file.path;
    EXPECT_NE(file.report.policy.reason.find("denied"), std::string::npos) << file.report.policy.reason;
  }
  Lookup("large");
  const auto explained = device_->Explain("large");
  ASSERT_TRUE(explained.ok());
  EXPECT_FALSE(explained->answer.reason.empty());
}

}  // namespace
}  // namespace daxvmm::virtio_fs
