// Attributes: owner, mode, times, extended attributes.
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {
namespace {

bool Later(timespec a, timespec b) { return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec; }

// A directory in which anyone may make files.
void Public(Volume& v, mode_t mode = 0777) {
  ASSERT_EQ(v.MkDir("d", 0755), 0);
  ASSERT_EQ(v.Chmod("d", mode), 0);
}

}  // namespace

std::vector<Case> AttributeCases() {
  return {
      {"NewFilesHaveTheModeAskedFor",
       [](Volume& v) {
         for (const mode_t mode : {0u, 0400u, 0666u, 0777u, 01777u}) {
           const std::string name = "m" + std::to_string(mode);
           Put(v, name, "", mode);
           EXPECT_EQ(AttributesOf(v, name).mode & 07777, mode);
           ASSERT_EQ(v.MkDir("d" + name, mode), 0);
           EXPECT_EQ(AttributesOf(v, "d" + name).mode & 07777, mode);
         }
       }},
      {"NewThingsBelongToTheCaller",
       [](Volume& v) {
         Public(v);
         v.SetCaller(1234, 2345);
         Put(v, "d/f", "x");
         ASSERT_EQ(v.MkDir("d/d", 0755), 0);
         ASSERT_EQ(v.SymLink("x", "d/l"), 0);
         ASSERT_EQ(v.MkNod("d/p", S_IFIFO | 0644, 0, 0), 0);
         ASSERT_EQ(v.MkNod("d/r", S_IFREG | 0644, 0, 0), 0);
         v.SetCaller(0, 0);
         for (const char* path : {"d/f", "d/d", "d/l", "d/p", "d/r"}) {
           EXPECT_EQ(AttributesOf(v, path).uid, 1234u) << path;
           EXPECT_EQ(AttributesOf(v, path).gid, 2345u) << path;
         }
       }},
      {"RootsThingsAfterwardsAreRoots",
       [](Volume& v) {
         Public(v);
         v.SetCaller(1234, 2345);
         Put(v, "d/f");
         v.SetCaller(0, 0);
         Put(v, "d/g");
         EXPECT_EQ(AttributesOf(v, "d/g").uid, 0u);
         EXPECT_EQ(AttributesOf(v, "d/g").gid, 0u);
       }},
      {"SgidDirectoriesPassTheirGroupOn",
       [](Volume& v) {
         Public(v);
         ASSERT_EQ(v.Chown("d", 0, 777), 0);
         ASSERT_EQ(v.Chmod("d", 02777), 0);
         v.SetCaller(1234, 2345);
         Put(v, "d/f");
         ASSERT_EQ(v.MkDir("d/d", 0755), 0);
         v.SetCaller(0, 0);
         EXPECT_EQ(AttributesOf(v, "d/f").gid, 777u);
         EXPECT_EQ(AttributesOf(v, "d/d").gid, 777u);
         EXPECT_EQ(AttributesOf(v, "d/d").mode & S_ISGID, mode_t{S_ISGID});
       }},
      {"SgidOfAForeignGroupIsStripped",
       [](Volume& v) {
         Public(v);
         ASSERT_EQ(v.Chown("d", 0, 777), 0);
         ASSERT_EQ(v.Chmod("d", 02777), 0);
         v.SetCaller(1234, 2345);
         Put(v, "d/f", "", 02755);
         v.SetCaller(0, 0);
         EXPECT_EQ(AttributesOf(v, "d/f").mode & 07777, mode_t{0755});
       }},
      {"ChmodSetsEveryBit",
       [](Volume& v) {
         Put(v, "a");
         for (const mode_t mode : {0u, 0777u, 04755u, 02755u, 01644u, 0600u}) {
           ASSERT_EQ(v.Chmod("a", mode), 0);
           EXPECT_EQ(AttributesOf(v, "a").mode, S_IFREG | mode);
         }
       }},
      {"ChownChangesOwnerAndGroup",
       [](Volume& v) {
         Put(v, "a");
         ASSERT_EQ(v.Chown("a", 11, 22), 0);
         EXPECT_EQ(AttributesOf(v, "a").uid, 11u);
         EXPECT_EQ(AttributesOf(v, "a").gid, 22u);
         ASSERT_EQ(v.Chown("a", kKeepUid, 33), 0);
         EXPECT_EQ(AttributesOf(v, "a").uid, 11u);
         EXPECT_EQ(AttributesOf(v, "a").gid, 33u);
         ASSERT_EQ(v.Chown("a", 44, kKeepGid), 0);
         EXPECT_EQ(AttributesOf(v, "a").uid, 44u);
         EXPECT_EQ(AttributesOf(v, "a").gid, 33u);
       }},
      {"ChownOfSymlinkChangesTheLink",
       [](Volume& v) {
         Put(v, "target");
         ASSERT_EQ(v.SymLink("target", "l"), 0);
         ASSERT_EQ(v.Chown("l", 11, 22), 0);
         EXPECT_EQ(AttributesOf(v, "l").uid, 11u);
         EXPECT_EQ(AttributesOf(v, "target").uid, 0u);
       }},
      {"ChownClearsSetIdBits",
       [](Volume& v) {
         Put(v, "a");
         ASSERT_EQ(v.Chmod("a", 06755), 0);
         ASSERT_EQ(v.Chown("a", 11, 22), 0);
         EXPECT_EQ(AttributesOf(v, "a").mode & 07777, mode_t{0755});
       }},
      {"WriteByAUserClearsSetIdBits",
       [](Volume& v) {
         Put(v, "a", "x", 0777);
         ASSERT_EQ(v.Chmod("a", 06777), 0);
         v.SetCaller(1234, 2345);
         {
           const File file(v, "a", O_RDWR);
           WriteAt(v, file.fd(), 0, "y");
         }
         v.SetCaller(0, 0);
         EXPECT_EQ(AttributesOf(v, "a").mode & 07777, mode_t{0777});
       }},
      {"TruncateByAUserClearsSetIdBits",
       [](Volume& v) {
         Put(v, "a", "x", 0777);
         ASSERT_EQ(v.Chmod("a", 06777), 0);
         const File file(v, "a", O_RDWR);
         v.SetCaller(1234, 2345);
         ASSERT_EQ(v.FTruncate(file.fd(), 0), 0);
         v.SetCaller(0, 0);
         EXPECT_EQ(AttributesOf(v, "a").mode & 07777, mode_t{0777});
       }},
      {"WriteByRootKeepsSetIdBits",
       [](Volume& v) {
         Put(v, "a", "x");
         ASSERT_EQ(v.Chmod("a", 06755), 0);
         {
           const File file(v, "a", O_RDWR);
           WriteAt(v, file.fd(), 0, "y");
         }
         EXPECT_EQ(AttributesOf(v, "a").mode & 07777, mode_t{06755});
       }},
      {"TimesAreSetToTheNanosecond",
       [](Volume& v) {
         Put(v, "a");
         ASSERT_EQ(v.SetTimes("a", {1000, 123456789}, {2000, 987654321}), 0);
         const Attributes a = AttributesOf(v, "a");
         EXPECT_EQ(a.atime.tv_sec, 1000);
         EXPECT_EQ(a.atime.tv_nsec, 123456789);
         EXPECT_EQ(a.mtime.tv_sec, 2000);
         EXPECT_EQ(a.mtime.tv_nsec, 987654321);
       }},
      {"TimesOmittedStay",
       [](Volume& v) {
         Put(v, "a");
         ASSERT_EQ(v.SetTimes("a", {1000, 1}, {2000, 2}), 0);
         ASSERT_EQ(v.SetTimes("a", {0, UTIME_OMIT}, {3000, 3}), 0);
         EXPECT_EQ(AttributesOf(v, "a").atime.tv_sec, 1000);
         EXPECT_EQ(AttributesOf(v, "a").mtime.tv_sec, 3000);
         ASSERT_EQ(v.SetTimes("a", {4000, 4}, {0, UTIME_OMIT}), 0);
         EXPECT_EQ(AttributesOf(v, "a").atime.tv_sec, 4000);
         EXPECT_EQ(AttributesOf(v, "a").mtime.tv_sec, 3000);
       }},
      {"TimesNowAreNow",
       [](Volume& v) {
         Put(v, "a");
         ASSERT_EQ(v.SetTimes("a", {1000, 1}, {2000, 2}), 0);
         const timespec before = {time(nullptr) - 2, 0};
         ASSERT_EQ(v.SetTimes("a", {0, UTIME_NOW}, {0, UTIME_NOW}), 0);
         EXPECT_TRUE(Later(AttributesOf(v, "a").atime, before));
         EXPECT_TRUE(Later(AttributesOf(v, "a").mtime, before));
       }},
      {"TimesBefore1970Work",
       [](Volume& v) {
         Put(v, "a");
         ASSERT_EQ(v.SetTimes("a", {-5, 0}, {-1000000, 500}), 0);
         EXPECT_EQ(AttributesOf(v, "a").atime.tv_sec, -5);
         EXPECT_EQ(AttributesOf(v, "a").mtime.tv_sec, -1000000);
       }},
      {"TimesOfASymlinkAreItsOwn",
       [](Volume& v) {
         Put(v, "target");
         ASSERT_EQ(v.SymLink("target", "l"), 0);
         ASSERT_EQ(v.SetTimes("l", {1000, 0}, {2000, 0}), 0);
         EXPECT_EQ(AttributesOf(v, "l").mtime.tv_sec, 2000);
         EXPECT_GT(AttributesOf(v, "target").mtime.tv_sec, 3000);
       }},
      {"WriteMovesMtime",
       [](Volume& v) {
         Put(v, "a");
         ASSERT_EQ(v.SetTimes("a", {1000, 0}, {2000, 0}), 0);
         {
           const File file(v, "a", O_RDWR);
           WriteAt(v, file.fd(), 0, "x");
         }
         EXPECT_GT(AttributesOf(v, "a").mtime.tv_sec, 2000);
       }},
      {"CreationMovesTheDirectorysMtime",
       [](Volume& v) {
         ASSERT_EQ(v.MkDir("d", 0755), 0);
         ASSERT_EQ(v.SetTimes("d", {1000, 0}, {2000, 0}), 0);
         Put(v, "d/a");
         EXPECT_GT(AttributesOf(v, "d").mtime.tv_sec, 2000);
       }},
      {"XattrsAreSetReadListedAndRemoved",
       [](Volume& v) {
         Put(v, "a");
         ASSERT_EQ(v.SetXattr("a", "user.one", "1", 0), 0);
         ASSERT_EQ(v.SetXattr("a", "user.two", std::string("b\0c", 3), 0), 0);
         std::string value;
         ASSERT_EQ(v.GetXattr("a", "user.two", &value), 0);
         EXPECT_EQ(value, std::string("b\0c", 3));
         std::vector<std::string> names;
         ASSERT_EQ(v.ListXattr("a", &names), 0);
         EXPECT_EQ(std::count(names.begin(), names.end(), "user.one"), 1);
         EXPECT_EQ(std::count(names.begin(), names.end(), "user.two"), 1);
         ASSERT_EQ(v.RemoveXattr("a", "user.one"), 0);
         EXPECT_EQ(v.GetXattr("a", "user.one", &value), ENODATA);
         EXPECT_EQ(v.RemoveXattr("a", "user.one"), ENODATA);
       }},
      {"XattrFlagsCreateAndReplace",
       [](Volume& v) {
         Put(v, "a");
         EXPECT_EQ(v.SetXattr("a", "user.x", "1", XATTR_REPLACE), ENODATA);
         EXPECT_EQ(v.SetXattr("a", "user.x", "1", XATTR_CREATE), 0);
         EXPECT_EQ(v.SetXattr("a", "user.x", "2", XATTR_CREATE), EEXIST);
         EXPECT_EQ(v.SetXattr("a", "user.x", "2", XATTR_REPLACE), 0);
       }},
      {"XattrsLongerThanTheFirstGuess",
       [](Volume& v) {
         Put(v, "a");
         const std::string value(2000, 'v');
         ASSERT_EQ(v.SetXattr("a", "user.long", value, 0), 0);
         std::string read;
         ASSERT_EQ(v.GetXattr("a", "user.long", &read), 0);
         EXPECT_EQ(read, value);
       }},
      {"XattrsOfDirectoriesWork",
       [](Volume& v) {
         ASSERT_EQ(v.MkDir("d", 0755), 0);
         ASSERT_EQ(v.SetXattr("d", "user.x", "1", 0), 0);
         std::string value;
         EXPECT_EQ(v.GetXattr("d", "user.x", &value), 0);
         EXPECT_EQ(value, "1");
       }},
      {"UserXattrOfSymlinkIsEperm",
       [](Volume& v) {
         Put(v, "target");
         ASSERT_EQ(v.SymLink("target", "l"), 0);
         EXPECT_EQ(v.SetXattr("l", "user.x", "1", 0), EPERM);
         std::vector<std::string> names;
         ASSERT_EQ(v.ListXattr("target", &names), 0);
         EXPECT_EQ(std::count(names.begin(), names.end(), "user.x"), 0);
       }},
      {"FilesCapabilityGoesOnWrite",
       [](Volume& v) {
         Put(v, "a", "x", 0777);
         // cap_net_raw, permitted and effective (VFS_CAP_REVISION_2).
         const std::string capability(
             "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
         ASSERT_EQ(v.SetXattr("a", "security.capability", capability, 0), 0);
         {
           const File file(v, "a", O_RDWR);
           WriteAt(v, file.fd(), 0, "y");
         }
         std::string value;
         EXPECT_EQ(v.GetXattr("a", "security.capability", &value), ENODATA);
       }},
  };
}

}  // namespace daxvmm::conformance
