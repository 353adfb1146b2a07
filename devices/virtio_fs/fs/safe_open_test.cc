#include "devices/virtio_fs/fs/safe_open.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;

class SafeOpenTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string text = testing::TempDir() + "/safe_open.XXXXXX";
    ASSERT_NE(mkdtemp(text.data()), nullptr);
    top_ = text;
    ASSERT_EQ(mkdir((top_ + "/share").c_str(), 0755), 0);
    WriteFile("outside", "secret");
    auto root = OpenShareRoot(top_ + "/share");
    ASSERT_TRUE(root.ok()) << root.status();
    root_ = *std::move(root);
  }
  void TearDown() override { EXPECT_EQ(system(("rm -rf " + top_).c_str()), 0); }

  void WriteFile(const std::string& name, const std::string& text) {
    const UniqueFd fd(open((top_ + "/" + name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    ASSERT_EQ(write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  std::string top_;
  UniqueFd root_;
};

TEST_F(SafeOpenTest, MissingRootAndFileAsRootAreErrors) {
  EXPECT_EQ(OpenShareRoot(top_ + "/none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(OpenShareRoot(top_ + "/outside").ok());
}

TEST_F(SafeOpenTest, NamesThatAreNotOneComponentAreRefused) {
  for (const std::string& name : {std::string(""), std::string("."), std::string(".."), std::string("../outside"),
                                  std::string("/etc"), std::string("a\0b", 3), std::string(256, 'x')}) {
    EXPECT_FALSE(IsPlainName(name));
    EXPECT_EQ(OpenChild(root_.get(), name).error(), Errno(EINVAL)) << name;
    EXPECT_EQ(CreateFile(root_.get(), name, O_RDWR, 0644).error(), Errno(EINVAL)) << name;
  }
  EXPECT_TRUE(IsPlainName("..."));
  EXPECT_TRUE(IsPlainName(std::string(255, 'x')));
}

TEST_F(SafeOpenTest, ASymbolicLinkIsHeldItselfAndNeverOpened) {
  ASSERT_EQ(symlink("../outside", (top_ + "/share/link").c_str()), 0);
  auto link = OpenChild(root_.get(), "link");
  ASSERT_TRUE(link.ok());
  struct stat st;
  ASSERT_EQ(fstat((*link).get(), &st), 0);
  EXPECT_TRUE(S_ISLNK(st.st_mode));
  EXPECT_EQ(Reopen((*link).get(), S_IFREG, O_RDONLY).error(), Errno(ELOOP));
  // A link as a directory: the walk stops at it.
  EXPECT_FALSE(OpenChild((*link).get(), "x").ok());
}

TEST_F(SafeOpenTest, CreateFileFollowsNoDanglingLink) {
  ASSERT_EQ(symlink("../made_outside", (top_ + "/share/dangling").c_str()), 0);
  EXPECT_EQ(CreateFile(root_.get(), "dangling", O_RDWR, 0644).error(), Errno(EEXIST));
  EXPECT_NE(access((top_ + "/made_outside").c_str(), F_OK), 0);
}

TEST_F(SafeOpenTest, FifosAndDevicesAreNotOpened) {
  ASSERT_EQ(mkfifo((top_ + "/share/fifo").c_str(), 0644), 0);
  auto fifo = OpenChild(root_.get(), "fifo");
  ASSERT_TRUE(fifo.ok());
  EXPECT_EQ(Reopen((*fifo).get(), S_IFREG, O_RDONLY).error(), Errno(ENXIO));  // would block if it were opened
}

TEST_F(SafeOpenTest, ReopenChecksTypeAndStripsFlags) {
  WriteFile("share/file", "text");
  auto file = OpenChild(root_.get(), "file");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(Reopen((*file).get(), S_IFDIR, O_RDONLY).error(), Errno(ENOTDIR));
  EXPECT_EQ(Reopen(root_.get(), S_IFREG, O_RDONLY).error(), Errno(EISDIR));
  EXPECT_EQ(Reopen((*file).get(), S_IFREG, O_ACCMODE).error(), Errno(EINVAL));
  auto fd = Reopen((*file).get(), S_IFREG, O_RDWR | O_DIRECT | O_APPEND | O_CREAT | O_EXCL | O_DIRECTORY);
  ASSERT_TRUE(fd.ok()) << fd.error().value();
  const int flags = fcntl((*fd).get(), F_GETFL);
  EXPECT_EQ(flags & O_ACCMODE, O_RDWR);
  EXPECT_EQ(flags & (O_DIRECT | O_APPEND), 0);
  EXPECT_EQ(fcntl((*fd).get(), F_GETFD), FD_CLOEXEC);
  // The inode, not the name.
  ASSERT_EQ(unlink((top_ + "/share/file").c_str()), 0);
  EXPECT_TRUE(Reopen((*file).get(), S_IFREG, O_RDONLY).ok());
}

// Somebody on the host swaps a directory for a link that leads out while names below it are opened.
TEST_F(SafeOpenTest, SwappedLinksDoNotEscape) {
  const std::string share = top_ + "/share/";
  WriteFile("outside2", "secret");
  ASSERT_EQ(symlink("../outside2", (share + "link").c_str()), 0);
  WriteFile("share/plain", "inside");
  std::atomic<bool> stop{false};
  std::thread swapper([&] {
    while (!stop.load()) {
      renameat2(AT_FDCWD, (share + "link").c_str(), AT_FDCWD, (share + "plain").c_str(), RENAME_EXCHANGE);
    }
  });
  int links = 0, files = 0;
  for (int i = 0; i < 20000; ++i) {
    auto fd = OpenChild(root_.get(), "plain");
    ASSERT_TRUE(fd.ok());
    auto io = Reopen((*fd).get(), S_IFREG, O_RDONLY);
    if (!io.ok()) {
      ASSERT_EQ(io.error(), Errno(ELOOP));
      ++links;
      continue;
    }
    char text[6];
    ASSERT_EQ(read((*io).get(), text, sizeof(text)), 6);
    ASSERT_EQ(std::string(text, 6), "inside");
    ++files;
  }
  stop = true;
  swapper.join();
  EXPECT_GT(files, 0);
  EXPECT_GT(links, 0) << "the swap was never seen: the test proved nothing";
}

}  // namespace
}  // namespace daxvmm::fs
