// What only a mounted file system has: shared mappings and locks.
#include <linux/falloc.h>
#include <sys/file.h>

#include <cerrno>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {
namespace {

std::string Mapped(Volume& v, int fd, uint64_t offset, size_t size) {
  std::string data;
  EXPECT_EQ(v.MapRead(fd, offset, size, &data), 0);
  return data;
}

}  // namespace

std::vector<Case> MappedCases() {
  return {
      {"MappingShowsWhatWasWritten",
       [](Volume& v) {
         const File file(v, "f", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, Bytes('a', 10'000));
         EXPECT_EQ(Mapped(v, file.fd(), 4096, 5904), Bytes('a', 5904));
         WriteAt(v, file.fd(), 5000, "b");
         EXPECT_EQ(Mapped(v, file.fd(), 4096, 905), Bytes('a', 904) + "b");
       },
       kKernel},
      {"ReadShowsWhatWasStored",
       [](Volume& v) {
         const File file(v, "f", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, Bytes('a', 8192));
         ASSERT_EQ(v.MapWrite(file.fd(), 4096, "stored"), 0);
         EXPECT_EQ(ReadAt(v, file.fd(), 4095, 8), "astoreda");
       },
       kKernel},
      {"StoresReachTheFileByAnotherHandleAfterFsync",
       [](Volume& v) {
         const File file(v, "f", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, Bytes('a', 4096));
         ASSERT_EQ(v.MapWrite(file.fd(), 0, "stored"), 0);
         ASSERT_EQ(v.Fsync(file.fd(), false), 0);
         EXPECT_EQ(Content(v, "f").substr(0, 7), "storeda");
       },
       kKernel},
      {"StoresBehindTheEndDoNotGrowTheFile",
       [](Volume& v) {
         const File file(v, "f", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, "0123456789");
         ASSERT_EQ(v.MapWrite(file.fd(), 0, "abcdefghijKLM"), 0);
         ASSERT_EQ(v.Fsync(file.fd(), false), 0);
         EXPECT_EQ(AttributesOf(v, "f").size, 10u);
         ASSERT_EQ(v.FTruncate(file.fd(), 13), 0);
         EXPECT_EQ(Content(v, "f"), "abcdefghij" + Zeros(3));
       },
       kKernel},
      {"MappingShowsZerosAfterShrinkAndGrow",
       [](Volume& v) {
         const File file(v, "f", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, Bytes('a', 8192));
         EXPECT_EQ(Mapped(v, file.fd(), 0, 8192), Bytes('a', 8192));
         ASSERT_EQ(v.FTruncate(file.fd(), 100), 0);
         ASSERT_EQ(v.FTruncate(file.fd(), 8192), 0);
         EXPECT_EQ(Mapped(v, file.fd(), 0, 8192), Bytes('a', 100) + Zeros(8092));
       },
       kKernel},
      {"MappingShowsAPunchedHole",
       [](Volume& v) {
         const File file(v, "f", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, Bytes('a', 12288));
         EXPECT_EQ(Mapped(v, file.fd(), 4096, 4096), Bytes('a', 4096));
         ASSERT_EQ(v.Fallocate(file.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096), 0);
         EXPECT_EQ(Mapped(v, file.fd(), 0, 12288), Bytes('a', 4096) + Zeros(4096) + Bytes('a', 4096));
       },
       kKernel},
      {"MappingShowsACopiedRange",
       [](Volume& v) {
         const File from(v, "a", O_CREAT | O_RDWR), to(v, "b", O_CREAT | O_RDWR);
         WriteAt(v, from.fd(), 0, Bytes('a', 4096));
         WriteAt(v, to.fd(), 0, Bytes('b', 8192));
         EXPECT_EQ(Mapped(v, to.fd(), 0, 8192), Bytes('b', 8192));
         size_t n = 0;
         ASSERT_EQ(v.CopyRange(from.fd(), 0, to.fd(), 4096, 4096, &n), 0);
         EXPECT_EQ(Mapped(v, to.fd(), 0, 8192), Bytes('b', 4096) + Bytes('a', 4096));
       },
       kKernel},
      {"CopyRangeTakesWhatWasStored",
       [](Volume& v) {
         const File from(v, "a", O_CREAT | O_RDWR), to(v, "b", O_CREAT | O_RDWR);
         WriteAt(v, from.fd(), 0, Bytes('a', 4096));
         ASSERT_EQ(v.MapWrite(from.fd(), 0, "stored"), 0);
         size_t n = 0;
         ASSERT_EQ(v.CopyRange(from.fd(), 0, to.fd(), 0, 10, &n), 0);
         EXPECT_EQ(Content(v, "b"), "storedaaaa");
       },
       kKernel},
      {"WritableMappingOfAReadOnlyHandleIsEacces",
       [](Volume& v) {
         Put(v, "f", Bytes('a', 4096));
         const File file(v, "f", O_RDONLY);
         EXPECT_EQ(v.MapWrite(file.fd(), 0, "x"), EACCES);
       },
       kKernel},
      {"MappingOfAnUnlinkedFileWorks",
       [](Volume& v) {
         const File file(v, "f", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, Bytes('a', 4096));
         ASSERT_EQ(v.Unlink("f"), 0);
         ASSERT_EQ(v.MapWrite(file.fd(), 0, "b"), 0);
         EXPECT_EQ(Mapped(v, file.fd(), 0, 3), "baa");
       },
       kKernel},
      {"FlockExcludesAnotherHandle",
       [](Volume& v) {
         const File one(v, "f", O_CREAT | O_RDWR), two(v, "f", O_RDWR);
         ASSERT_EQ(v.Flock(one.fd(), LOCK_EX), 0);
         EXPECT_EQ(v.Flock(two.fd(), LOCK_EX), EWOULDBLOCK);
         EXPECT_EQ(v.Flock(two.fd(), LOCK_SH), EWOULDBLOCK);
         ASSERT_EQ(v.Flock(one.fd(), LOCK_UN), 0);
         EXPECT_EQ(v.Flock(two.fd(), LOCK_EX), 0);
       },
       kKernel},
      {"SharedFlocksGoTogether",
       [](Volume& v) {
         const File one(v, "f", O_CREAT | O_RDWR), two(v, "f", O_RDONLY);
         EXPECT_EQ(v.Flock(one.fd(), LOCK_SH), 0);
         EXPECT_EQ(v.Flock(two.fd(), LOCK_SH), 0);
         EXPECT_EQ(v.Flock(one.fd(), LOCK_EX), EWOULDBLOCK);
       },
       kKernel},
      {"FlockEndsWithItsHandle",
       [](Volume& v) {
         {
           const File one(v, "f", O_CREAT | O_RDWR);
           ASSERT_EQ(v.Flock(one.fd(), LOCK_EX), 0);
         }
         const File two(v, "f", O_RDWR);
         EXPECT_EQ(v.Flock(two.fd(), LOCK_EX), 0);
       },
       kKernel},
      {"RecordLockExcludesAnotherHandle",
       [](Volume& v) {
         const File one(v, "f", O_CREAT | O_RDWR), two(v, "f", O_RDWR);
         ASSERT_EQ(v.OfdLock(one.fd(), true), 0);
         EXPECT_EQ(v.OfdLock(two.fd(), true), EAGAIN);
         ASSERT_EQ(v.OfdLock(one.fd(), false), 0);
         EXPECT_EQ(v.OfdLock(two.fd(), true), 0);
       },
       kKernel},
  };
}

}  // namespace daxvmm::conformance
