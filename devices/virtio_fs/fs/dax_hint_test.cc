#include "devices/virtio_fs/fs/dax_hint.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>

#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;

class DaxHintTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "/dax_hint.XXXXXX";
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
  }
  void TearDown() override { EXPECT_EQ(system(("rm -rf " + dir_).c_str()), 0); }
  std::string Path(const std::string& name) const { return dir_ + "/" + name; }
  UniqueFd File(const std::string& name) const {
    EXPECT_EQ(mknod(Path(name).c_str(), S_IFREG | 0644, 0), 0);
    return UniqueFd(open(Path(name).c_str(), O_PATH | O_CLOEXEC));
  }
  std::string Stored(const std::string& file, const char* name) const {
    char value[16];
    const ssize_t n = getxattr(Path(file).c_str(), name, value, sizeof(value));
    return n < 0 ? "none" : std::string(value, static_cast<size_t>(n));
  }

  std::string dir_;
};

TEST_F(DaxHintTest, KnowsItsNames) {
  EXPECT_TRUE(IsDaxHintName("trusted.daxvmm.dax"));
  EXPECT_TRUE(IsDaxHintName("user.daxvmm.dax"));
  for (const char* name : {"user.daxvmm.da", "user.daxvmm.dax2", "daxvmm.dax", "security.daxvmm.dax", ""}) {
    EXPECT_FALSE(IsDaxHintName(name)) << name;
  }
}

TEST_F(DaxHintTest, TrustedAttributeOutlivesTheStore) {
  const UniqueFd fd = File("f");
  DaxHints hints(DaxHintStore::kTrustedXattr);
  EXPECT_EQ(hints.Get(fd.get(), S_IFREG), DaxHint::kUnset);
  const auto set = hints.Set(fd.get(), S_IFREG, true);
  ASSERT_TRUE(set.ok()) << set.error().value();
  EXPECT_EQ(*set, DaxHint::kSet);
  EXPECT_NE(Stored("f", kTrustedDaxHintName), "none");
  EXPECT_EQ(DaxHints(DaxHintStore::kTrustedXattr).Get(fd.get(), S_IFREG), DaxHint::kSet);
  ASSERT_TRUE(hints.Set(fd.get(), S_IFREG, false).ok());
  EXPECT_EQ(DaxHints(DaxHintStore::kTrustedXattr).Get(fd.get(), S_IFREG), DaxHint::kUnset);
}

TEST_F(DaxHintTest, MemoryIsBoundedAndSaysSo) {
  const UniqueFd a = File("a"), b = File("b");
  DaxHints hints(DaxHintStore::kMemory, /*max_in_memory=*/1);
  EXPECT_EQ(*hints.Set(a.get(), S_IFREG, true), DaxHint::kSetInMemory);
  EXPECT_EQ(hints.in_memory(), 1u);
  EXPECT_EQ(hints.Set(b.get(), S_IFREG, true).error(), Errno(ENOSPC));
  EXPECT_EQ(hints.Get(b.get(), S_IFREG), DaxHint::kUnset);
  ASSERT_TRUE(hints.Set(a.get(), S_IFREG, true).ok()) << "what is there takes no more room";
  ASSERT_TRUE(hints.Set(a.get(), S_IFREG, false).ok());
  EXPECT_EQ(hints.in_memory(), 0u);
  EXPECT_EQ(*hints.Set(b.get(), S_IFREG, true), DaxHint::kSetInMemory);
  EXPECT_EQ(DaxHints(DaxHintStore::kMemory).Get(b.get(), S_IFREG), DaxHint::kUnset) << "gone with the device";
}

TEST_F(DaxHintTest, UserAttributeIsOneOfTheUsers) {
  const UniqueFd fd = File("f");
  DaxHints hints(DaxHintStore::kUserXattr);
  ASSERT_TRUE(hints.Set(fd.get(), S_IFREG, true).ok());
  EXPECT_EQ(Stored("f", kUserDaxHintName), "1");
  EXPECT_EQ(Stored("f", kTrustedDaxHintName), "none");
}

TEST_F(DaxHintTest, AutoTakesTheFirstStoreThatWorksAndFindsAHintInAny) {
  const UniqueFd a = File("a"), b = File("b");
  DaxHints hints(DaxHintStore::kAuto);
  EXPECT_EQ(hints.Get(a.get(), S_IFREG), DaxHint::kUnset);
  ASSERT_TRUE(hints.Set(a.get(), S_IFREG, true).ok());
  EXPECT_EQ(Stored("a", geteuid() == 0 ? kTrustedDaxHintName : kUserDaxHintName), "1");
  ASSERT_TRUE(hints.Set(a.get(), S_IFREG, false).ok());
  EXPECT_EQ(Stored("a", kTrustedDaxHintName), "none");
  EXPECT_EQ(hints.Get(a.get(), S_IFREG), DaxHint::kUnset);
  // As a server of another user left it.
  ASSERT_EQ(setxattr(Path("b").c_str(), kUserDaxHintName, "1", 1, 0), 0);
  EXPECT_EQ(hints.Get(b.get(), S_IFREG), DaxHint::kSet);
  ASSERT_TRUE(hints.Set(b.get(), S_IFREG, false).ok());
  EXPECT_EQ(Stored("b", kUserDaxHintName), "none");
}

