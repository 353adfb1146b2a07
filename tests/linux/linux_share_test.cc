// Ring 5: what a guest can do with a share besides reading and writing files, and how many shares it can have.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "tests/linux/linux_fixture.h"
#include "vmm/layout.h"

namespace daxvmm::linux_test {
namespace {

std::string Content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_F(LinuxTest, AsManySharesAsAMachineCanHaveServeEachItsOwn) {
  std::string mounts = "set -e; ";
  for (const OtherShare& share : other_shares()) {
    std::ofstream(share.host_dir + "/who") << "I am " << share.tag << "\n" << std::string(100'000, 'x');
    absl::StrAppend(&mounts, "mkdir -p ", kManyMountPoint, "/", share.tag, "; mount -t virtiofs ", share.tag, " ",
                    kManyMountPoint, "/", share.tag, "; ");
  }
  size_t others = 2;  // kTag and kReadOnlyTag
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(Mount("dax=inode", kReadOnlyTag, kReadOnlyMountPoint));
  if (!TestEnvironment().ext4_dir.empty()) {
    ASSERT_OK(Mount("dax=inode", kFlagsTag, kFlagsMountPoint));
    ASSERT_OK(Mount("dax=inode", kHintsTag, kHintsMountPoint));
    others += 2;
  }
  ASSERT_EQ(other_shares().size() + others, vmm::layout::kMaxVirtioDevices);
  ASSERT_OK(StatusOf(guest().Check(absl::StrCat("(", mounts, ")"))));
  const absl::StatusOr<std::string> mounted = guest().Check("grep -c virtiofs /proc/mounts");
  ASSERT_OK(StatusOf(mounted));
  EXPECT_EQ(*mounted, absl::StrCat(vmm::layout::kMaxVirtioDevices));

  ASSERT_OK(StatusOf(guest().Check(absl::StrCat(
      "for d in ", kManyMountPoint, "/*; do (head -n 1 $d/who; daxtool mmap-read $d/who 0 100000) >$d/seen; done"))));
  for (const OtherShare& share : other_shares()) {
    SCOPED_TRACE(share.tag);
    EXPECT_TRUE(absl::StartsWith(Content(share.host_dir + "/seen"), absl::StrCat("I am ", share.tag, "\n")));
    const absl::StatusOr<v1::Window> window = WindowOf(*machine_, share.tag);
    ASSERT_OK(StatusOf(window));
    // Mapped where the share has a window, and read where it has none.
    EXPECT_EQ(window->maps(), window->capacity_bytes() == 0 ? 0u : 1u);
  }
  ASSERT_OK(Read(kLargeFile));
  ExpectDax(kLargeFile, true);
}

// Linux itself stores nothing to a file system that is mounted read-only: tests/microguest has the store.
TEST_F(LinuxTest, ReadOnlyShareIsMappedAndRefusesWrites) {
  ASSERT_OK(Mount("dax=always", kReadOnlyTag, kReadOnlyMountPoint));
  const std::string path = absl::StrCat(kReadOnlyMountPoint, "/", kLargeFile.name);
  ASSERT_OK(ReadInGuest(*machine_, path, HostPath(kLargeFile.name)));
  const absl::StatusOr<FileView> view = Observe(*machine_, kLargeFile.name, kReadOnlyTag, kReadOnlyMountPoint);
  ASSERT_OK(StatusOf(view));
  EXPECT_EQ(view->host.mapped_chunks(), Chunks(kLargeFile.size));
  EXPECT_EQ(view->host.reads(), 0u);
  const absl::StatusOr<CommandResult> store = guest().Run(absl::StrCat("daxtool mmap-write ", path, " 0 x"));
  ASSERT_OK(StatusOf(store));
  EXPECT_NE(store->status, 0);
  EXPECT_TRUE(absl::StrContains(store->output, "Read-only file system")) << store->output;
}

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

  ASSERT_OK(SetPersistentDaxFlag(without, true));
  ASSERT_OK(WaitForDax(*machine_, "without", true, kFlagsMountPoint));
}

}  // namespace
}  // namespace daxvmm::linux_test
