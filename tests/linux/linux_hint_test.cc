// Ring 5: the persistent DAX hint of a file, set on the host and by chattr's ioctls in the guest.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "tests/linux/linux_fixture.h"

namespace daxvmm::linux_test {
namespace {

constexpr uint32_t kDaxFlag = 0x02000000;  // FS_DAX_FL

// Of the host's inode.
absl::Status SetPersistentDaxFlag(const std::string& path, bool on) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  fsxattr attributes = {};
  if (!fd.valid() || ioctl(fd.get(), FS_IOC_FSGETXATTR, &attributes) < 0) {
    return absl::InternalError(absl::StrCat(path, ": cannot get FS_XFLAG_DAX"));
  }
  attributes.fsx_xflags &= ~static_cast<uint32_t>(FS_XFLAG_DAX);
  if (on) attributes.fsx_xflags |= FS_XFLAG_DAX;
  if (ioctl(fd.get(), FS_IOC_FSSETXATTR, &attributes) < 0) {
    return absl::InternalError(absl::StrCat(path, ": cannot set FS_XFLAG_DAX"));
  }
  return absl::OkStatus();
}

TEST_F(LinuxTest, PersistentFlagPolicyFollowsTheFlagOfTheInode) {
  if (TestEnvironment().ext4_dir.empty()) GTEST_SKIP() << "no directory on ext4 (--ext4_dir)";
  const std::string dir = absl::StrCat(TestEnvironment().ext4_dir, "/", kFlagsTag);
  const std::string with = absl::StrCat(dir, "/with");
  const std::string without = absl::StrCat(dir, "/without");
  ASSERT_OK(WriteFile(with, 8192));
  ASSERT_OK(WriteFile(without, 1 << 20));
  ASSERT_OK(SetPersistentDaxFlag(with, true));
  ASSERT_OK(Mount("dax=inode", kFlagsTag, kFlagsMountPoint));
  ASSERT_OK(ReadInGuest(*machine_, absl::StrCat(kFlagsMountPoint, "/with"), with));
  ASSERT_OK(ReadInGuest(*machine_, absl::StrCat(kFlagsMountPoint, "/without"), without));

  absl::StatusOr<FileView> flagged = Observe(*machine_, "with", kFlagsTag, kFlagsMountPoint);
  ASSERT_OK(StatusOf(flagged));
  EXPECT_TRUE(flagged->guest_dax);
  EXPECT_EQ(flagged->host.setup_mappings(), 1u);
  EXPECT_EQ(flagged->host.reads(), 0u);
  EXPECT_TRUE(absl::StartsWith(flagged->host.decision_rule(), "flags/")) << flagged->host.decision_rule();
  absl::StatusOr<FileView> plain = Observe(*machine_, "without", kFlagsTag, kFlagsMountPoint);
  ASSERT_OK(StatusOf(plain));
  EXPECT_FALSE(plain->guest_dax);
  EXPECT_EQ(plain->host.setup_mappings(), 0u);
  EXPECT_GT(plain->host.reads(), 0u);

  // The host's flag is looked at once for each inode that the guest holds: it is to let go of this one.
  ASSERT_OK(SetPersistentDaxFlag(without, true));
  ASSERT_OK(StatusOf(guest().Check("echo 2 >/proc/sys/vm/drop_caches")));
  ASSERT_OK(WaitForDax(*machine_, "without", true, kFlagsMountPoint));
}

// Whether the guest's FS_IOC_GETFLAGS and FS_IOC_FSGETXATTR both say so; fails if they differ.
absl::StatusOr<bool> HintInGuest(LinuxGuest& guest, const std::string& path) {
  absl::StatusOr<std::string> line = guest.Check(absl::StrCat("daxtool getflags ", path));
  if (!line.ok()) return line.status();
  uint32_t flags = 0;
  uint32_t xflags = 0;
  const size_t flags_at = line->find(" flags=0x");
  const size_t xflags_at = line->find(" xflags=0x");
  if (flags_at == std::string::npos || xflags_at == std::string::npos ||
      !absl::SimpleHexAtoi(line->substr(flags_at + 7, xflags_at - flags_at - 7), &flags) ||
      !absl::SimpleHexAtoi(line->substr(xflags_at + 8), &xflags) ||
      ((flags & kDaxFlag) != 0) != ((xflags & FS_XFLAG_DAX) != 0)) {
    return absl::InternalError(absl::StrCat("daxtool answered: ", *line));
  }
  return (flags & kDaxFlag) != 0;
}

std::string SetHint(const std::string& path) { return absl::StrCat("daxtool setflags ", path, " ", kDaxFlag, " 0"); }

// The parameter of what both stores have to do: a share whose policy is the hint.
struct HintShare {
  const char* tag;
  const char* mount_point;
};

void ExpectHostFlag(const std::string& path, bool expected) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  fsxattr attributes = {};
  ASSERT_EQ(ioctl(fd.get(), FS_IOC_FSGETXATTR, &attributes), 0);
  EXPECT_EQ((attributes.fsx_xflags & FS_XFLAG_DAX) != 0, expected) << path;
}

