// The passthrough file system on an ext4 without room: errors come where ext4 gives them, and what was stored stays.
// Runs on such an ext4 itself, too, which shows that the expectations are true.
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>

#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "gtest/gtest.h"
#include "tests/fs_conformance/case_helpers.h"
#include "tests/fs_conformance/ext4_image.h"
#include "tests/fs_conformance/fuse_volume.h"
#include "tests/fs_conformance/host_volume.h"
#include "tests/fs_conformance/subject.h"

namespace daxvmm::conformance {
namespace {

constexpr size_t kBlock = 1024;

class FullFsTest : public testing::TestWithParam<Subject> {
 protected:
  // Makes the volume v() of 16 MiB.
  void Make(const std::string& mkfs_options) {
    std::string why_not;
    image_ = Ext4Image::Create(testing::TempDir(), 16, "-b 1024 " + mkfs_options, &why_not);
    if (image_ == nullptr) GTEST_SKIP() << why_not;
    if (GetParam() == Subject::kReference) {
      volume_ = MakeHostVolume(image_->path());
      return;
    }
    auto fs = fs::PassthroughFs::Create(fs::ShareOptions{.path = image_->path()}, nullptr);
    ASSERT_TRUE(fs.ok()) << fs.status();
    fs_ = *std::move(fs);
    const uint64_t flags = fs_->optional_init_flags() | FUSE_HANDLE_KILLPRIV_V2;
    fs_->Init(flags);
    volume_ = MakeFuseVolume(fs_.get(), flags);
  }
  void TearDown() override {
    volume_.reset();
    if (fs_ == nullptr) return;
    EXPECT_EQ(fs_->node_count(), 1u);
    EXPECT_EQ(fs_->handle_count(), 0u);
    fs_->Destroy();
    fs_.reset();
  }
  Volume& v() { return *volume_; }

  // Writes blocks behind each other until that fails. Returns the number of bytes that were taken.
  uint64_t WriteUntilFull(int fd) {
    const std::string block = Bytes('b', kBlock);
    for (uint64_t size = 0;;) {
      size_t n = 0;
      const int error = v().Write(fd, size, block, &n);
      size += n;
      if (error != 0) {
        EXPECT_EQ(error, ENOSPC);
        return size;
      }
    }
  }

 private:
  std::unique_ptr<Ext4Image> image_;
  std::unique_ptr<fs::PassthroughFs> fs_;
  std::unique_ptr<Volume> volume_;
};

TEST_P(FullFsTest, WithoutBlocksNothingIsLost) {
  Make("-m 0");
  if (IsSkipped() || HasFailure()) return;
  Put(v(), "kept", "before");
  Put(v(), "spare", Bytes('s', 64 * kBlock));
  ASSERT_EQ(v().SetXattr("kept", "user.small", "1", 0), 0);
  ASSERT_EQ(v().Sync(), 0);
  const File big(v(), "big", O_CREAT | O_RDWR);
  const uint64_t size = WriteUntilFull(big.fd());
  EXPECT_GT(size, 1u << 20);
  EXPECT_EQ(v().Fsync(big.fd(), false), 0);
  Attributes a;
  ASSERT_EQ(v().FStat(big.fd(), &a), 0);
  EXPECT_EQ(a.size, size);
  EXPECT_EQ(ReadAt(v(), big.fd(), size - kBlock, kBlock), Bytes('b', kBlock));

  EXPECT_EQ(v().MkDir("d", 0755), ENOSPC);
  EXPECT_FALSE(Exists(v(), "d"));
  EXPECT_EQ(v().SymLink(std::string(300, 't'), "long"), ENOSPC);
  EXPECT_FALSE(Exists(v(), "long"));
  EXPECT_EQ(v().SymLink("short", "link"), 0);  // lies in the inode
  EXPECT_EQ(v().SetXattr("kept", "user.small", Bytes('x', 600), 0), ENOSPC);
  std::string value;
  EXPECT_EQ(v().GetXattr("kept", "user.small", &value), 0);
  EXPECT_EQ(value, "1");
  EXPECT_EQ(v().Fallocate(big.fd(), 0, size, 1 << 20), ENOSPC);
  EXPECT_EQ(Content(v(), "kept"), "before");
  WriteAt(v(), big.fd(), 0, "over");  // what has its blocks can be changed

  ASSERT_EQ(v().Unlink("spare"), 0);
  ASSERT_EQ(v().Sync(), 0);
  EXPECT_EQ(v().MkDir("d", 0755), 0);
}

TEST_P(FullFsTest, WithoutInodesNoNameIsMade) {
  Make("-m 0 -N 16");
  if (IsSkipped() || HasFailure()) return;
  int made = 0, error = 0;
  while (error == 0 && made < 1000) {
    int fd = -1;
    error = v().Open("f" + std::to_string(made), O_CREAT | O_EXCL | O_WRONLY, 0644, &fd);
    if (error != 0) break;
    ++made;
    ASSERT_EQ(v().Close(fd), 0);
  }
  EXPECT_EQ(error, ENOSPC);
  ASSERT_GT(made, 1);
  int fd = -1;
  EXPECT_EQ(v().MkDir("new", 0755), ENOSPC);
  EXPECT_EQ(v().MkNod("new", S_IFIFO | 0644, 0, 0), ENOSPC);
  EXPECT_EQ(v().SymLink("x", "new"), ENOSPC);
  EXPECT_EQ(v().OpenTemporary("", O_RDWR, 0644, &fd), ENOSPC);
  EXPECT_FALSE(Exists(v(), "new"));
  EXPECT_EQ(v().Link("f0", "link"), 0);
  EXPECT_EQ(v().Rename("f1", "moved", 0), 0);
  ASSERT_EQ(v().Unlink("moved"), 0);
  EXPECT_EQ(v().MkNod("new", S_IFIFO | 0644, 0, 0), 0);
}

TEST_P(FullFsTest, BlocksReservedForRootAreNotForANameOfAnOrdinaryUser) {
  Make("-m 20");
  if (IsSkipped() || HasFailure()) return;
  MakeDirectory(v(), "d", 0777);
  {
    // Root's own write, to leave nothing but a part of what is reserved.
    Capacity capacity;
    ASSERT_EQ(v().StatFs(&capacity), 0);
    const File big(v(), "big", O_CREAT | O_RDWR);
    ASSERT_EQ(v().Fallocate(big.fd(), 0, 0, (capacity.available_blocks + 200) * capacity.block_size), 0);
    ASSERT_EQ(v().StatFs(&capacity), 0);
    EXPECT_EQ(capacity.available_blocks, 0u);
    EXPECT_GT(capacity.free_blocks, 0u);
  }
  {
    const Acting user(v());
    EXPECT_EQ(v().MkDir("d/user", 0755), ENOSPC);
    EXPECT_EQ(v().SymLink(std::string(300, 't'), "d/long"), ENOSPC);
  }
  EXPECT_EQ(v().MkDir("d/root", 0755), 0);
}

INSTANTIATE_TEST_SUITE_P(Subjects, FullFsTest, testing::Values(Subject::kInProcess, Subject::kReference),
                         [](const auto& info) {
                           return std::string(info.param == Subject::kReference ? "Ext4" : "InProcess");
                         });

}  // namespace
}  // namespace daxvmm::conformance
