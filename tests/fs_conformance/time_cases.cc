// Times: which operation moves which, and which values are kept.
#include <linux/falloc.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cerrno>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {
namespace {

constexpr timespec kOmit = {0, UTIME_OMIT};
constexpr timespec kNow = {0, UTIME_NOW};
constexpr time_t kLongAgo = 1'000'000;

bool Before(timespec a, timespec b) { return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec; }
bool Same(timespec a, timespec b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

// Until the clock that stamps files has ticked past `time`: then whatever is stamped is later.
void AwaitTickAfter(timespec time) {
  timespec now;
  do {
    sched_yield();
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
  } while (!Before(time, now));
}

enum Moves : unsigned { kNone = 0, kMtime = 1, kCtime = 2, kBoth = 3 };

struct Operation {
  const char* name;
  const char* path;  // whose times are watched
  unsigned moves;
  std::function<void(Volume& v)> run;
};

// The tree is d/f (with ten bytes and the attribute user.x), its second link d/l, d/e (empty), o (empty) and g.
void RunWatched(Volume& v, const Operation& operation) {
  MakeDirectory(v, "d");
  MakeDirectory(v, "d/e");
  MakeDirectory(v, "o");
  Put(v, "g", "abc");
  Put(v, "d/f", "0123456789");
  ASSERT_EQ(v.Link("d/f", "d/l"), 0);
  ASSERT_EQ(v.SetXattr("d/f", "user.x", "1", 0), 0);
  for (const char* path : {"d/f", "d", "o", "g", "d/e"}) {
    ASSERT_EQ(v.SetTimes(path, {kLongAgo, 0}, {kLongAgo, 0}), 0);
  }
  const Attributes before = AttributesOf(v, operation.path);
  AwaitTickAfter(before.ctime);
  operation.run(v);
  const Attributes after = AttributesOf(v, operation.path);
  EXPECT_EQ(Before(before.mtime, after.mtime), (operation.moves & kMtime) != 0) << "mtime";
  EXPECT_EQ(Before(before.ctime, after.ctime), (operation.moves & kCtime) != 0) << "ctime";
  if ((operation.moves & kMtime) == 0) {
    EXPECT_TRUE(Same(before.mtime, after.mtime));
  }
}

void Write(Volume& v, const std::string& path, const std::string& data, int flags = 0) {
  const File file(v, path, O_RDWR | flags);
  WriteAt(v, file.fd(), 0, data);
}
void Allocate(Volume& v, int mode, uint64_t offset, uint64_t length) {
  const File file(v, "d/f", O_RDWR);
  EXPECT_EQ(v.Fallocate(file.fd(), mode, offset, length), 0);
}
void Copy(Volume& v) {
  const File from(v, "g", O_RDONLY), to(v, "d/f", O_RDWR);
  size_t n = 0;
  EXPECT_EQ(v.CopyRange(from.fd(), 0, to.fd(), 0, 3, &n), 0);
}

std::vector<Operation> Operations() {
  return {
      {"WriteMovesMtimeAndCtime", "d/f", kBoth, [](Volume& v) { Write(v, "d/f", "x"); }},
      {"AppendMovesMtimeAndCtime", "d/f", kBoth, [](Volume& v) { Write(v, "d/f", "x", O_APPEND); }},
      {"WriteOfNothingMovesNothing", "d/f", kNone, [](Volume& v) { Write(v, "d/f", ""); }},
      {"WriteLeavesTheDirectory", "d", kNone, [](Volume& v) { Write(v, "d/f", "x"); }},
      {"ReadMovesNeitherMtimeNorCtime", "d/f", kNone, [](Volume& v) { Content(v, "d/f"); }},
      {"OpenForWritingMovesNothing", "d/f", kNone, [](Volume& v) { EXPECT_EQ(OpenError(v, "d/f", O_RDWR), 0); }},
      {"OpenWithTruncMovesMtimeAndCtime", "d/f", kBoth,
       [](Volume& v) { EXPECT_EQ(OpenError(v, "d/f", O_RDWR | O_TRUNC), 0); }},
      {"TruncateMovesMtimeAndCtime", "d/f", kBoth, [](Volume& v) { EXPECT_EQ(v.Truncate("d/f", 3), 0); }},
      {"TruncateToTheSameSizeMovesMtimeAndCtime", "d/f", kBoth, [](Volume& v) { EXPECT_EQ(v.Truncate("d/f", 10), 0); }},
      {"GrowingTruncateMovesMtimeAndCtime", "d/f", kBoth, [](Volume& v) { EXPECT_EQ(v.Truncate("d/f", 300), 0); }},
      {"FtruncateToTheSameSizeMovesMtimeAndCtime", "d/f", kBoth,
       [](Volume& v) {
         const File file(v, "d/f", O_RDWR);
         EXPECT_EQ(v.FTruncate(file.fd(), 10), 0);
       }},
      {"FallocateMovesMtimeAndCtime", "d/f", kBoth, [](Volume& v) { Allocate(v, 0, 0, 100); }},
      {"PunchHoleMovesMtimeAndCtime", "d/f", kBoth,
       [](Volume& v) { Allocate(v, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2, 4); }},
      {"CopyRangeMovesMtimeAndCtimeOfTheTarget", "d/f", kBoth, Copy},
      {"CopyRangeLeavesTheSource", "g", kNone, Copy},
      {"ChmodMovesCtime", "d/f", kCtime, [](Volume& v) { EXPECT_EQ(v.Chmod("d/f", 0600), 0); }},
      {"ChmodToTheSameModeMovesCtime", "d/f", kCtime, [](Volume& v) { EXPECT_EQ(v.Chmod("d/f", 0644), 0); }},
      {"ChmodOfDirectoryMovesCtime", "d/e", kCtime, [](Volume& v) { EXPECT_EQ(v.Chmod("d/e", 0700), 0); }},
      {"ChmodLeavesTheParent", "d", kNone, [](Volume& v) { EXPECT_EQ(v.Chmod("d/f", 0600), 0); }},
      {"ChownMovesCtime", "d/f", kCtime, [](Volume& v) { EXPECT_EQ(v.Chown("d/f", 1, 2), 0); }},
      {"ChownToTheSameOwnerMovesCtime", "d/f", kCtime, [](Volume& v) { EXPECT_EQ(v.Chown("d/f", 0, 0), 0); }},
      {"SettingAtimeMovesCtime", "d/f", kCtime, [](Volume& v) { EXPECT_EQ(v.SetTimes("d/f", {5, 0}, kOmit), 0); }},
      {"OmittingBothTimesMovesNothing", "d/f", kNone, [](Volume& v) { EXPECT_EQ(v.SetTimes("d/f", kOmit, kOmit), 0); }},
      {"SetxattrMovesCtime", "d/f", kCtime, [](Volume& v) { EXPECT_EQ(v.SetXattr("d/f", "user.y", "1", 0), 0); }},
      {"RemovexattrMovesCtime", "d/f", kCtime, [](Volume& v) { EXPECT_EQ(v.RemoveXattr("d/f", "user.x"), 0); }},
      {"GetxattrMovesNothing", "d/f", kNone,
       [](Volume& v) {
         std::string value;
         EXPECT_EQ(v.GetXattr("d/f", "user.x", &value), 0);
       }},
      {"RefusedXattrMovesNothing", "d/f", kNone,
       [](Volume& v) { EXPECT_EQ(v.SetXattr("d/f", "user.x", "2", XATTR_CREATE), EEXIST); }},
      {"LinkMovesCtimeOfTheFile", "d/f", kCtime, [](Volume& v) { EXPECT_EQ(v.Link("d/f", "o/l"), 0); }},
      {"LinkMovesTimesOfItsDirectory", "o", kBoth, [](Volume& v) { EXPECT_EQ(v.Link("d/f", "o/l"), 0); }},
      {"LinkLeavesTheSourcesDirectory", "d", kNone, [](Volume& v) { EXPECT_EQ(v.Link("d/f", "o/l"), 0); }},
      {"UnlinkMovesCtimeOfTheOtherLink", "d/f", kCtime, [](Volume& v) { EXPECT_EQ(v.Unlink("d/l"), 0); }},
      {"UnlinkMovesTimesOfItsDirectory", "d", kBoth, [](Volume& v) { EXPECT_EQ(v.Unlink("d/l"), 0); }},
      {"FailedUnlinkMovesNothing", "d", kNone, [](Volume& v) { EXPECT_EQ(v.Unlink("d/none"), ENOENT); }},
      {"CreateMovesTimesOfItsDirectory", "d", kBoth, [](Volume& v) { Put(v, "d/new"); }},
      {"CreateOfExistingMovesNothing", "d", kNone,
       [](Volume& v) { EXPECT_EQ(OpenError(v, "d/f", O_CREAT | O_RDWR), 0); }},
      {"MkdirMovesTimesOfItsDirectory", "d", kBoth, [](Volume& v) { EXPECT_EQ(v.MkDir("d/new", 0755), 0); }},
      {"FailedMkdirMovesNothing", "d", kNone, [](Volume& v) { EXPECT_EQ(v.MkDir("d/e", 0755), EEXIST); }},
      {"RmdirMovesTimesOfItsDirectory", "d", kBoth, [](Volume& v) { EXPECT_EQ(v.RmDir("d/e"), 0); }},
      {"SymlinkMovesTimesOfItsDirectory", "d", kBoth, [](Volume& v) { EXPECT_EQ(v.SymLink("x", "d/s"), 0); }},
      {"MknodMovesTimesOfItsDirectory", "d", kBoth,
       [](Volume& v) { EXPECT_EQ(v.MkNod("d/p", S_IFIFO | 0644, 0, 0), 0); }},
      {"RenameMovesCtimeOfTheFile", "d/l", kCtime, [](Volume& v) { EXPECT_EQ(v.Rename("d/f", "d/new", 0), 0); }},
      {"RenameMovesTimesOfItsDirectory", "d", kBoth, [](Volume& v) { EXPECT_EQ(v.Rename("d/f", "d/new", 0), 0); }},
      {"RenameMovesTimesOfTheOldDirectory", "d", kBoth, [](Volume& v) { EXPECT_EQ(v.Rename("d/f", "o/f", 0), 0); }},
      {"RenameMovesTimesOfTheNewDirectory", "o", kBoth, [](Volume& v) { EXPECT_EQ(v.Rename("d/f", "o/f", 0), 0); }},
      {"RenameOverMovesCtimeOfTheReplacedFile", "d/l", kCtime,
       [](Volume& v) { EXPECT_EQ(v.Rename("g", "d/f", 0), 0); }},
      {"ExchangeMovesTimesOfBothDirectories", "o", kBoth,
       [](Volume& v) {
         Put(v, "o/f");
         EXPECT_EQ(v.SetTimes("o", {kLongAgo, 0}, {kLongAgo, 0}), 0);
         EXPECT_EQ(v.Rename("d/f", "o/f", RENAME_EXCHANGE), 0);
       }},
      {"ExchangeMovesCtimeOfBothFiles", "d/l", kCtime,
       [](Volume& v) { EXPECT_EQ(v.Rename("g", "d/f", RENAME_EXCHANGE), 0); }},
      {"RefusedRenameMovesNothing", "d", kNone,
       [](Volume& v) { EXPECT_EQ(v.Rename("d/f", "d/l", RENAME_NOREPLACE), EEXIST); }},
      {"WriteThroughALinkMovesTimesOfTheFile", "d/l", kBoth, [](Volume& v) { Write(v, "d/f", "x"); }},
      {"FsyncMovesNothing", "d/f", kNone,
       [](Volume& v) {
         const File file(v, "d/f", O_RDWR);
         EXPECT_EQ(v.Fsync(file.fd(), false), 0);
       }},
      {"ListMovesNeitherMtimeNorCtime", "d", kNone,
       [](Volume& v) {
         std::vector<DirEntry> entries;
         EXPECT_EQ(v.List("d", {}, &entries), 0);
       }},
  };
}

struct Wanted {
  const char* name;
  timespec value;
};

void AddSettingCases(std::vector<Case>* cases) {
  const Wanted values[] = {{"Set", {123456, 789}}, {"Now", kNow}, {"Omitted", kOmit}};
  for (const Wanted& atime : values) {
    for (const Wanted& mtime : values) {
      cases->push_back(
          {std::string("Atime") + atime.name + "Mtime" + mtime.name, [a = atime.value, m = mtime.value](Volume& v) {
             Put(v, "f", "x");
             ASSERT_EQ(v.SetTimes("f", {1000, 1}, {2000, 2}), 0);
             const timespec start = {time(nullptr) - 2, 0};
             ASSERT_EQ(v.SetTimes("f", a, m), 0);
             const Attributes got = AttributesOf(v, "f");
             const auto check = [&](timespec wanted, timespec old, timespec now) {
               if (wanted.tv_nsec == UTIME_NOW) {
                 EXPECT_TRUE(Before(start, now));
               } else {
                 EXPECT_TRUE(Same(now, wanted.tv_nsec == UTIME_OMIT ? old : wanted));
               }
             };
             check(a, {1000, 1}, got.atime);
             check(m, {2000, 2}, got.mtime);
           }});
    }
  }
}

void AddValueCases(std::vector<Case>* cases) {
  // What an ext4 inode of 256 bytes can hold: 1901 to 2446, the very last second without nanoseconds, since Linux drops
  // them at a file system's limits.
  for (const Wanted& wanted : {Wanted{"1901", {-2147483648, 0}},
                               {"TheLastNanosecondBefore1970", {-1, 999'999'999}},
                               {"TheEpoch", {0, 0}},
                               {"TheFirstNanosecond", {0, 1}},
                               {"TheLastOf32Bits", {2147483647, 999'999'999}},
                               {"TheFirstAfter32Bits", {2147483648, 0}},
                               {"TheFirstAfterUnsigned32Bits", {4294967296, 1}},
                               {"TheLastNanosecondBeforeTheLimit", {15032385534, 999'999'999}},
                               {"2446", {15032385535, 0}}}) {
    cases->push_back({std::string("TimeIsKept") + wanted.name, [value = wanted.value](Volume& v) {
                        Put(v, "f");
                        MakeDirectory(v, "d");
                        for (const char* path : {"f", "d"}) {
                          ASSERT_EQ(v.SetTimes(path, value, value), 0);
                          EXPECT_TRUE(Same(AttributesOf(v, path).atime, value));
                          EXPECT_TRUE(Same(AttributesOf(v, path).mtime, value));
                        }
                      }});
  }
}

}  // namespace

std::vector<Case> TimeCases() {
  std::vector<Case> cases = {
      {"TimesOfAnOpenFileAreSet",
       [](Volume& v) {
         const File file(v, "f", O_CREAT | O_RDWR);
         ASSERT_EQ(v.FSetTimes(file.fd(), {1000, 5}, {2000, 6}), 0);
         EXPECT_TRUE(Same(AttributesOf(v, "f").mtime, {2000, 6}));
       }},
      {"TimesOfAnUnlinkedFileAreSet",
       [](Volume& v) {
         const File file(v, "f", O_CREAT | O_RDWR);
         ASSERT_EQ(v.Unlink("f"), 0);
         ASSERT_EQ(v.FSetTimes(file.fd(), {1000, 5}, {2000, 6}), 0);
         Attributes a;
         ASSERT_EQ(v.FStat(file.fd(), &a), 0);
         EXPECT_TRUE(Same(a.mtime, {2000, 6}));
       }},
      {"TimesOfAFifoAndADeviceAreSet",
       [](Volume& v) {
         ASSERT_EQ(v.MkNod("p", S_IFIFO | 0644, 0, 0), 0);
         ASSERT_EQ(v.MkNod("c", S_IFCHR | 0644, 1, 3), 0);
         for (const char* path : {"p", "c"}) {
           ASSERT_EQ(v.SetTimes(path, {1000, 5}, {2000, 6}), 0);
           EXPECT_TRUE(Same(AttributesOf(v, path).mtime, {2000, 6}));
         }
       }},
      {"SetTimesOfMissingIsEnoent", [](Volume& v) { EXPECT_EQ(v.SetTimes("none", kNow, kNow), ENOENT); }},
      {"NewFilesHaveTheTimeOfNow",
       [](Volume& v) {
         timespec start;
         clock_gettime(CLOCK_REALTIME_COARSE, &start);
         Put(v, "f");
         const Attributes a = AttributesOf(v, "f");
         EXPECT_FALSE(Before(a.mtime, start));
         EXPECT_TRUE(Same(a.mtime, a.ctime));
         EXPECT_TRUE(Same(a.atime, a.ctime));
       }},
      {"SetTimesBeforeCloseAreNotLostToTheWrite",
       [](Volume& v) {
         {
           const File file(v, "f", O_CREAT | O_RDWR);
           WriteAt(v, file.fd(), 0, "x");
           ASSERT_EQ(v.FSetTimes(file.fd(), {1000, 0}, {2000, 0}), 0);
         }
         EXPECT_EQ(AttributesOf(v, "f").mtime.tv_sec, 2000);
       }},
      {"SetTimesWithBadNanosecondsIsEinval",
       [](Volume& v) {
         Put(v, "f");
         EXPECT_EQ(v.SetTimes("f", {1, 1'000'000'000}, {2, 0}), EINVAL);
       }},
  };
  for (const Operation& operation : Operations()) {
    cases.push_back({operation.name, [operation](Volume& v) { RunWatched(v, operation); }});
  }
  AddSettingCases(&cases);
  AddValueCases(&cases);
  return cases;
}

}  // namespace daxvmm::conformance