TEST_F(DaxHintTest, TheHostsFlagCountsUntilTheGuestSaysOtherwise) {
  const UniqueFd fd = File("f");
  if (const Errno error = DaxHints(DaxHintStore::kHostFlag).Set(fd.get(), S_IFREG, true).error(); !error.ok()) {
    GTEST_SKIP() << "the file system of the temporary directory has no such flag";
  }
  EXPECT_EQ(Stored("f", kTrustedDaxHintName), "none");
  const auto flag = [&] { return DaxHints(DaxHintStore::kHostFlag).Get(fd.get(), S_IFREG); };
  EXPECT_EQ(flag(), DaxHint::kSet);
  DaxHints hints(DaxHintStore::kAuto);
  EXPECT_EQ(hints.Get(fd.get(), S_IFREG), DaxHint::kSet);
  EXPECT_EQ(DaxHints(DaxHintStore::kUserXattr).Get(fd.get(), S_IFREG), DaxHint::kUnset) << "a store of its own";

  ASSERT_TRUE(hints.Set(fd.get(), S_IFREG, false).ok());
  EXPECT_EQ(hints.Get(fd.get(), S_IFREG), DaxHint::kUnset);
  EXPECT_EQ(DaxHints(DaxHintStore::kAuto).Get(fd.get(), S_IFREG), DaxHint::kUnset) << "remembered";
  EXPECT_EQ(flag(), DaxHint::kSet) << "the host's flag is not the guest's";

  ASSERT_TRUE(hints.Set(fd.get(), S_IFREG, true).ok());
  EXPECT_EQ(hints.Get(fd.get(), S_IFREG), DaxHint::kSet);
  EXPECT_EQ(Stored("f", kTrustedDaxHintName), "none") << "needs no word of its own again";
}

// On the file system of the temporary directory and on tmpfs.
class DaxHintInMemoryTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    dir_ = (*GetParam() != '\0' ? std::string(GetParam()) : testing::TempDir()) + "/dax_hint.XXXXXX";
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
  }
  void TearDown() override { EXPECT_EQ(system(("rm -rf " + dir_).c_str()), 0); }
  UniqueFd Make() { return UniqueFd(open((dir_ + "/a").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644)); }
  void Remove() { ASSERT_EQ(unlink((dir_ + "/a").c_str()), 0); }

  std::string dir_;
  DaxHints hints_{DaxHintStore::kMemory};
};

INSTANTIATE_TEST_SUITE_P(OnDisk, DaxHintInMemoryTest, testing::Values(""));
INSTANTIATE_TEST_SUITE_P(OnTmpfs, DaxHintInMemoryTest, testing::Values("/dev/shm"));

TEST_P(DaxHintInMemoryTest, StaysWithTheFile) {
  {
    const UniqueFd fd = Make();
    ASSERT_TRUE(hints_.Set(fd.get(), S_IFREG, true).ok());
    EXPECT_EQ(hints_.Get(fd.get(), S_IFREG), DaxHint::kSetInMemory);
  }
  ASSERT_EQ(rename((dir_ + "/a").c_str(), (dir_ + "/b").c_str()), 0);
  ASSERT_EQ(link((dir_ + "/b").c_str(), (dir_ + "/a").c_str()), 0);
  EXPECT_EQ(hints_.Get(Make().get(), S_IFREG), DaxHint::kSetInMemory);
}

// ext4 gives a number out again at once, within one tick of the clock that stamps births; tmpfs counts on.
TEST_P(DaxHintInMemoryTest, IsNotInheritedWithANumber) {
  int reused = 0;
  for (int i = 0; i < 500; ++i) {
    struct statx before, after;  // not the times: whoever asks for them makes the clock finer
    {
      const UniqueFd fd = Make();
      ASSERT_EQ(statx(fd.get(), "", AT_EMPTY_PATH, STATX_INO, &before), 0);
      ASSERT_TRUE(hints_.Set(fd.get(), S_IFREG, true).ok());
    }
    Remove();
    {
      const UniqueFd fd = Make();
      ASSERT_EQ(statx(fd.get(), "", AT_EMPTY_PATH, STATX_INO, &after), 0);
      reused += before.stx_ino == after.stx_ino ? 1 : 0;
      ASSERT_EQ(hints_.Get(fd.get(), S_IFREG), DaxHint::kUnset) << "round " << i;
    }
    Remove();
  }
  if (*GetParam() == '\0') {
    EXPECT_GT(reused, 0);
  }
}

}  // namespace
}  // namespace daxvmm::fs
