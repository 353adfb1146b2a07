// Holes, allocation modes, offsets beyond 32 bits, copies within the file system.
#include <linux/falloc.h>
#include <unistd.h>

#include <cerrno>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {
namespace {

constexpr uint64_t kBlock = 4096;

// Four blocks: a, b, c, d.
std::string FourBlocks() { return Bytes('a', kBlock) + Bytes('b', kBlock) + Bytes('c', kBlock) + Bytes('d', kBlock); }

void AddFallocateCases(std::vector<Case>* cases) {
  struct Way {
    const char* name;
    int mode;
    uint64_t offset, length;
    std::string expected;
  };
  const std::string all = FourBlocks();
  const std::string hole = Bytes('a', kBlock) + Zeros(kBlock) + all.substr(2 * kBlock);
  std::string ragged = all;
  ragged.replace(100, 5000, Zeros(5000));
  for (const Way& way : std::vector<Way>{
           {"FallocateInsideChangesNothing", 0, kBlock, kBlock, all},
           {"FallocateAcrossTheEndGrows", 0, 3 * kBlock, 2 * kBlock, all + Zeros(kBlock)},
           {"FallocateBeyondTheEndGrows", 0, 5 * kBlock, kBlock, all + Zeros(2 * kBlock)},
           {"FallocateKeepSizeAcrossTheEndKeepsIt", FALLOC_FL_KEEP_SIZE, 3 * kBlock, 4 * kBlock, all},
           {"PunchHoleZeroesItsBlock", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kBlock, kBlock, hole},
           {"PunchHoleAtOddOffsetsZeroesItsBytes", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 5000, ragged},
           {"PunchHoleAcrossTheEndKeepsTheSize", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 * kBlock, 9 * kBlock,
            all.substr(0, 3 * kBlock) + Zeros(kBlock)},
           {"PunchHoleBeyondTheEndDoesNothing", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 9 * kBlock, kBlock, all},
           {"ZeroRangeZeroesItsBlock", FALLOC_FL_ZERO_RANGE, kBlock, kBlock, hole},
           {"ZeroRangeAtOddOffsetsZeroesItsBytes", FALLOC_FL_ZERO_RANGE, 100, 5000, ragged},
           {"ZeroRangeAcrossTheEndGrows", FALLOC_FL_ZERO_RANGE, 3 * kBlock, 2 * kBlock,
            all.substr(0, 3 * kBlock) + Zeros(2 * kBlock)},
           {"ZeroRangeKeepSizeAcrossTheEndKeepsIt", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 3 * kBlock, 2 * kBlock,
            all.substr(0, 3 * kBlock) + Zeros(kBlock)}}) {
    cases->push_back({way.name, [way](Volume& v) {
                        const File file(v, "a", O_CREAT | O_RDWR);
                        WriteAt(v, file.fd(), 0, FourBlocks());
                        ASSERT_EQ(v.Fallocate(file.fd(), way.mode, way.offset, way.length), 0);
                        EXPECT_EQ(AttributesOf(v, "a").size, way.expected.size());
                        EXPECT_EQ(ReadAt(v, file.fd(), 0, 16 * kBlock), way.expected);
                      }});
  }
}

void AddOffsetCases(std::vector<Case>* cases) {
  struct Place {
    const char* name;
    uint64_t offset;
  };
  for (const Place& place :
       {Place{"At2GiB", uint64_t{1} << 31}, {"At4GiB", uint64_t{1} << 32}, {"At1TiB", uint64_t{1} << 40}}) {
    const uint64_t at = place.offset - 5;
    cases->push_back({std::string("WriteAcrossTheBorder") + place.name, [at](Volume& v) {
                        const File file(v, "a", O_CREAT | O_RDWR);
                        WriteAt(v, file.fd(), at, "0123456789");
                        EXPECT_EQ(ReadAt(v, file.fd(), at, 100), "0123456789");
                        EXPECT_EQ(ReadAt(v, file.fd(), at - 3, 5), Zeros(3) + "01");
                        const Attributes a = AttributesOf(v, "a");
                        EXPECT_EQ(a.size, at + 10);
                        EXPECT_LT(a.blocks, 256u);
                      }});
    cases->push_back({std::string("SeekFindsDataNear") + place.name, [at](Volume& v) {
                        const File file(v, "a", O_CREAT | O_RDWR);
                        WriteAt(v, file.fd(), at, "0123456789");
                        uint64_t found = 0;
                        ASSERT_EQ(v.Seek(file.fd(), 0, SEEK_DATA, &found), 0);
                        EXPECT_EQ(found, at / kBlock * kBlock);
                        ASSERT_EQ(v.Seek(file.fd(), at, SEEK_HOLE, &found), 0);
                        EXPECT_EQ(found, at + 10);
                      }});
    cases->push_back({std::string("TruncateNear") + place.name, [at](Volume& v) {
                        Put(v, "a", "x");
                        ASSERT_EQ(v.Truncate("a", at), 0);
                        EXPECT_EQ(AttributesOf(v, "a").size, at);
                        const File file(v, "a", O_RDWR);
                        EXPECT_EQ(ReadAt(v, file.fd(), at - 2, 10), Zeros(2));
                        ASSERT_EQ(v.FTruncate(file.fd(), 1), 0);
                        EXPECT_EQ(Content(v, "a"), "x");
                      }});
  }
}

}  // namespace

