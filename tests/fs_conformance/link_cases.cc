// Hard links and symbolic links.
#include <sys/stat.h>

#include <cerrno>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {

std::vector<Case> LinkCases() {
  return {
      {"LinkIntoAnotherDirectory",
       [](Volume& v) {
         MakeDirectory(v, "d");
         Put(v, "a", "text");
         ASSERT_EQ(v.Link("a", "d/b"), 0);
         EXPECT_EQ(AttributesOf(v, "d/b").ino, AttributesOf(v, "a").ino);
         EXPECT_EQ(Content(v, "d/b"), "text");
       }},
      {"LinkOfMissingIsEnoent", [](Volume& v) { EXPECT_EQ(v.Link("none", "b"), ENOENT); }},
      {"LinkIntoMissingDirectoryIsEnoent",
       [](Volume& v) {
         Put(v, "a");
         EXPECT_EQ(v.Link("a", "none/b"), ENOENT);
       }},
      {"LinkBelowFileIsEnotdir",
       [](Volume& v) {
         Put(v, "a");
         Put(v, "f");
         EXPECT_EQ(v.Link("a", "f/b"), ENOTDIR);
       }},
      {"LinkOntoDirectoryIsEexist",
       [](Volume& v) {
         MakeDirectory(v, "d");
         Put(v, "a");
         EXPECT_EQ(v.Link("a", "d"), EEXIST);
       }},
      {"LinkOntoItselfIsEexist",
       [](Volume& v) {
         Put(v, "a");
         EXPECT_EQ(v.Link("a", "a"), EEXIST);
         EXPECT_EQ(AttributesOf(v, "a").nlink, 1u);
       }},
      {"LinkOfFifoAndDevice",
       [](Volume& v) {
         ASSERT_EQ(v.MkNod("p", S_IFIFO | 0644, 0, 0), 0);
         ASSERT_EQ(v.MkNod("c", S_IFCHR | 0600, 1, 3), 0);
         ASSERT_EQ(v.Link("p", "q"), 0);
         ASSERT_EQ(v.Link("c", "e"), 0);
         EXPECT_TRUE(S_ISFIFO(AttributesOf(v, "q").mode));
         EXPECT_EQ(AttributesOf(v, "e").minor, 3u);
         EXPECT_EQ(AttributesOf(v, "q").nlink, 2u);
       }},
      {"LinksShareModeOwnerTimesAndXattrs",
       [](Volume& v) {
         Put(v, "a");
         ASSERT_EQ(v.Link("a", "b"), 0);
         ASSERT_EQ(v.Chown("b", 11, 22), 0);
         ASSERT_EQ(v.Chmod("b", 0640), 0);
         ASSERT_EQ(v.SetTimes("b", {5, 0}, {6, 0}), 0);
         ASSERT_EQ(v.SetXattr("b", "user.x", "1", 0), 0);
         const Attributes a = AttributesOf(v, "a");
         EXPECT_EQ(a.mode & 07777, mode_t{0640});
         EXPECT_EQ(a.uid, 11u);
         EXPECT_EQ(a.mtime.tv_sec, 6);
         std::string value;
         EXPECT_EQ(v.GetXattr("a", "user.x", &value), 0);
         EXPECT_EQ(value, "1");
       }},
      {"LinkSeesWhatAnOpenHandleWrites",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         ASSERT_EQ(v.Link("a", "b"), 0);
         ASSERT_EQ(v.Unlink("a"), 0);
         WriteAt(v, file.fd(), 0, "late");
         EXPECT_EQ(Content(v, "b"), "late");
         EXPECT_EQ(AttributesOf(v, "b").size, 4u);
       }},
      {"LinkCountOfAnOpenFileFollowsItsNames",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         Attributes a;
         for (const uint32_t count : {2u, 3u, 4u}) {
           ASSERT_EQ(v.Link("a", "l" + std::to_string(count)), 0);
           ASSERT_EQ(v.FStat(file.fd(), &a), 0);
           EXPECT_EQ(a.nlink, count);
         }
         for (const uint32_t count : {4u, 3u, 2u}) {
           ASSERT_EQ(v.Unlink("l" + std::to_string(count)), 0);
           ASSERT_EQ(v.FStat(file.fd(), &a), 0);
           EXPECT_EQ(a.nlink, count - 1);
         }
       }},
      {"AThousandLinksToOneFile",
       [](Volume& v) {
         Put(v, "a", "x");
         for (int i = 0; i < 1000; ++i) ASSERT_EQ(v.Link("a", "l" + std::to_string(i)), 0);
         EXPECT_EQ(AttributesOf(v, "a").nlink, 1001u);
         for (int i = 0; i < 1000; ++i) ASSERT_EQ(v.Unlink("l" + std::to_string(i)), 0);
         EXPECT_EQ(AttributesOf(v, "a").nlink, 1u);
       }},
      {"LinkOfAnUnlinkedOpenFileIsEnoent",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         ASSERT_EQ(v.Unlink("a"), 0);
         EXPECT_EQ(v.LinkOpen(file.fd(), "b"), ENOENT);
         EXPECT_FALSE(Exists(v, "b"));
       }},
      {"LinkOfAnOpenFileGivesItASecondName",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         ASSERT_EQ(v.LinkOpen(file.fd(), "b"), 0);
         EXPECT_EQ(AttributesOf(v, "a").ino, AttributesOf(v, "b").ino);
         EXPECT_EQ(AttributesOf(v, "a").nlink, 2u);
       }},
      {"SymlinkOntoExistingIsEexist",
       [](Volume& v) {
         Put(v, "a");
         EXPECT_EQ(v.SymLink("x", "a"), EEXIST);
         ASSERT_EQ(v.SymLink("x", "l"), 0);
         EXPECT_EQ(v.SymLink("y", "l"), EEXIST);
       }},
      {"SymlinkBelowMissingIsEnoent", [](Volume& v) { EXPECT_EQ(v.SymLink("x", "none/l"), ENOENT); }},
      {"SymlinkBelowFileIsEnotdir",
       [](Volume& v) {
         Put(v, "a");
         EXPECT_EQ(v.SymLink("x", "a/l"), ENOTDIR);
       }},
      {"SymlinkHasAllModeBits",
       [](Volume& v) {
         ASSERT_EQ(v.SymLink("x", "l"), 0);
         EXPECT_EQ(AttributesOf(v, "l").mode, S_IFLNK | mode_t{0777});
       }},
      {"SymlinkOf4095BytesWorks",
       [](Volume& v) {
         const std::string target(4095, 't');
         ASSERT_EQ(v.SymLink(target, "l"), 0);
         std::string read;
         EXPECT_EQ(v.ReadLink("l", &read), 0);
         EXPECT_EQ(read, target);
       }},
      {"SymlinkWithOddBytesKeepsThem",
       [](Volume& v) {
         const std::string target = "a//b/./\xff\n ..";
         ASSERT_EQ(v.SymLink(target, "l"), 0);
         std::string read;
         EXPECT_EQ(v.ReadLink("l", &read), 0);
         EXPECT_EQ(read, target);
       }},
      {"SymlinkMadeAgainHasTheNewTarget",
       [](Volume& v) {
         std::string read;
         for (const char* target : {"one", "two-longer", "3"}) {
           ASSERT_EQ(v.SymLink(target, "l"), 0);
           EXPECT_EQ(v.ReadLink("l", &read), 0);
           EXPECT_EQ(read, target);
           ASSERT_EQ(v.Unlink("l"), 0);
         }
       }},
      {"SymlinkRenamedOverShowsTheNewTarget",
       [](Volume& v) {
         ASSERT_EQ(v.SymLink("old", "l"), 0);
         std::string read;
         EXPECT_EQ(v.ReadLink("l", &read), 0);
         ASSERT_EQ(v.SymLink("new", "m"), 0);
         ASSERT_EQ(v.Rename("m", "l", 0), 0);
         EXPECT_EQ(v.ReadLink("l", &read), 0);
         EXPECT_EQ(read, "new");
       }},
      {"ReadlinkOfDirectoryIsEinval",
       [](Volume& v) {
         MakeDirectory(v, "d");
         std::string target;
         EXPECT_EQ(v.ReadLink("d", &target), EINVAL);
       }},
      {"ReadlinkOfMissingIsEnoent",
       [](Volume& v) {
         std::string target;
         EXPECT_EQ(v.ReadLink("none", &target), ENOENT);
       }},
      {"UnlinkOfSymlinkLeavesItsTarget",
       [](Volume& v) {
         Put(v, "target", "x");
         ASSERT_EQ(v.SymLink("target", "l"), 0);
         ASSERT_EQ(v.Unlink("l"), 0);
         EXPECT_EQ(Content(v, "target"), "x");
       }},
      {"RmdirOfSymlinkToDirectoryIsEnotdir",
       [](Volume& v) {
         MakeDirectory(v, "d");
         ASSERT_EQ(v.SymLink("d", "l"), 0);
         EXPECT_EQ(v.RmDir("l"), ENOTDIR);
         EXPECT_TRUE(Exists(v, "d"));
       }},
      {"PathsThroughSymlinksAreFollowed",
       [](Volume& v) {
         MakeDirectory(v, "d");
         Put(v, "d/a", "through");
         ASSERT_EQ(v.SymLink("d", "l"), 0);
         ASSERT_EQ(v.SymLink("../l", "d/back"), 0);
         EXPECT_EQ(Content(v, "l/a"), "through");
         EXPECT_EQ(Content(v, "d/back/a"), "through");
       },
       kKernel},
      {"PathThroughALoopOfSymlinksIsEloop",
       [](Volume& v) {
         ASSERT_EQ(v.SymLink("m", "l"), 0);
         ASSERT_EQ(v.SymLink("l", "m"), 0);
         Attributes a;
         EXPECT_EQ(v.Stat("l/a", &a), ELOOP);
         EXPECT_EQ(OpenError(v, "m/a", O_CREAT | O_RDWR), ELOOP);
       },
       kKernel},
      {"SymlinkOf4096BytesIsEnametoolong",
       [](Volume& v) { EXPECT_EQ(v.SymLink(std::string(4096, 't'), "l"), ENAMETOOLONG); }, kKernel},
      {"SymlinkToNothingIsEnoent", [](Volume& v) { EXPECT_EQ(v.SymLink("", "l"), ENOENT); }, kKernel},
      {"ChmodFollowsASymlink",
       [](Volume& v) {
         Put(v, "target", "", 0644);
         ASSERT_EQ(v.SymLink("target", "l"), 0);
         ASSERT_EQ(v.Chmod("l", 0600), 0);
         EXPECT_EQ(ModeOf(v, "target"), mode_t{0600});
         EXPECT_EQ(ModeOf(v, "l"), mode_t{0777});
       },
       kKernel},
  };
}

}  // namespace daxvmm::conformance
