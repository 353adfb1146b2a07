#include "devices/virtio_fs/fs/dax_hint.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace daxvmm::fs {
namespace {

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