std::vector<Case> SparseCases() {
  std::vector<Case> cases = {
      {"PunchHoleGivesBlocksBack",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, Bytes('x', 256 * kBlock));
         ASSERT_EQ(v.Fsync(file.fd(), false), 0);
         Attributes before, after;
         ASSERT_EQ(v.FStat(file.fd(), &before), 0);
         ASSERT_EQ(v.Fallocate(file.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 64 * kBlock, 128 * kBlock), 0);
         ASSERT_EQ(v.FStat(file.fd(), &after), 0);
         EXPECT_EQ(after.size, before.size);
         EXPECT_LE(after.blocks + 128 * 8, before.blocks);
       }},
      {"PunchHoleWithoutKeepSizeIsEopnotsupp",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, "x");
         EXPECT_EQ(v.Fallocate(file.fd(), FALLOC_FL_PUNCH_HOLE, 0, 1), EOPNOTSUPP);
       }},
      {"FallocateOfUnknownModeIsEopnotsupp",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         EXPECT_EQ(v.Fallocate(file.fd(), 0x400, 0, 1), EOPNOTSUPP);
       }},
      {"FallocateOfNothingIsEinval",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         EXPECT_EQ(v.Fallocate(file.fd(), 0, 0, 0), EINVAL);
       }},
      {"CollapseRangeWorksOrChangesNothing",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, FourBlocks());
         const int error = v.Fallocate(file.fd(), FALLOC_FL_COLLAPSE_RANGE, kBlock, kBlock);
         if (error != 0) {
           EXPECT_EQ(error, EOPNOTSUPP);
           EXPECT_EQ(Content(v, "a"), FourBlocks());
         } else {
           EXPECT_EQ(Content(v, "a"), Bytes('a', kBlock) + FourBlocks().substr(2 * kBlock));
         }
       }},
      {"InsertRangeWorksOrChangesNothing",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, FourBlocks());
         const int error = v.Fallocate(file.fd(), FALLOC_FL_INSERT_RANGE, kBlock, kBlock);
         if (error != 0) {
           EXPECT_EQ(error, EOPNOTSUPP);
           EXPECT_EQ(Content(v, "a"), FourBlocks());
         } else {
           EXPECT_EQ(Content(v, "a"), Bytes('a', kBlock) + Zeros(kBlock) + FourBlocks().substr(kBlock));
         }
       }},
      {"FallocateNearTheLargestOffsetIsEfbig",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         EXPECT_EQ(v.Fallocate(file.fd(), 0, INT64_MAX - 10, 5), EFBIG);
         EXPECT_EQ(v.Fallocate(file.fd(), 0, uint64_t{1} << 60, 4096), EFBIG);
         EXPECT_EQ(AttributesOf(v, "a").size, 0u);
       }},
      {"WriteBeyondTheLargestFileIsEfbig",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         size_t n = 0;
         EXPECT_EQ(v.Write(file.fd(), uint64_t{1} << 60, "x", &n), EFBIG);
         EXPECT_EQ(AttributesOf(v, "a").size, 0u);
       }},
      {"TruncateBeyondTheLargestFileIsEfbig",
       [](Volume& v) {
         Put(v, "a", "x");
         EXPECT_EQ(v.Truncate("a", uint64_t{1} << 60), EFBIG);
         EXPECT_EQ(AttributesOf(v, "a").size, 1u);
       }},
      {"ReadFarBeyondTheEndIsEmpty",
       [](Volume& v) {
         Put(v, "a", "x");
         const File file(v, "a", O_RDONLY);
         EXPECT_EQ(ReadAt(v, file.fd(), uint64_t{1} << 40, 10), "");
         EXPECT_EQ(ReadAt(v, file.fd(), uint64_t{1} << 62, 10), "");
       }},
      {"SeekInAFullFileFindsTheEnd",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, FourBlocks());
         uint64_t at = 0;
         ASSERT_EQ(v.Seek(file.fd(), 0, SEEK_HOLE, &at), 0);
         EXPECT_EQ(at, 4 * kBlock);
         ASSERT_EQ(v.Seek(file.fd(), 5000, SEEK_DATA, &at), 0);
         EXPECT_EQ(at, 5000u);
       }},
      {"SeekInAnEmptyFileIsEnxio",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         uint64_t at = 0;
         EXPECT_EQ(v.Seek(file.fd(), 0, SEEK_DATA, &at), ENXIO);
         EXPECT_EQ(v.Seek(file.fd(), 0, SEEK_HOLE, &at), ENXIO);
       }},
      {"SeekDataInTheLastHoleIsEnxio",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, FourBlocks());
         ASSERT_EQ(v.FTruncate(file.fd(), 100 * kBlock), 0);
         uint64_t at = 0;
         EXPECT_EQ(v.Seek(file.fd(), 50 * kBlock, SEEK_DATA, &at), ENXIO);
         ASSERT_EQ(v.Seek(file.fd(), 50 * kBlock, SEEK_HOLE, &at), 0);
         EXPECT_EQ(at, 50 * kBlock);
       }},
      {"SeekWalksManyHoles",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         for (uint64_t i = 0; i < 10; ++i) WriteAt(v, file.fd(), i * 64 * kBlock, Bytes('x', kBlock));
         uint64_t at = 0;
         for (uint64_t i = 0; i < 10; ++i) {
           ASSERT_EQ(v.Seek(file.fd(), at, SEEK_DATA, &at), 0);
           EXPECT_EQ(at, i * 64 * kBlock);
           ASSERT_EQ(v.Seek(file.fd(), at, SEEK_HOLE, &at), 0);
           EXPECT_EQ(at, i * 64 * kBlock + kBlock);
         }
       }},
      {"TruncateGivesBlocksBack",
       [](Volume& v) {
         Put(v, "a", Bytes('x', 100 * kBlock));
         ASSERT_EQ(v.Truncate("a", 0), 0);
         EXPECT_EQ(AttributesOf(v, "a").blocks, 0u);
       }},
      {"TruncateInsideABlockZeroesItsRest",
       [](Volume& v) {
         Put(v, "a", Bytes('x', 3 * kBlock));
         ASSERT_EQ(v.Truncate("a", kBlock + 10), 0);
         ASSERT_EQ(v.Truncate("a", 3 * kBlock), 0);
         EXPECT_EQ(Content(v, "a"), Bytes('x', kBlock + 10) + Zeros(2 * kBlock - 10));
       }},
      {"CopyRangeWithinAFile",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, "0123456789");
         size_t n = 0;
         ASSERT_EQ(v.CopyRange(file.fd(), 0, file.fd(), 5, 5, &n), 0);
         EXPECT_EQ(n, 5u);
         EXPECT_EQ(Content(v, "a"), "0123401234");
       }},
      {"CopyRangeOntoItselfIsEinval",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, "0123456789");
         size_t n = 0;
         EXPECT_EQ(v.CopyRange(file.fd(), 0, file.fd(), 3, 5, &n), EINVAL);
         EXPECT_EQ(Content(v, "a"), "0123456789");
       }},
      {"CopyRangeAtTheEndCopiesNothing",
       [](Volume& v) {
         Put(v, "a", "12345");
         const File from(v, "a", O_RDONLY);
         const File to(v, "b", O_CREAT | O_RDWR);
         size_t n = 1;
         EXPECT_EQ(v.CopyRange(from.fd(), 5, to.fd(), 0, 10, &n), 0);
         EXPECT_EQ(n, 0u);
         EXPECT_EQ(AttributesOf(v, "b").size, 0u);
       }},
      {"CopyRangeOfMegabytesIsExact",
       [](Volume& v) {
         std::string data;
         for (int i = 0; i < 3'000'000; ++i) data.push_back(static_cast<char>(i * 13 + i / 509));
         const File from(v, "a", O_CREAT | O_RDWR);
         for (size_t at = 0; at < data.size(); at += 500'000) WriteAt(v, from.fd(), at, data.substr(at, 500'000));
         const File to(v, "b", O_CREAT | O_RDWR);
         for (size_t done = 0; done < data.size();) {
           size_t n = 0;
           ASSERT_EQ(v.CopyRange(from.fd(), done, to.fd(), done, data.size() - done, &n), 0);
           ASSERT_GT(n, 0u);
           done += n;
         }
         std::string copy;
         for (size_t at = 0; at < data.size(); at += 500'000) copy += ReadAt(v, to.fd(), at, 500'000);
         EXPECT_EQ(copy.size(), data.size());
         EXPECT_TRUE(copy == data);
       }},
      {"CopyRangeReplacesPartOfTheTarget",
       [](Volume& v) {
         Put(v, "a", "abcdef");
         Put(v, "b", "0123456789");
         const File from(v, "a", O_RDONLY);
         const File to(v, "b", O_RDWR);
         size_t n = 0;
         ASSERT_EQ(v.CopyRange(from.fd(), 1, to.fd(), 4, 3, &n), 0);
         EXPECT_EQ(ReadAt(v, to.fd(), 0, 20), "0123bcd789");
       }},
      {"CopyRangeFromAWriteOnlyHandleIsEbadf",
       [](Volume& v) {
         Put(v, "a", "abc");
         const File from(v, "a", O_WRONLY);
         const File to(v, "b", O_CREAT | O_RDWR);
         size_t n = 0;
         EXPECT_EQ(v.CopyRange(from.fd(), 0, to.fd(), 0, 3, &n), EBADF);
       }},
      {"CopyRangeIntoAnAppendingHandleIsEbadf",
       [](Volume& v) {
         Put(v, "a", "abc");
         Put(v, "b", "xyz");
         const File from(v, "a", O_RDONLY);
         const File to(v, "b", O_WRONLY | O_APPEND);
         size_t n = 0;
         EXPECT_EQ(v.CopyRange(from.fd(), 0, to.fd(), 0, 3, &n), EBADF);
         EXPECT_EQ(Content(v, "b"), "xyz");
       },
       kKernel},
      {"ManyOverlappingWritesReadBack",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         std::string model(200'000, '\0');
         uint32_t random = 12345;
         for (int i = 0; i < 300; ++i) {
           random = random * 1664525 + 1013904223;
           const size_t at = (random >> 8) % 190'000, length = 1 + (random >> 4) % 9'000;
           model.replace(at, length, Bytes(static_cast<char>('a' + i % 26), length));
           WriteAt(v, file.fd(), at, Bytes(static_cast<char>('a' + i % 26), length));
         }
         const std::string read = ReadAt(v, file.fd(), 0, 300'000);
         EXPECT_TRUE(read == model.substr(0, read.size()));
         EXPECT_GE(read.size(), 190'000u);
       }},
      {"WriteOfNothingDoesNotGrow",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 100, "");
         EXPECT_EQ(AttributesOf(v, "a").size, 0u);
       }},
      {"SynchronousWritesWork",
       [](Volume& v) {
         for (const int flags : {O_SYNC, O_DSYNC}) {
           const File file(v, "a", O_CREAT | O_RDWR | flags);
           WriteAt(v, file.fd(), 0, "synced");
           EXPECT_EQ(ReadAt(v, file.fd(), 0, 10), "synced");
         }
       }},
      {"TwoAppendersInterleaveWithoutLoss",
       [](Volume& v) {
         const File one(v, "a", O_CREAT | O_WRONLY | O_APPEND), two(v, "a", O_WRONLY | O_APPEND);
         std::string expected;
         for (int i = 0; i < 50; ++i) {
           WriteAt(v, i % 2 == 0 ? one.fd() : two.fd(), 0, std::to_string(i) + ";");
           expected += std::to_string(i) + ";";
         }
         EXPECT_EQ(Content(v, "a"), expected);
       }},
      {"AppendAfterTruncateGoesToTheNewEnd",
       [](Volume& v) {
         Put(v, "a", "0123456789");
         const File file(v, "a", O_WRONLY | O_APPEND);
         ASSERT_EQ(v.Truncate("a", 3), 0);
         WriteAt(v, file.fd(), 0, "x");
         EXPECT_EQ(Content(v, "a"), "012x");
       }},
      {"FtruncateOfAReadOnlyHandleIsEinval",
       [](Volume& v) {
         Put(v, "a", "x");
         const File file(v, "a", O_RDONLY);
         EXPECT_EQ(v.FTruncate(file.fd(), 0), EINVAL);
         EXPECT_EQ(Content(v, "a"), "x");
       }},
      {"NegativeOffsetsAreEinval",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         const uint64_t minus_one = ~uint64_t{0};
         size_t n = 0;
         std::string data;
         EXPECT_EQ(v.Write(file.fd(), minus_one, "x", &n), EINVAL);
         EXPECT_EQ(v.Read(file.fd(), minus_one, 1, &data), EINVAL);
         EXPECT_EQ(v.FTruncate(file.fd(), minus_one), EINVAL);
         EXPECT_EQ(v.Fallocate(file.fd(), 0, minus_one, 1), EINVAL);
       },
       kKernel},
  };
  AddFallocateCases(&cases);
  AddOffsetCases(&cases);
  return cases;
}

}  // namespace daxvmm::conformance
