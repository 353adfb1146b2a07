// Names: making, listing, linking, moving and removing.
#include <stdio.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {
namespace {

std::map<std::string, int> CountNames(Volume& v, const std::string& path, const std::function<void()>& between = {}) {
  std::vector<DirEntry> entries;
  EXPECT_EQ(v.List(path, between, &entries), 0);
  std::map<std::string, int> count;
  for (const DirEntry& entry : entries) ++count[entry.name];
  return count;
}

}  // namespace

std::vector<Case> NameCases() {
  return {
      {"CreateMakesAnEmptyRegularFile",
       [](Volume& v) {
         Put(v, "a");
         const Attributes a = AttributesOf(v, "a");
         EXPECT_TRUE(S_ISREG(a.mode));
         EXPECT_EQ(a.size, 0u);
         EXPECT_EQ(a.nlink, 1u);
       }},
      {"CreateExclusiveOfExistingIsEexist",
       [](Volume& v) {
         Put(v, "a", "text");
         EXPECT_EQ(OpenError(v, "a", O_CREAT | O_EXCL | O_RDWR), EEXIST);
         EXPECT_EQ(Content(v, "a"), "text");
       }},
      {"CreateOfExistingOpensIt",
       [](Volume& v) {
         Put(v, "a", "text");
         const File file(v, "a", O_CREAT | O_RDWR);
         EXPECT_EQ(ReadAt(v, file.fd(), 0, 10), "text");
       }},
      {"OpenOfMissingIsEnoent", [](Volume& v) { EXPECT_EQ(OpenError(v, "none", O_RDONLY), ENOENT); }},
      {"OpenBelowMissingDirectoryIsEnoent",
       [](Volume& v) { EXPECT_EQ(OpenError(v, "none/a", O_CREAT | O_RDWR), ENOENT); }},
      {"OpenBelowFileIsEnotdir",
       [](Volume& v) {
         Put(v, "a");
         EXPECT_EQ(OpenError(v, "a/b", O_CREAT | O_RDWR), ENOTDIR);
       }},
      {"OpenOfDirectoryForWritingIsEisdir",
       [](Volume& v) {
         ASSERT_EQ(v.MkDir("d", 0755), 0);
         EXPECT_EQ(OpenError(v, "d", O_RDWR), EISDIR);
       }},
      {"OpenOfSymlinkWithoutFollowingIsEloop",
       [](Volume& v) {
         ASSERT_EQ(v.SymLink("target", "l"), 0);
         EXPECT_EQ(OpenError(v, "l", O_RDONLY), ELOOP);
       }},
      {"NameOf255BytesWorks",
       [](Volume& v) {
         const std::string name(255, 'n');
         Put(v, name, "long");
         EXPECT_EQ(Content(v, name), "long");
         EXPECT_EQ(CountNames(v, "")[name], 1);
       }},
      {"NameWithOddBytesWorks",
       [](Volume& v) {
         for (const char* name : {"a b", "...", "\xff\xfe", "new\nline", "-", "\\"}) {
           Put(v, name, name);
           EXPECT_EQ(Content(v, name), name);
         }
       }},
      {"MkdirMakesADirectoryWithTwoLinks",
       [](Volume& v) {
         const uint32_t before = AttributesOf(v, "").nlink;
         ASSERT_EQ(v.MkDir("d", 0750), 0);
         const Attributes a = AttributesOf(v, "d");
         EXPECT_EQ(a.mode, S_IFDIR | mode_t{0750});
         EXPECT_EQ(a.nlink, 2u);
         EXPECT_EQ(AttributesOf(v, "").nlink, before + 1);
       }},
      {"MkdirOfExistingIsEexist",
       [](Volume& v) {
         Put(v, "a");
         EXPECT_EQ(v.MkDir("a", 0755), EEXIST);
       }},
      {"DeepTree",
       [](Volume& v) {
         std::string path = "d";
         for (int i = 0; i < 40; ++i, path += "/d") ASSERT_EQ(v.MkDir(path, 0755), 0);
         Put(v, path, "deep");
         EXPECT_EQ(Content(v, path), "deep");
       }},
      {"RmdirOfEmptyWorks",
       [](Volume& v) {
         ASSERT_EQ(v.MkDir("d", 0755), 0);
         EXPECT_EQ(v.RmDir("d"), 0);
         EXPECT_FALSE(Exists(v, "d"));
       }},
      {"RmdirOfFullIsEnotempty",
       [](Volume& v) {
         ASSERT_EQ(v.MkDir("d", 0755), 0);
         Put(v, "d/a");
         EXPECT_EQ(v.RmDir("d"), ENOTEMPTY);
       }},
      {"RmdirOfFileIsEnotdir",
       [](Volume& v) {
         Put(v, "a");
         EXPECT_EQ(v.RmDir("a"), ENOTDIR);
       }},
      {"UnlinkOfDirectoryIsEisdir",
       [](Volume& v) {
         ASSERT_EQ(v.MkDir("d", 0755), 0);
         EXPECT_EQ(v.Unlink("d"), EISDIR);
       }},
      {"UnlinkOfMissingIsEnoent", [](Volume& v) { EXPECT_EQ(v.Unlink("none"), ENOENT); }},
      {"AnUnlinkedFileLivesWhileOpen",
       [](Volume& v) {
         const File file(v, "a", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, "still");
         ASSERT_EQ(v.Unlink("a"), 0);
         EXPECT_FALSE(Exists(v, "a"));
         WriteAt(v, file.fd(), 5, " here");
         EXPECT_EQ(ReadAt(v, file.fd(), 0, 100), "still here");
         ASSERT_EQ(v.FTruncate(file.fd(), 2), 0);
         Attributes a;
         ASSERT_EQ(v.FStat(file.fd(), &a), 0);
         EXPECT_EQ(a.nlink, 0u);
         EXPECT_EQ(a.size, 2u);
       }},
      {"ANewFileOfAnUnlinkedOnesNameIsAnother",
       [](Volume& v) {
         const File old_file(v, "a", O_CREAT | O_RDWR);
         WriteAt(v, old_file.fd(), 0, "old");
         ASSERT_EQ(v.Unlink("a"), 0);
         Put(v, "a", "new");
         EXPECT_EQ(ReadAt(v, old_file.fd(), 0, 10), "old");
         EXPECT_EQ(Content(v, "a"), "new");
       }},
      {"LinkIsTheSameFile",
       [](Volume& v) {
         Put(v, "a", "one");
         ASSERT_EQ(v.Link("a", "b"), 0);
         EXPECT_EQ(AttributesOf(v, "a").ino, AttributesOf(v, "b").ino);
         EXPECT_EQ(AttributesOf(v, "a").nlink, 2u);
         Put(v, "b", "two");
         EXPECT_EQ(Content(v, "a"), "two");
         ASSERT_EQ(v.Unlink("a"), 0);
         EXPECT_EQ(AttributesOf(v, "b").nlink, 1u);
       }},
      {"LinkOntoExistingIsEexist",
       [](Volume& v) {
         Put(v, "a");
         Put(v, "b");
         EXPECT_EQ(v.Link("a", "b"), EEXIST);
       }},
      {"LinkOfDirectoryIsEperm",
       [](Volume& v) {
         ASSERT_EQ(v.MkDir("d", 0755), 0);
         EXPECT_EQ(v.Link("d", "e"), EPERM);
       }},
      {"LinkOfSymlinkLinksTheSymlink",
       [](Volume& v) {
         Put(v, "target");
         ASSERT_EQ(v.SymLink("target", "l"), 0);
         ASSERT_EQ(v.Link("l", "m"), 0);
         EXPECT_TRUE(S_ISLNK(AttributesOf(v, "m").mode));
         EXPECT_EQ(AttributesOf(v, "m").ino, AttributesOf(v, "l").ino);
       }},
      {"SymlinkKeepsItsTarget",
       [](Volume& v) {
         for (const std::string& target :
              {std::string("x"), std::string("/etc/passwd"), std::string("../../.."), std::string(4000, 't')}) {
           ASSERT_EQ(v.SymLink(target, "l"), 0);
           std::string read;
           EXPECT_EQ(v.ReadLink("l", &read), 0);
           EXPECT_EQ(read, target);
           EXPECT_EQ(AttributesOf(v, "l").size, target.size());
           ASSERT_EQ(v.Unlink("l"), 0);
         }
       }},
      {"ReadlinkOfFileIsEinval",
       [](Volume& v) {
         Put(v, "a");
         std::string target;
         EXPECT_EQ(v.ReadLink("a", &target), EINVAL);
       }},
      {"MknodMakesFifosAndSockets",
       [](Volume& v) {
         ASSERT_EQ(v.MkNod("fifo", S_IFIFO | 0640, 0, 0), 0);
         ASSERT_EQ(v.MkNod("socket", S_IFSOCK | 0600, 0, 0), 0);
         ASSERT_EQ(v.MkNod("file", S_IFREG | 0604, 0, 0), 0);
         EXPECT_EQ(AttributesOf(v, "fifo").mode, S_IFIFO | mode_t{0640});
         EXPECT_EQ(AttributesOf(v, "socket").mode, S_IFSOCK | mode_t{0600});
         EXPECT_EQ(AttributesOf(v, "file").mode, S_IFREG | mode_t{0604});
         EXPECT_EQ(v.MkNod("fifo", S_IFIFO | 0640, 0, 0), EEXIST);
       }},
      {"MknodKeepsDeviceNumbers",
       [](Volume& v) {
         ASSERT_EQ(v.MkNod("null", S_IFCHR | 0666, 1, 3), 0);
         ASSERT_EQ(v.MkNod("big", S_IFBLK | 0600, 259, 70000), 0);
         EXPECT_EQ(AttributesOf(v, "null").major, 1u);
         EXPECT_EQ(AttributesOf(v, "null").minor, 3u);
         EXPECT_EQ(AttributesOf(v, "big").major, 259u);
         EXPECT_EQ(AttributesOf(v, "big").minor, 70000u);
         EXPECT_TRUE(S_ISBLK(AttributesOf(v, "big").mode));
       }},
      {"RenameMovesAFile",
       [](Volume& v) {
         ASSERT_EQ(v.MkDir("d", 0755), 0);
         Put(v, "a", "text");
         const uint64_t ino = AttributesOf(v, "a").ino;
         ASSERT_EQ(v.Rename("a", "d/b", 0), 0);
         EXPECT_FALSE(Exists(v, "a"));
         EXPECT_EQ(AttributesOf(v, "d/b").ino, ino);
         EXPECT_EQ(Content(v, "d/b"), "text");
       }},
      {"RenameReplaces",
       [](Volume& v) {
         Put(v, "a", "new");
         Put(v, "b", "old");
         ASSERT_EQ(v.Rename("a", "b", 0), 0);
         EXPECT_EQ(Content(v, "b"), "new");
       }},
      {"RenameOverAnOpenFileLeavesItReadable",
       [](Volume& v) {
         Put(v, "a", "new");
         Put(v, "b", "old");
         const File old_file(v, "b", O_RDONLY);
         ASSERT_EQ(v.Rename("a", "b", 0), 0);
         EXPECT_EQ(ReadAt(v, old_file.fd(), 0, 10), "old");
       }},
      {"RenameNoreplaceIsEexist",
       [](Volume& v) {
         Put(v, "a", "1");
         Put(v, "b", "2");
         EXPECT_EQ(v.Rename("a", "b", RENAME_NOREPLACE), EEXIST);
         EXPECT_EQ(Content(v, "b"), "2");
         EXPECT_EQ(v.Rename("a", "c", RENAME_NOREPLACE), 0);
       }},
      {"RenameExchangeSwaps",
       [](Volume& v) {
         Put(v, "a", "1");
         ASSERT_EQ(v.MkDir("d", 0755), 0);
         Put(v, "d/b", "2");
         ASSERT_EQ(v.Rename("a", "d/b", RENAME_EXCHANGE), 0);
         EXPECT_EQ(Content(v, "a"), "2");
         EXPECT_EQ(Content(v, "d/b"), "1");
         EXPECT_EQ(v.Rename("a", "none", RENAME_EXCHANGE), ENOENT);
       }},
      {"RenameWhiteoutLeavesADevice",
       [](Volume& v) {
         Put(v, "a", "1");
         ASSERT_EQ(v.Rename("a", "b", RENAME_WHITEOUT), 0);
         const Attributes a = AttributesOf(v, "a");
         EXPECT_TRUE(S_ISCHR(a.mode));
         EXPECT_EQ(a.major, 0u);
         EXPECT_EQ(a.minor, 0u);
       }},
      {"RenameWithUnknownFlagIsEinval",
       [](Volume& v) {
         Put(v, "a");
         EXPECT_EQ(v.Rename("a", "b", 0x80), EINVAL);
       }},
      {"RenameOfDirectoryOntoFullOneIsEnotempty",
       [](Volume& v) {
         ASSERT_EQ(v.MkDir("d", 0755), 0);
         ASSERT_EQ(v.MkDir("e", 0755), 0);
         Put(v, "e/a");
         EXPECT_EQ(v.Rename("d", "e", 0), ENOTEMPTY);
         ASSERT_EQ(v.Unlink("e/a"), 0);
         EXPECT_EQ(v.Rename("d", "e", 0), 0);
       }},
      {"RenameOfDirectoryIntoItselfIsEinval",
       [](Volume& v) {
         ASSERT_EQ(v.MkDir("d", 0755), 0);
         ASSERT_EQ(v.MkDir("d/e", 0755), 0);
         EXPECT_EQ(v.Rename("d", "d/e/f", 0), EINVAL);
       }},
      {"RenameMixingFileAndDirectory",
       [](Volume& v) {
         ASSERT_EQ(v.MkDir("d", 0755), 0);
         Put(v, "a");
         EXPECT_EQ(v.Rename("a", "d", 0), EISDIR);
         EXPECT_EQ(v.Rename("d", "a", 0), ENOTDIR);
       }},
      {"RenameOntoAHardLinkOfItselfDoesNothing",
       [](Volume& v) {
         Put(v, "a");
         ASSERT_EQ(v.Link("a", "b"), 0);
         EXPECT_EQ(v.Rename("a", "b", 0), 0);
         EXPECT_TRUE(Exists(v, "a"));
         EXPECT_TRUE(Exists(v, "b"));
       }},
      {"ListOfEmptyDirectoryIsDots",
       [](Volume& v) {
         ASSERT_EQ(v.MkDir("d", 0755), 0);
         EXPECT_EQ(CountNames(v, "d"), (std::map<std::string, int>{{".", 1}, {"..", 1}}));
       }},
      {"ListOfManyIsCompleteAndWithoutDoubles",
       [](Volume& v) {
         std::map<std::string, int> expected{{".", 1}, {"..", 1}};
         for (int i = 0; i < 700; ++i) {
           Put(v, "file" + std::to_string(i));
           expected["file" + std::to_string(i)] = 1;
         }
         EXPECT_EQ(CountNames(v, ""), expected);
       }},
      {"ListUnderConcurrentChangeKeepsWhatStays",
       [](Volume& v) {
         for (int i = 0; i < 300; ++i) Put(v, "stays" + std::to_string(i));
         for (int i = 0; i < 100; ++i) Put(v, "goes" + std::to_string(i));
         const auto names = CountNames(v, "", [&] {
           for (int i = 0; i < 100; ++i) EXPECT_EQ(v.Unlink("goes" + std::to_string(i)), 0);
           for (int i = 0; i < 100; ++i) Put(v, "comes" + std::to_string(i));
         });
         for (int i = 0; i < 300; ++i) {
           const auto it = names.find("stays" + std::to_string(i));
           ASSERT_NE(it, names.end()) << i;
           EXPECT_EQ(it->second, 1) << i;
         }
       }},
      {"ListOfFileIsEnotdir",
       [](Volume& v) {
         Put(v, "a");
         std::vector<DirEntry> entries;
         EXPECT_EQ(v.List("a", {}, &entries), ENOTDIR);
       }},
      {"ListShowsEveryType",
       [](Volume& v) {
         ASSERT_EQ(v.MkDir("d", 0755), 0);
         ASSERT_EQ(v.SymLink("x", "l"), 0);
         ASSERT_EQ(v.MkNod("p", S_IFIFO | 0644, 0, 0), 0);
         EXPECT_EQ(CountNames(v, "").size(), 5u);
       }},
  };
}

}  // namespace daxvmm::conformance
