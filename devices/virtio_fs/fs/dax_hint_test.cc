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

}  // namespace
}  // namespace daxvmm::fs
