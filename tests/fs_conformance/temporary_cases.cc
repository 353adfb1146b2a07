// Files without a name: O_TMPFILE, and files that have lost theirs.
#include <linux/falloc.h>
#include <sys/stat.h>

#include <cerrno>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {
namespace {

// A file without a name, closed at the end of its scope.
class Temporary {
 public:
  Temporary(Volume& v, const std::string& directory, int flags, mode_t mode = 0644) : v_(v) {
    EXPECT_EQ(v.OpenTemporary(directory, flags, mode, &fd_), 0);
  }
  ~Temporary() {
    if (fd_ < 0) return;
    EXPECT_EQ(v_.Close(fd_), 0);
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  bool ok() const { return fd_ >= 0; }
  int fd() const { return fd_; }

 private:
  Volume& v_;
  int fd_ = -1;
};

}  // namespace

std::vector<Case> TemporaryCases() {
  return {
      {"TemporaryFileHasNoName",
       [](Volume& v) {
         MakeDirectory(v, "d");
         const Temporary file(v, "d", O_RDWR, 0640);
         ASSERT_TRUE(file.ok());
         Attributes a;
         ASSERT_EQ(v.FStat(file.fd(), &a), 0);
         EXPECT_EQ(a.nlink, 0u);
         EXPECT_EQ(a.mode, S_IFREG | mode_t{0640});
         std::vector<DirEntry> entries;
         ASSERT_EQ(v.List("d", {}, &entries), 0);
         EXPECT_EQ(entries.size(), 2u);
         EXPECT_EQ(v.RmDir("d"), 0);
       }},
      {"TemporaryFileReadsAndWrites",
       [](Volume& v) {
         const Temporary file(v, "", O_RDWR);
         ASSERT_TRUE(file.ok());
         WriteAt(v, file.fd(), 0, "0123456789");
         ASSERT_EQ(v.FTruncate(file.fd(), 4), 0);
         EXPECT_EQ(ReadAt(v, file.fd(), 0, 10), "0123");
       }},
      {"TemporaryFileIsLinkedIn",
       [](Volume& v) {
         MakeDirectory(v, "d");
         MakeDirectory(v, "e");
         {
           const Temporary file(v, "d", O_RDWR);
           ASSERT_TRUE(file.ok());
           WriteAt(v, file.fd(), 0, "text");
           ASSERT_EQ(v.LinkOpen(file.fd(), "e/f"), 0);
           Attributes a;
           ASSERT_EQ(v.FStat(file.fd(), &a), 0);
           EXPECT_EQ(a.nlink, 1u);
           EXPECT_EQ(a.ino, AttributesOf(v, "e/f").ino);
         }
         EXPECT_EQ(Content(v, "e/f"), "text");
       }},
      {"TemporaryFileLinkedOntoExistingIsEexist",
       [](Volume& v) {
         Put(v, "f", "old");
         const Temporary file(v, "", O_RDWR);
         ASSERT_TRUE(file.ok());
         EXPECT_EQ(v.LinkOpen(file.fd(), "f"), EEXIST);
         EXPECT_EQ(Content(v, "f"), "old");
       }},
      {"TemporaryFileWithExclIsNotLinkedIn",
       [](Volume& v) {
         const Temporary file(v, "", O_RDWR | O_EXCL);
         ASSERT_TRUE(file.ok());
         EXPECT_EQ(v.LinkOpen(file.fd(), "f"), ENOENT);
       }},
      {"TemporaryFileForWritingOnly",
       [](Volume& v) {
         const Temporary file(v, "", O_WRONLY);
         ASSERT_TRUE(file.ok());
         WriteAt(v, file.fd(), 0, "x");
         std::string data;
         EXPECT_EQ(v.Read(file.fd(), 0, 1, &data), EBADF);
       }},
      {"TemporaryFileForReadingIsEinval",
       [](Volume& v) {
         int fd = -1;
         EXPECT_EQ(v.OpenTemporary("", O_RDONLY, 0644, &fd), EINVAL);
       },
       kKernel},
      {"TemporaryFileInAFileIsEnotdir",
       [](Volume& v) {
         Put(v, "f");
         int fd = -1;
         EXPECT_EQ(v.OpenTemporary("f", O_RDWR, 0644, &fd), ENOTDIR);
       }},
      {"TemporaryFileInMissingIsEnoent",
       [](Volume& v) {
         int fd = -1;
         EXPECT_EQ(v.OpenTemporary("none", O_RDWR, 0644, &fd), ENOENT);
       }},
      {"TemporaryFileInAnothersDirectoryIsEacces",
       [](Volume& v) {
         MakeDirectory(v, "d");
         const Acting acting(v);
         int fd = -1;
         EXPECT_EQ(v.OpenTemporary("d", O_RDWR, 0644, &fd), EACCES);
       },
       kKernel},
      {"TemporaryFileTakesXattrsModeAndOwner",
       [](Volume& v) {
         const Temporary file(v, "", O_RDWR);
         ASSERT_TRUE(file.ok());
         ASSERT_EQ(v.FSetXattr(file.fd(), "user.x", "1", 0), 0);
         ASSERT_EQ(v.FChown(file.fd(), 11, 22), 0);
         ASSERT_EQ(v.FChmod(file.fd(), 04711), 0);
         ASSERT_EQ(v.LinkOpen(file.fd(), "f"), 0);
         EXPECT_EQ(ModeOf(v, "f"), mode_t{04711});
         EXPECT_EQ(AttributesOf(v, "f").uid, 11u);
         std::string value;
         EXPECT_EQ(v.GetXattr("f", "user.x", &value), 0);
       }},
      {"ManyTemporaryFilesAtOnce",
       [](Volume& v) {
         std::vector<int> fds;
         for (int i = 0; i < 50; ++i) {
           int fd = -1;
           ASSERT_EQ(v.OpenTemporary("", O_RDWR, 0600, &fd), 0);
           fds.push_back(fd);
           WriteAt(v, fd, 0, std::to_string(i));
         }
         for (int i = 0; i < 50; ++i) {
           EXPECT_EQ(ReadAt(v, fds[static_cast<size_t>(i)], 0, 10), std::to_string(i));
           EXPECT_EQ(v.Close(fds[static_cast<size_t>(i)]), 0);
         }
       }},
      {"AnUnlinkedFileTakesChmodChownAndFallocate",
       [](Volume& v) {
         const File file(v, "f", O_CREAT | O_RDWR);
         ASSERT_EQ(v.Unlink("f"), 0);
         ASSERT_EQ(v.FChmod(file.fd(), 0600), 0);
         ASSERT_EQ(v.FChown(file.fd(), 11, 22), 0);
         ASSERT_EQ(v.Fallocate(file.fd(), 0, 0, 8192), 0);
         EXPECT_EQ(v.Fsync(file.fd(), false), 0);
         Attributes a;
         ASSERT_EQ(v.FStat(file.fd(), &a), 0);
         EXPECT_EQ(a.mode & 07777, mode_t{0600});
         EXPECT_EQ(a.gid, 22u);
         EXPECT_EQ(a.size, 8192u);
       }},
      {"AnUnlinkedFileIsCopiedFromAndTo",
       [](Volume& v) {
         const File from(v, "a", O_CREAT | O_RDWR), to(v, "b", O_CREAT | O_RDWR);
         WriteAt(v, from.fd(), 0, "0123456789");
         ASSERT_EQ(v.Unlink("a"), 0);
         ASSERT_EQ(v.Unlink("b"), 0);
         size_t n = 0;
         ASSERT_EQ(v.CopyRange(from.fd(), 2, to.fd(), 0, 5, &n), 0);
         EXPECT_EQ(ReadAt(v, to.fd(), 0, 10), "23456");
       }},
      {"AnUnlinkedFileKeepsItsInodeNumberFromNewFiles",
       [](Volume& v) {
         const File file(v, "f", O_CREAT | O_RDWR);
         Attributes a;
         ASSERT_EQ(v.FStat(file.fd(), &a), 0);
         ASSERT_EQ(v.Unlink("f"), 0);
         for (int i = 0; i < 50; ++i) {
           Put(v, "n" + std::to_string(i));
           EXPECT_NE(AttributesOf(v, "n" + std::to_string(i)).ino, a.ino);
         }
       }},
      {"AFileMadeAfterAnUnlinkIsNotTheOldOne",
       [](Volume& v) {
         // The file system may give the new one the old one's inode number.
         for (int i = 0; i < 50; ++i) {
           Put(v, "f", std::to_string(i));
           EXPECT_EQ(Content(v, "f"), std::to_string(i));
           EXPECT_EQ(AttributesOf(v, "f").nlink, 1u);
           ASSERT_EQ(v.Unlink("f"), 0);
           ASSERT_FALSE(Exists(v, "f"));
         }
       }},
  };
}

}  // namespace daxvmm::conformance
