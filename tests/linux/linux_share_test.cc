// Ring 5: what a guest can do with a share besides reading and writing files, and how many shares it can have.
#include <sys/stat.h>
#include <sys/xattr.h>

#include <fstream>
#include <iterator>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
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
  for (const NamedShare& share : named_shares()) ASSERT_OK(Mount("dax=inode", share.tag, share.mount_point));
  ASSERT_EQ(other_shares().size() + named_shares().size(), vmm::layout::kMaxVirtioDevices);
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

// A POSIX ACL in the form of its extended attribute (include/uapi/linux/posix_acl_xattr.h), in hexadecimal: version 2,
// then a tag, permissions and an id for each entry.
constexpr char kUserMayRead[] =  // u::rw-, u:1000:r--, g::---, m::r--, o::---
    "02000000"
    "01000600ffffffff"
    "02000400e8030000"
    "04000000ffffffff"
    "10000400ffffffff"
    "20000000ffffffff";
constexpr char kUserMayAll[] =  // u::rwx, u:1000:rwx, g::r-x, m::rwx, o::---
    "02000000"
    "01000700ffffffff"
    "02000700e8030000"
    "04000500ffffffff"
    "10000700ffffffff"
    "20000000ffffffff";

TEST_F(LinuxTest, AclsDecideWhoReadsAndWhatIsInherited) {
  if (TestEnvironment().ext4_dir.empty()) GTEST_SKIP() << "no directory on ext4 (--ext4_dir)";
  const std::string host = absl::StrCat(TestEnvironment().ext4_dir, "/", kHintsTag);
  ASSERT_OK(Mount("dax=inode", kHintsTag, kHintsMountPoint));
  const auto check = [](const std::string& command) {
    const absl::StatusOr<std::string> output =
        guest().Check(absl::StrCat("cd ", kHintsMountPoint, "; ", command, "; cd /"));
    EXPECT_TRUE(output.ok()) << output.status();
    return output.value_or("");
  };
  check(absl::StrCat("echo secret >one; chmod 600 one; daxtool setxattr one system.posix_acl_access ", kUserMayRead));
  EXPECT_EQ(check("stat -c %a one"), "640");
  EXPECT_EQ(check("daxtool getxattr one system.posix_acl_access"),
            absl::StrCat("one system.posix_acl_access=", kUserMayRead));
  EXPECT_EQ(check("daxtool as 1000 1000 cat one"), "secret");
  EXPECT_TRUE(absl::StrContains(check("daxtool as 1001 1001 cat one 2>&1 || true"), "Permission denied"));
  EXPECT_TRUE(absl::StrContains(check("daxtool as 1000 1000 dd if=/dev/zero of=one count=1 2>&1 || true"),
                                "Permission denied"));

  // The default ACL stands where the umask would.
  check(absl::StrCat("mkdir dir; daxtool setxattr dir system.posix_acl_default ", kUserMayAll,
                     "; (umask 077; echo first >dir/file)"));
  EXPECT_EQ(check("stat -c %a dir/file"), "660");
  check("chmod 755 dir; daxtool as 1000 1000 tee -a dir/file <one >/dev/null");
  EXPECT_EQ(Content(host + "/dir/file"), "first\nsecret\n");
  char acl[256];
  EXPECT_EQ(getxattr((host + "/dir/file").c_str(), "system.posix_acl_access", acl, sizeof(acl)), 4 + 5 * 8);
  struct stat st = {};
  ASSERT_EQ(stat((host + "/dir/file").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0660u);
}

TEST_F(LinuxTest, AFileWithoutANameGetsOne) {
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(StatusOf(guest().Check(absl::StrCat("mkdir ", GuestPath("unnamed"), "; daxtool tmpfile ",
                                                GuestPath("unnamed"), " whole ", GuestPath("unnamed/named")))));
  EXPECT_EQ(Content(HostPath("unnamed/named")), "whole");
  struct stat st = {};
  ASSERT_EQ(stat(HostPath("unnamed/named").c_str(), &st), 0);
  EXPECT_EQ(st.st_nlink, 1u);
  const absl::StatusOr<std::string> list = guest().Check(absl::StrCat("ls -A ", GuestPath("unnamed")));
  ASSERT_OK(StatusOf(list));
  EXPECT_EQ(*list, "named");
}

}  // namespace
}  // namespace daxvmm::linux_test