TEST_F(LinuxTest, AHintSetInTheGuestMakesTheFileDaxAtItsNextUse) {
  if (TestEnvironment().ext4_dir.empty()) GTEST_SKIP() << "no directory on ext4 (--ext4_dir)";
  for (const HintShare& share : {HintShare{kFlagsTag, kFlagsMountPoint}, HintShare{kHintsTag, kHintsMountPoint}}) {
    SCOPED_TRACE(share.tag);
    const std::string host = absl::StrCat(TestEnvironment().ext4_dir, "/", share.tag, "/chattr");
    const std::string path = absl::StrCat(share.mount_point, "/chattr");
    ASSERT_OK(WriteFile(host, 1 << 20));
    ASSERT_OK(Mount("dax=inode", share.tag, share.mount_point));
    ASSERT_OK(ReadInGuest(*machine_, path, host));
    absl::StatusOr<FileView> view = Observe(*machine_, "chattr", share.tag, share.mount_point);
    ASSERT_OK(StatusOf(view));
    EXPECT_FALSE(view->guest_dax);
    EXPECT_EQ(HintInGuest(guest(), path).value_or(true), false);

    ASSERT_OK(StatusOf(guest().Check(SetHint(path))));
    const absl::StatusOr<bool> hint = HintInGuest(guest(), path);
    ASSERT_OK(StatusOf(hint));
    EXPECT_TRUE(*hint);
    ASSERT_OK(WaitForDax(*machine_, "chattr", true, share.mount_point));
    ASSERT_OK(ReadInGuest(*machine_, path, host));
    view = Observe(*machine_, "chattr", share.tag, share.mount_point);
    ASSERT_OK(StatusOf(view));
    EXPECT_TRUE(view->host.told_dax());
    EXPECT_EQ(view->host.setup_mappings(), 1u);
    EXPECT_TRUE(absl::StartsWith(view->host.decision_rule(), absl::StrCat(share.tag, "/")))
        << view->host.decision_rule();
    // The host keeps it where the operator chose, and the guest's attributes do not show it.
    ExpectHostFlag(host, share.tag == std::string(kFlagsTag));
    EXPECT_EQ(getxattr(host.c_str(), "trusted.daxvmm.dax", nullptr, 0) > 0, share.tag == std::string(kHintsTag));
    const absl::StatusOr<std::string> names = guest().Check(absl::StrCat("daxtool listxattr ", path));
    ASSERT_OK(StatusOf(names));
    EXPECT_EQ(*names, "");
    const absl::StatusOr<CommandResult> hidden =
        guest().Run(absl::StrCat("daxtool getxattr ", path, " trusted.daxvmm.dax"));
    ASSERT_OK(StatusOf(hidden));
    EXPECT_NE(hidden->status, 0) << hidden->output;

    ASSERT_OK(StatusOf(guest().Check(absl::StrCat("daxtool setxflags ", path, " 0 ", uint32_t{FS_XFLAG_DAX}))));
    ASSERT_OK(WaitForDax(*machine_, "chattr", false, share.mount_point));
    EXPECT_EQ(HintInGuest(guest(), path).value_or(true), false);
    // No other flag is the guest's to change.
    const absl::StatusOr<CommandResult> immutable =
        guest().Run(absl::StrCat("daxtool setflags ", path, " ", uint32_t{FS_IMMUTABLE_FL}, " 0"));
    ASSERT_OK(StatusOf(immutable));
    EXPECT_NE(immutable->status, 0);
  }
}

TEST_F(LinuxTest, WhatIsMadeBelowADirectoryWithTheHintHasTheHintAndIsDaxFromItsBirth) {
  std::vector<HintShare> shares = {{kForgetfulTag, kForgetfulMountPoint}};
  if (!TestEnvironment().ext4_dir.empty()) {
    shares.push_back({kFlagsTag, kFlagsMountPoint});
    shares.push_back({kHintsTag, kHintsMountPoint});
  }
  for (const HintShare& share : shares) {
    SCOPED_TRACE(share.tag);
    ASSERT_OK(Mount("dax=inode", share.tag, share.mount_point));
    const auto check = [&](const std::string& command) {
      const absl::StatusOr<std::string> output =
          guest().Check(absl::StrCat("cd ", share.mount_point, "; ", command, "; cd /"));
      EXPECT_TRUE(output.ok()) << output.status();
    };
    check(absl::StrCat("mkdir heir plain; ", SetHint("heir")));
    // By CREATE, MKDIR, MKNOD and O_TMPFILE.
    check(
        "for d in heir plain; do mkdir $d/sub; daxtool fill $d/sub/created 0 100000; mknod $d/fifo p; "
        "daxtool tmpfile $d text $d/linked; done");
    for (const std::string dir : {"heir", "plain"}) {
      const bool hinted = dir == "heir";
      for (const char* name : {"", "/sub", "/sub/created", "/linked"}) {
        const absl::StatusOr<bool> hint = HintInGuest(guest(), absl::StrCat(share.mount_point, "/", dir, name));
        ASSERT_OK(StatusOf(hint));
        EXPECT_EQ(*hint, hinted) << dir << name;
      }
      const std::string created = dir + "/sub/created";
      ASSERT_OK(ReadInGuest(*machine_, absl::StrCat(share.mount_point, "/", created),
                            absl::StrCat(HostDir(share.tag), "/", created)));
      const absl::StatusOr<FileView> view = Observe(*machine_, created, share.tag, share.mount_point);
      ASSERT_OK(StatusOf(view));
      EXPECT_EQ(view->guest_size, 100000u);
      EXPECT_EQ(view->guest_dax, hinted);
      EXPECT_EQ(view->host.reads() == 0, hinted) << view->host.reads();
      EXPECT_EQ(view->host.setup_mappings() > 0, hinted);
      EXPECT_EQ(view->host.convergence(), v1::CONVERGENCE_CONVERGED);
    }
  }
}

