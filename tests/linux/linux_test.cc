// Ring 5: an unmodified Linux guest mounts a share in every way it can, and the host says whether DAX was really on.
// What `cat` prints proves nothing: each claim rests on the mappings and the FUSE_READ requests that daxvmm counted.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "tests/linux/linux_fixture.h"

namespace daxvmm::linux_test {
namespace {

TEST_F(LinuxTest, HasTwoCpusThatBothReachTheWindow) {
  ASSERT_OK(Mount("dax=always"));
  const absl::StatusOr<std::string> cpus = guest().Check("nproc");
  ASSERT_OK(StatusOf(cpus));
  EXPECT_EQ(*cpus, "2");
  const absl::StatusOr<std::string> first =
      guest().Check(absl::StrCat("taskset 1 daxtool read ", GuestPath("five-mib")));
  const absl::StatusOr<std::string> second =
      guest().Check(absl::StrCat("taskset 2 daxtool read ", GuestPath("five-mib")));
  ASSERT_OK(StatusOf(first));
  ASSERT_OK(StatusOf(second));
  EXPECT_EQ(*first, *second);
  ExpectDax(kLargeFile, true);
}

TEST_F(LinuxTest, DaxAlwaysMapsEveryFileWhateverThePolicy) {
  ASSERT_OK(StatusOf(control().SetNamedPolicy("never")));
  ASSERT_OK(Mount("dax=always"));
  for (const TestFile& file : kFiles) {
    ASSERT_OK(Read(file));
    ExpectDax(file, true);
  }
  EXPECT_EQ(MountMode(), v1::MOUNT_MODE_ALWAYS);
}

TEST_F(LinuxTest, DaxNeverMapsNoFileWhateverThePolicy) {
  ASSERT_OK(StatusOf(control().SetNamedPolicy("always")));
  ASSERT_OK(Mount("dax=never"));
  for (const TestFile& file : kFiles) {
    ASSERT_OK(Read(file));
    ExpectDax(file, false);
  }
  EXPECT_EQ(MountMode(), v1::MOUNT_MODE_NEVER);
}

TEST_F(LinuxTest, DaxInodeFollowsThePolicyFileByFile) {
  ASSERT_OK(Mount("dax=inode"));
  for (const TestFile& file : kFiles) {
    ASSERT_OK(Read(file));
    ExpectDax(file, DaxBySize(file));
    ExpectTold(file, DaxBySize(file));
  }
  EXPECT_EQ(MountMode(), v1::MOUNT_MODE_PER_FILE);
  const absl::StatusOr<std::string> mounts = guest().Check(absl::StrCat("grep ", kMountPoint, " /proc/mounts"));
  ASSERT_OK(StatusOf(mounts));
  EXPECT_TRUE(absl::StrContains(*mounts, "dax=inode")) << *mounts;
}

TEST_F(LinuxTest, NoOptionFollowsThePolicyFileByFile) {
  ASSERT_OK(Mount(""));
  for (const TestFile& file : kFiles) {
    ASSERT_OK(Read(file));
    ExpectDax(file, DaxBySize(file));
    ExpectTold(file, DaxBySize(file));
  }
  EXPECT_EQ(MountMode(), v1::MOUNT_MODE_PER_FILE);
  const absl::StatusOr<std::string> mounts = guest().Check(absl::StrCat("grep ", kMountPoint, " /proc/mounts"));
  ASSERT_OK(StatusOf(mounts));
  EXPECT_FALSE(absl::StrContains(*mounts, "dax=")) << *mounts;
}

// Stats and listings between the uses of a file carry attributes too. One reply among them without FUSE_ATTR_DAX would
// have the guest drop the inode at its last close, and its mappings with it.
TEST_F(LinuxTest, StatsAndListingsLeaveMappedFilesMapped) {
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(Read(kLargeFile));
  const absl::StatusOr<FileView> before = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(before));
  ASSERT_OK(StatusOf(guest().Check(absl::StrCat("ls -l ", kMountPoint))));
  ASSERT_OK(WaitForFreshAttributes(kLargeFile.name, 0640));
  ASSERT_OK(StatusOf(guest().Check(absl::StrCat("ls -l ", kMountPoint))));
  ASSERT_OK(WaitForFreshAttributes(kLargeFile.name, 0644));
  ASSERT_OK(Read(kLargeFile));
  const absl::StatusOr<FileView> after = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(after));
  EXPECT_EQ(after->host.node_id(), before->host.node_id());
  EXPECT_EQ(after->host.setup_mappings(), before->host.setup_mappings());
  ExpectDax(kLargeFile, true);
}

