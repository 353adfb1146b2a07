#include "devices/virtio_fs/fs/credentials.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <future>
#include <string>
#include <thread>

#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace daxvmm::fs {
namespace {

HostIdentity Caller(uid_t uid, gid_t gid) { return {.uid = uid, .gid = gid, .group = {}}; }

class CredentialsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    dir_ = testing::TempDir() + "/credentials.XXXXXX";
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
    // The sandbox of a build may know one user only.
    if (chown(dir_.c_str(), 12345, 23456) != 0) GTEST_SKIP() << "needs a user namespace with more than one user";
    ASSERT_EQ(chmod(dir_.c_str(), 0755), 0);
  }
  void TearDown() override {
    if (dir_.empty()) return;
    EXPECT_EQ(system(("rm -rf " + dir_).c_str()), 0);
  }
  struct stat Make(const std::string& name, mode_t mode) {
    const UniqueFd fd(open((dir_ + "/" + name).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode));
    EXPECT_TRUE(fd.valid()) << strerror(errno);
    struct stat st = {};
    fstat(fd.get(), &st);
    return st;
  }
  std::string dir_;
};

TEST_F(CredentialsTest, FilesBelongToTheCallerAndTheThreadIsRootAgain) {
  {
    const ScopedCredentials as(Caller(1234, 2345));
    ASSERT_TRUE(as.error().ok()) << as.error().value();
    const struct stat st = Make("file", 0644);
    EXPECT_EQ(st.st_uid, 1234u);
    EXPECT_EQ(st.st_gid, 2345u);
  }
  EXPECT_EQ(geteuid(), 0u);
  EXPECT_EQ(getegid(), 0u);
  EXPECT_EQ(Make("root", 0644).st_uid, 0u);
}

TEST_F(CredentialsTest, OnlyTheCallingThreadChanges) {
  std::promise<void> assumed, looked;
  std::thread request([&] {
    const ScopedCredentials as(Caller(1234, 2345));
    EXPECT_EQ(geteuid(), 1234u);
    assumed.set_value();
    looked.get_future().wait();
  });
  assumed.get_future().wait();
  EXPECT_EQ(geteuid(), 0u);
  looked.set_value();
  request.join();
}

TEST_F(CredentialsTest, NoSupplementaryGroupOfTheServerIsUsed) {
  // A thread of its own: the groups of the test's main thread stay.
  std::thread([this] {
    const gid_t groups[] = {5555};
    ASSERT_EQ(syscall(SYS_setgroups, 1, groups), 0);
    // CVE-2022-0358: a set-group-id directory of a group that the caller is not in, but the server is.
    ASSERT_EQ(chown(dir_.c_str(), 0, 5555), 0);
    ASSERT_EQ(chmod(dir_.c_str(), 02777), 0);
    {
      const ScopedCredentials as(Caller(1234, 2345));
      ASSERT_TRUE(as.error().ok());
      EXPECT_EQ(getgroups(0, nullptr), 0);
      const struct stat st = Make("sgid", 02755);
      EXPECT_EQ(st.st_gid, 5555u);
      EXPECT_EQ(st.st_mode & S_ISGID, 0u);
    }
    EXPECT_EQ(getgroups(0, nullptr), 1);
  }).join();
}

TEST_F(CredentialsTest, TheGuestDecidedWhoMayAndTheHostDoesNotContradict) {
  ASSERT_EQ(chown(dir_.c_str(), 0, 5555), 0);
  ASSERT_EQ(chmod(dir_.c_str(), 0770), 0);  // the caller is in 5555 by a supplementary group that only the guest knows
  const ScopedCredentials as(Caller(1234, 2345));
  ASSERT_TRUE(as.error().ok());
  EXPECT_EQ(Make("file", 0644).st_uid, 1234u);
}

TEST_F(CredentialsTest, MinusOneIsNotRoot) {
  EXPECT_EQ(ScopedCredentials(Caller(static_cast<uid_t>(-1), 1)).error(), fuse::Errno(EINVAL));
  EXPECT_EQ(ScopedCredentials(Caller(1, static_cast<gid_t>(-1))).error(), fuse::Errno(EINVAL));
  EXPECT_EQ(geteuid(), 0u);
}

TEST_F(CredentialsTest, KillPrivClearsSetIdBitsOnWrite) {
  const std::string path = dir_ + "/suid";
  for (const bool drop : {false, true}) {
    const UniqueFd fd(open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0755));
    ASSERT_EQ(fchmod(fd.get(), 06755), 0);
    {
      const ScopedKillPriv kill(drop);
      ASSERT_EQ(pwrite(fd.get(), "x", 1, 0), 1);
    }
    struct stat st;
    ASSERT_EQ(fstat(fd.get(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, drop ? 0755u : 06755u);
  }
}

TEST_F(CredentialsTest, KillPrivLeavesNothingThatOverridesQuotas) {
  const auto overrides = [] {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    EXPECT_EQ(syscall(SYS_capget, &header, data), 0);
    return (data[0].effective >> CAP_SYS_RESOURCE & 1) != 0;
  };
  if (!overrides()) GTEST_SKIP() << "has no such power";
  {
    const ScopedKillPriv kill(true);
    EXPECT_FALSE(overrides());
  }
  EXPECT_TRUE(overrides());
}

TEST_F(CredentialsTest, ASetGroupIdBitWithoutExecutionStaysForAMemberOfTheFilesGroupOnly) {
  const std::string path = dir_ + "/sgid";
  for (const gid_t group : {gid_t{0}, gid_t{2345}}) {
    for (const gid_t caller : {gid_t{0}, gid_t{2345}, gid_t{3456}}) {
      const UniqueFd fd(open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0755));
      ASSERT_EQ(fchown(fd.get(), 1234, group), 0);
      ASSERT_EQ(fchmod(fd.get(), 02666), 0);
      {
        const ScopedKillPriv kill(true, fd.get(), caller);
        ASSERT_EQ(pwrite(fd.get(), "x", 1, 0), 1);
      }
      EXPECT_EQ(getegid(), 0u);
      struct stat st;
      ASSERT_EQ(fstat(fd.get(), &st), 0);
      EXPECT_EQ(st.st_mode & 07777, caller == group ? 02666u : 0666u) << group << " " << caller;
    }
  }
}

TEST_F(CredentialsTest, UmaskIsTheThreadsOwn) {
  const mode_t before = umask(077);
  std::thread([this] {
    {
      const ScopedUmask none(0);
      EXPECT_EQ(Make("open", 0666).st_mode & 0777, 0666u);
    }
    EXPECT_EQ(Make("closed", 0666).st_mode & 0777, 0600u);
  }).join();
  EXPECT_EQ(umask(before), 077u);
}

}  // namespace
}  // namespace daxvmm::fs