TEST_F(LinuxTest, ARuleBeforeTheHintOverrulesIt) {
  for (const char* name : {"hint-kept", "hint-overruled"}) ASSERT_OK(WriteFile(HostPath(name), 1 << 20));
  v1::SetPolicyRequest policy;
  v1::Rule* const rule = policy.mutable_policy()->add_rules();
  rule->set_name("not-these");
  rule->add_paths("**/*-overruled");
  rule->set_outcome(v1::OUTCOME_NO_DAX);
  policy.mutable_policy()->set_default_outcome(v1::OUTCOME_FOLLOW_HINT);
  ASSERT_OK(StatusOf(control().SetPolicy(policy)));
  ASSERT_OK(Mount("dax=inode"));
  for (const std::string name : {"hint-kept", "hint-overruled"}) {
    SCOPED_TRACE(name);
    const bool kept = name == "hint-kept";
    ASSERT_OK(StatusOf(guest().Check(SetHint(GuestPath(name)))));
    EXPECT_EQ(HintInGuest(guest(), GuestPath(name)).value_or(false), true);
    ASSERT_OK(WaitForDax(*machine_, name, kept));
    ASSERT_OK(ReadInGuest(*machine_, GuestPath(name), HostPath(name)));
    const absl::StatusOr<FileView> view = Observe(*machine_, name);
    ASSERT_OK(StatusOf(view));
    EXPECT_EQ(view->host.setup_mappings(), kept ? 1u : 0u);
    EXPECT_EQ(view->guest_dax, kept);
    v1::ExplainFileRequest request;
    request.set_share(kTag);
    request.set_path(name);
    const absl::StatusOr<v1::ExplainFileResponse> why = control().ExplainFile(request);
    ASSERT_OK(StatusOf(why));
    EXPECT_EQ(why->decision_rule(), kept ? "default" : "not-these");
    EXPECT_EQ(why->decision_dax(), kept);
  }
}

// Two machines after each other, both without what the LinuxTest cases share.
TEST(LinuxHintTest, AHintOutlivesTheMachine) {
  const Environment& environment = TestEnvironment();
  if (environment.ext4_dir.empty()) GTEST_SKIP() << "no directory on ext4 (--ext4_dir)";
  const std::string dir = absl::StrCat(environment.ext4_dir, "/lasting");
  ASSERT_EQ(mkdir(dir.c_str(), 0755), 0);
  for (const char* name : {"with", "without"}) ASSERT_OK(WriteFile(absl::StrCat(dir, "/", name), 8192));
  GuestOptions options;
  options.memory = "256M";
  options.shares = {absl::StrCat("path=", dir, ",tag=", kTag, ",dax-window=16M,policy=inode")};
  for (const bool first : {true, false}) {
    SCOPED_TRACE(first ? "the first machine" : "the second machine");
    absl::StatusOr<Machine> machine = BootMachine(environment, options);
    ASSERT_OK(StatusOf(machine));
    LinuxGuest& guest = *machine->guest;
    ASSERT_OK(StatusOf(guest.Check(absl::StrCat("mount -t virtiofs -o dax=inode ", kTag, " ", kMountPoint))));
    if (first) ASSERT_OK(StatusOf(guest.Check(SetHint(GuestPath("with")))));
    for (const char* name : {"with", "without"}) {
      const absl::StatusOr<bool> hint = HintInGuest(guest, GuestPath(name));
      ASSERT_OK(StatusOf(hint));
      EXPECT_EQ(*hint, name == std::string("with")) << name;
      if (first) continue;
      const absl::StatusOr<FileView> view = Observe(*machine, name);
      ASSERT_OK(StatusOf(view));
      EXPECT_EQ(view->guest_dax, *hint) << name;
    }
    ASSERT_OK(StatusOf(guest.Check(absl::StrCat("umount ", kMountPoint))));
    const absl::StatusOr<int> status = guest.Shutdown();
    ASSERT_OK(StatusOf(status));
    EXPECT_EQ(*status, 0);
  }
}

}  // namespace
}  // namespace daxvmm::linux_test