// The same for GETATTR, which Linux sends for an open file alone: a path brings a LOOKUP.
TEST_F(LinuxTest, GetattrOfAnOpenFileLeavesItMapped) {
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(Read(kLargeFile));
  const absl::StatusOr<FileView> before = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(before));
  ASSERT_OK(Hold(kLargeFile.name));
  const std::string ask =
      "n=$(grep -c mode= /tmp/held); echo statx >&4; "
      "until [ $(grep -c mode= /tmp/held) -gt $n ]; do usleep 10000; done; tail -n 1 /tmp/held";
  ASSERT_OK(WaitForFreshAttributes(kLargeFile.name, 0640, ask));
  ASSERT_OK(LetGo());
  // The last close is past. An inode that went with it took its mappings along.
  const absl::StatusOr<v1::Window> closed = WindowOf(*machine_, kTag);
  ASSERT_OK(StatusOf(closed));
  EXPECT_EQ(closed->mapped_chunks(), Chunks(kLargeFile.size));
  ASSERT_OK(Read(kLargeFile));
  const absl::StatusOr<FileView> after = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(after));
  EXPECT_EQ(after->host.node_id(), before->host.node_id());
  EXPECT_EQ(after->host.setup_mappings(), before->host.setup_mappings());
  ExpectDax(kLargeFile, true);
  chmod(HostPath(kLargeFile.name).c_str(), 0644);
}

// protocol: an open file keeps its state; a change is noticed by a request after the attribute timeout, and is in force
// on the use after the last close.
TEST_F(LinuxTest, FlipIsNotSeenByAnOpenFileAndIsInForceAfterItsLastClose) {
  ASSERT_OK(Mount("dax=inode"));
  const std::string path = GuestPath(kLargeFile.name);
  ASSERT_OK(StatusOf(guest().Check(absl::StrCat("exec 3<", path, "; dd bs=4096 count=1 <&3 2>/dev/null | wc -c"))));
  const absl::StatusOr<FileView> open = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(open));
  EXPECT_TRUE(open->host.open());
  EXPECT_TRUE(open->host.told_dax());
  EXPECT_EQ(open->host.setup_mappings(), 1u);

  const absl::StatusOr<uint64_t> changed = control().SetNamedPolicy("never");
  ASSERT_OK(StatusOf(changed));
  ASSERT_OK(WaitForFreshAttributes(kLargeFile.name, 0640));
  // The guest has noticed. What is open goes on as it was: the rest of the file comes through new mappings.
  ASSERT_OK(StatusOf(guest().Check("cat <&3 >/dev/null")));
  const absl::StatusOr<FileView> noticed = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(noticed));
  EXPECT_TRUE(noticed->guest_dax);
  EXPECT_TRUE(noticed->host.told_dax());
  EXPECT_LT(noticed->host.told_generation(), *changed);
  EXPECT_FALSE(noticed->host.decision_dax());
  EXPECT_EQ(noticed->host.setup_mappings(), Chunks(kLargeFile.size));
  EXPECT_EQ(noticed->host.reads(), 0u);

  ASSERT_OK(StatusOf(guest().Check("exec 3<&-")));
  ASSERT_OK(WaitForDax(*machine_, kLargeFile.name, false));
  ASSERT_OK(Read(kLargeFile));
  const absl::StatusOr<FileView> reopened = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(reopened));
  EXPECT_FALSE(reopened->guest_dax);
  EXPECT_FALSE(reopened->host.told_dax());
  EXPECT_EQ(reopened->host.told_generation(), *changed);
  EXPECT_EQ(reopened->host.mapped_chunks(), 0u);
  EXPECT_GT(reopened->host.reads(), 0u);
  chmod(HostPath(kLargeFile.name).c_str(), 0644);
}

