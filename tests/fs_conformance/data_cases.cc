// Bytes: reading, writing, holes, truncation, allocation.
#include <linux/falloc.h>
#include <unistd.h>

#include <cerrno>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {

std::vector<Case> DataCases() {
  return {
      {"WriteThenRead",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         std::string data;
         for (int i = 0; i < 300000; ++i) data.push_back(static_cast<char>(i * 7 + i / 251));
         WriteAt(v, file.fd(), 0, data);
         EXPECT_EQ(ReadAt(v, file.fd(), 0, data.size()), data);
         EXPECT_EQ(ReadAt(v, file.fd(), 12345, 4321), data.substr(12345, 4321));
       }},
      {"ReadAtAndPastTheEndIsEmpty",
       [](Volume& v) {
         Put(v, "a", "12345");
         const File file(v, "a", O_RDONLY);
         EXPECT_EQ(ReadAt(v, file.fd(), 5, 10), "");
         EXPECT_EQ(ReadAt(v, file.fd(), 1 << 20, 10), "");
         EXPECT_EQ(ReadAt(v, file.fd(), 3, 10), "45");
       }},
      {"WriteBeyondTheEndLeavesZeros",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 10, "x");
         EXPECT_EQ(ReadAt(v, file.fd(), 0, 20), std::string(10, '\0') + "x");
       }},
      {"OverwriteKeepsTheRest",
       [](Volume& v) {
         Put(v, "a", "0123456789");
         const File file(v, "a", O_RDWR);
         WriteAt(v, file.fd(), 3, "abc");
         EXPECT_EQ(Content(v, "a"), "012abc6789");
       }},
      {"AppendGoesToTheEnd",
       [](Volume& v) {
         Put(v, "a", "12345");
         const File file(v, "a", O_WRONLY | O_APPEND);
         WriteAt(v, file.fd(), 0, "67");
         WriteAt(v, file.fd(), 0, "8");
         EXPECT_EQ(Content(v, "a"), "12345678");
       }},
      {"AppendSeesWhatOthersWrote",
       [](Volume& v) {
         Put(v, "a", "1");
         const File appender(v, "a", O_WRONLY | O_APPEND);
         {
           const File other(v, "a", O_WRONLY);
           WriteAt(v, other.fd(), 1, "234");
         }
         WriteAt(v, appender.fd(), 0, "5");
         EXPECT_EQ(Content(v, "a"), "12345");
       }},
      {"OpenWithTruncEmptiesTheFile",
       [](Volume& v) {
         Put(v, "a", "12345");
         const File file(v, "a", O_RDWR | O_TRUNC);
         EXPECT_EQ(AttributesOf(v, "a").size, 0u);
       }},
      {"TwoHandlesSeeOneFile",
       [](Volume& v) {
         const File one(v, "a", O_CREAT | O_RDWR);
         const File two(v, "a", O_RDWR);
         WriteAt(v, one.fd(), 0, "hello");
         EXPECT_EQ(ReadAt(v, two.fd(), 0, 10), "hello");
         WriteAt(v, two.fd(), 0, "J");
         EXPECT_EQ(ReadAt(v, one.fd(), 0, 10), "Jello");
       }},
      {"ReadOnlyHandleRefusesWrites",
       [](Volume& v) {
         Put(v, "a", "1");
         const File file(v, "a", O_RDONLY);
         size_t n = 0;
         EXPECT_EQ(v.Write(file.fd(), 0, "x", &n), EBADF);
         EXPECT_EQ(Content(v, "a"), "1");
       }},
      {"WriteOnlyHandleRefusesReads",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_WRONLY);
         std::string data;
         EXPECT_EQ(v.Read(file.fd(), 0, 1, &data), EBADF);
       }},
      {"ModeOfANewFileDoesNotBindItsHandle",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_EXCL | O_RDWR, 0444);
         WriteAt(v, file.fd(), 0, "x");
         ASSERT_EQ(v.FTruncate(file.fd(), 5), 0);
         EXPECT_EQ(AttributesOf(v, "a").mode & 07777, mode_t{0444});
       }},
      {"TruncateShrinksAndGrows",
       [](Volume& v) {
         Put(v, "a", "0123456789");
         ASSERT_EQ(v.Truncate("a", 4), 0);
         EXPECT_EQ(Content(v, "a"), "0123");
         ASSERT_EQ(v.Truncate("a", 6), 0);
         EXPECT_EQ(Content(v, "a"), std::string("0123\0\0", 6));
         ASSERT_EQ(v.Truncate("a", 0), 0);
         EXPECT_EQ(Content(v, "a"), "");
       }},
      {"TruncateOfDirectoryIsEisdir",
       [](Volume& v) {
         ASSERT_EQ(v.MkDir("d", 0755), 0);
         EXPECT_EQ(v.Truncate("d", 0), EISDIR);
       }},
      {"TruncateToHugeIsEfbigOrSparse",
       [](Volume& v) {
         Put(v, "a", "1");
         const int error = v.Truncate("a", uint64_t{1} << 40);
         if (error != 0) {
           EXPECT_EQ(error, EFBIG);
         } else {
           EXPECT_EQ(AttributesOf(v, "a").size, uint64_t{1} << 40);
         }
       }},
      {"SparseFilesTakeNoBlocks",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 64 << 20, "end");
         const Attributes a = AttributesOf(v, "a");
         EXPECT_EQ(a.size, (uint64_t{64} << 20) + 3);
         EXPECT_LT(a.blocks, 2048u);
         EXPECT_EQ(ReadAt(v, file.fd(), 32 << 20, 4096), std::string(4096, '\0'));
       }},
      {"SeekFindsDataAndHoles",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 1 << 20, std::string(4096, 'd'));
         ASSERT_EQ(v.FTruncate(file.fd(), 2 << 20), 0);
         uint64_t at = 0;
         ASSERT_EQ(v.Seek(file.fd(), 0, SEEK_DATA, &at), 0);
         EXPECT_EQ(at, uint64_t{1} << 20);
         ASSERT_EQ(v.Seek(file.fd(), 1 << 20, SEEK_HOLE, &at), 0);
         EXPECT_EQ(at, (uint64_t{1} << 20) + 4096);
         EXPECT_EQ(v.Seek(file.fd(), 3 << 20, SEEK_DATA, &at), ENXIO);
       }},
      {"FallocateGrows",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         ASSERT_EQ(v.Fallocate(file.fd(), 0, 0, 100000), 0);
         const Attributes a = AttributesOf(v, "a");
         EXPECT_EQ(a.size, 100000u);
         EXPECT_GE(a.blocks * 512, 100000u);
       }},
      {"FallocateKeepSizeDoesNotGrow",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         ASSERT_EQ(v.Fallocate(file.fd(), FALLOC_FL_KEEP_SIZE, 0, 100000), 0);
         EXPECT_EQ(AttributesOf(v, "a").size, 0u);
       }},
      {"FallocatePunchesHoles",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, std::string(3 * 4096, 'x'));
         ASSERT_EQ(v.Fallocate(file.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096), 0);
         EXPECT_EQ(ReadAt(v, file.fd(), 0, 3 * 4096),
                   std::string(4096, 'x') + std::string(4096, '\0') + std::string(4096, 'x'));
       }},
      {"FallocateOfReadOnlyHandleIsEbadf",
       [](Volume& v) {
         Put(v, "a");
         const File file(v, "a", O_RDONLY);
         EXPECT_EQ(v.Fallocate(file.fd(), 0, 0, 1), EBADF);
       }},
      {"CopyRangeCopies",
       [](Volume& v) {
         Put(v, "a", "0123456789");
         const File from(v, "a", O_RDONLY);
         const File to(v, "b", O_CREAT | O_RDWR);
         size_t n = 0;
         ASSERT_EQ(v.CopyRange(from.fd(), 2, to.fd(), 1, 100, &n), 0);
         EXPECT_EQ(n, 8u);
         EXPECT_EQ(ReadAt(v, to.fd(), 0, 20), std::string("\0", 1) + "23456789");
       }},
      {"CopyRangeIntoReadOnlyHandleIsEbadf",
       [](Volume& v) {
         Put(v, "a", "0123456789");
         Put(v, "b");
         const File from(v, "a", O_RDONLY);
         const File to(v, "b", O_RDONLY);
         size_t n = 0;
         EXPECT_EQ(v.CopyRange(from.fd(), 0, to.fd(), 0, 4, &n), EBADF);
       }},
      {"FsyncWorksOnEveryHandle",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, "x");
         EXPECT_EQ(v.Fsync(file.fd(), false), 0);
         EXPECT_EQ(v.Fsync(file.fd(), true), 0);
         const File reader(v, "a", O_RDONLY);
         EXPECT_EQ(v.Fsync(reader.fd(), false), 0);
       }},
      {"SyncAndStatfs",
       [](Volume& v) {
         Capacity capacity;
         EXPECT_EQ(v.StatFs(&capacity), 0);
         EXPECT_GT(capacity.free_blocks, 0u);
         EXPECT_EQ(v.Sync(), 0);
       }},
  };
}

}  // namespace daxvmm::conformance