TEST_F(LinuxTest, MountedUnderNeverTheGuestGetsDaxAfterAFlipToAlways) {
  ASSERT_OK(StatusOf(control().SetNamedPolicy("never")));
  ASSERT_OK(Mount("dax=inode"));
  for (const TestFile& file : {kSmallFile, kLargeFile}) {
    ASSERT_OK(Read(file));
    ExpectDax(file, false);
  }
  ASSERT_OK(StatusOf(control().SetNamedPolicy("always")));
  for (const TestFile& file : {kSmallFile, kLargeFile}) {
    ASSERT_OK(WaitForDax(*machine_, file.name, true));
    const absl::StatusOr<FileView> before = Observe(*machine_, file.name);
    ASSERT_OK(StatusOf(before));
    ASSERT_OK(Read(file));
    const absl::StatusOr<FileView> after = Observe(*machine_, file.name);
    ASSERT_OK(StatusOf(after));
    EXPECT_TRUE(after->host.told_dax());
    EXPECT_EQ(after->host.reads(), before->host.reads());
    EXPECT_EQ(after->host.setup_mappings(), Chunks(file.size));
    EXPECT_EQ(after->host.mapped_chunks(), Chunks(file.size));
  }
}

TEST_F(LinuxTest, MountedUnderAlwaysTheGuestLosesDaxAfterAFlipToNever) {
  ASSERT_OK(StatusOf(control().SetNamedPolicy("always")));
  ASSERT_OK(Mount("dax=inode"));
  for (const TestFile& file : {kSmallFile, kLargeFile}) {
    ASSERT_OK(Read(file));
    ExpectDax(file, true);
  }
  ASSERT_OK(StatusOf(control().SetNamedPolicy("never")));
  for (const TestFile& file : {kSmallFile, kLargeFile}) {
    ASSERT_OK(WaitForDax(*machine_, file.name, false));
    ASSERT_OK(Read(file));
    const absl::StatusOr<FileView> after = Observe(*machine_, file.name);
    ASSERT_OK(StatusOf(after));
    EXPECT_FALSE(after->host.told_dax());
    EXPECT_GT(after->host.reads(), 0u);
    EXPECT_EQ(after->host.mapped_chunks(), 0u);
  }
}

TEST_F(LinuxTest, StoreThroughAMappingReachesTheHostFileWithoutAWriteRequest) {
  ASSERT_OK(WriteFile(HostPath("stored"), 1 << 20));
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(
      StatusOf(guest().Check(absl::StrCat("daxtool mmap-write ", GuestPath("stored"), " 700000 from-the-guest"))));
  UniqueFd fd(open(HostPath("stored").c_str(), O_RDONLY | O_CLOEXEC));
  char text[14] = {};
  ASSERT_EQ(pread(fd.get(), text, 14, 700000), 14);
  EXPECT_EQ(std::string(text, 14), "from-the-guest");
  const absl::StatusOr<FileView> view = Observe(*machine_, "stored");
  ASSERT_OK(StatusOf(view));
  EXPECT_TRUE(view->guest_dax);
  EXPECT_GT(view->host.setup_mappings(), 0u);
  EXPECT_EQ(view->host.writes(), 0u);
  EXPECT_EQ(view->host.reads(), 0u);
}

TEST_F(LinuxTest, HostStoresShowThroughAMappingThatTheGuestHolds) {
  ASSERT_OK(WriteFile(HostPath("watched"), 64 << 10));
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(Hold("watched"));
  UniqueFd fd(open(HostPath("watched").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(pwrite(fd.get(), "\xff", 1, 40000), 1);
  const absl::StatusOr<std::string> sums = guest().Check(
      "echo sum >&4; until [ $(grep -c sum= /tmp/held) = 2 ]; do usleep 10000; done; grep sum= /tmp/held | uniq | wc "
      "-l");
  ASSERT_OK(StatusOf(sums));
  EXPECT_EQ(*sums, "2") << "the second sum is that of the old bytes";
  const absl::StatusOr<FileView> view = Observe(*machine_, "watched");
  ASSERT_OK(StatusOf(view));
  EXPECT_TRUE(view->host.open());
  EXPECT_EQ(view->host.reads(), 0u);
}

}  // namespace
}  // namespace daxvmm::linux_test
