// Directories: link counts, identity, streams and their positions under change.
#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {
namespace {

// An open directory stream, closed at the end of its scope.
class Stream {
 public:
  Stream(Volume& v, const std::string& path) : v_(v) { EXPECT_EQ(v.OpenDir(path, &fd_), 0) << path; }
  ~Stream() {
    if (fd_ < 0) return;
    EXPECT_EQ(v_.CloseDir(fd_), 0);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  int fd() const { return fd_; }
  std::vector<DirEntry> Batch(uint64_t offset) {
    std::vector<DirEntry> entries;
    EXPECT_EQ(v_.ReadDir(fd_, offset, &entries), 0);
    return entries;
  }
  // Everything from `offset` on.
  std::vector<DirEntry> Rest(uint64_t offset) {
    std::vector<DirEntry> all;
    for (std::vector<DirEntry> batch = Batch(offset); !batch.empty(); batch = Batch(offset)) {
      offset = batch.back().next_offset;
      all.insert(all.end(), batch.begin(), batch.end());
    }
    return all;
  }

 private:
  Volume& v_;
  int fd_ = -1;
};

std::string Name(const char* prefix, int i) { return prefix + std::to_string(i); }
void Fill(Volume& v, const std::string& directory, int count) {
  MakeDirectory(v, directory);
  for (int i = 0; i < count; ++i) Put(v, directory + "/" + Name("file", i));
}
std::vector<std::string> Names(const std::vector<DirEntry>& entries) {
  std::vector<std::string> names;
  for (const DirEntry& entry : entries) names.push_back(entry.name);
  return names;
}
std::vector<DirEntry> EntriesOf(Volume& v, const std::string& path) {
  std::vector<DirEntry> entries;
  EXPECT_EQ(v.List(path, {}, &entries), 0);
  return entries;
}

}  // namespace

std::vector<Case> DirectoryCases() {
  return {
      {"LinkCountCountsSubdirectories",
       [](Volume& v) {
         MakeDirectory(v, "d");
         for (uint32_t i = 0; i < 5; ++i) {
           ASSERT_EQ(v.MkDir("d/" + std::to_string(i), 0755), 0);
           EXPECT_EQ(AttributesOf(v, "d").nlink, 3 + i);
         }
         Put(v, "d/file");
         EXPECT_EQ(AttributesOf(v, "d").nlink, 7u);
         ASSERT_EQ(v.RmDir("d/0"), 0);
         EXPECT_EQ(AttributesOf(v, "d").nlink, 6u);
       }},
      {"InodeNumbersAreStableAndDistinct",
       [](Volume& v) {
         Fill(v, "d", 50);
         std::set<uint64_t> seen;
         for (int i = 0; i < 50; ++i) {
           const uint64_t ino = AttributesOf(v, "d/" + Name("file", i)).ino;
           EXPECT_TRUE(seen.insert(ino).second);
           EXPECT_EQ(AttributesOf(v, "d/" + Name("file", i)).ino, ino);
         }
       }},
      {"ListedInodeNumbersAreThoseOfStat",
       [](Volume& v) {
         Fill(v, "d", 40);
         MakeDirectory(v, "d/sub");
         for (const DirEntry& entry : EntriesOf(v, "d")) {
           if (entry.name == "." || entry.name == "..") continue;
           EXPECT_EQ(entry.ino, AttributesOf(v, "d/" + entry.name).ino) << entry.name;
         }
       }},
      {"ListedDotIsTheDirectory",
       [](Volume& v) {
         MakeDirectory(v, "d");
         for (const DirEntry& entry : EntriesOf(v, "d")) {
           if (entry.name == ".") {
             EXPECT_EQ(entry.ino, AttributesOf(v, "d").ino);
           }
         }
       }},
      {"ListedTypesAreRight",
       [](Volume& v) {
         MakeDirectory(v, "d");
         Put(v, "d/file");
         MakeDirectory(v, "d/dir");
         ASSERT_EQ(v.SymLink("x", "d/link"), 0);
         ASSERT_EQ(v.MkNod("d/fifo", S_IFIFO | 0644, 0, 0), 0);
         ASSERT_EQ(v.MkNod("d/socket", S_IFSOCK | 0644, 0, 0), 0);
         ASSERT_EQ(v.MkNod("d/char", S_IFCHR | 0644, 1, 3), 0);
         ASSERT_EQ(v.MkNod("d/block", S_IFBLK | 0644, 7, 200), 0);
         const std::map<std::string, unsigned> expected = {{".", DT_DIR},       {"..", DT_DIR},   {"file", DT_REG},
                                                           {"dir", DT_DIR},     {"link", DT_LNK}, {"fifo", DT_FIFO},
                                                           {"socket", DT_SOCK}, {"char", DT_CHR}, {"block", DT_BLK}};
         std::map<std::string, unsigned> got;
         for (const DirEntry& entry : EntriesOf(v, "d")) got[entry.name] = entry.type;
         EXPECT_EQ(got, expected);
       }},
      {"ListedNamesOf255BytesAreWhole",
       [](Volume& v) {
         MakeDirectory(v, "d");
         std::set<std::string> expected = {".", ".."};
         for (char c = 'a'; c <= 'z'; ++c) {
           expected.insert(std::string(255, c));
           Put(v, "d/" + std::string(255, c));
         }
         const std::vector<std::string> names = Names(EntriesOf(v, "d"));
         EXPECT_EQ(std::set<std::string>(names.begin(), names.end()), expected);
         EXPECT_EQ(names.size(), expected.size());
       }},
      {"EveryPositionCanBeReturnedTo",
       [](Volume& v) {
         Fill(v, "d", 100);
         Stream stream(v, "d");
         const std::vector<DirEntry> all = stream.Rest(0);
         ASSERT_EQ(all.size(), 102u);
         for (size_t i = all.size(); i-- > 0;) {
           const std::vector<DirEntry> rest = stream.Rest(all[i].next_offset);
           EXPECT_EQ(Names(rest), Names(std::vector<DirEntry>(all.begin() + static_cast<long>(i) + 1, all.end()))) << i;
         }
       }},
      {"PositionsOutliveTheStream",
       [](Volume& v) {
         Fill(v, "d", 100);
         std::vector<DirEntry> all;
         {
           Stream stream(v, "d");
           all = stream.Rest(0);
         }
         Stream stream(v, "d");
         EXPECT_EQ(Names(stream.Rest(all[49].next_offset)), Names(std::vector<DirEntry>(all.begin() + 50, all.end())));
       }},
      {"RewindShowsANewFile",
       [](Volume& v) {
         Fill(v, "d", 10);
         Stream stream(v, "d");
         EXPECT_EQ(stream.Rest(0).size(), 12u);
         Put(v, "d/new");
         const std::vector<std::string> names = Names(stream.Rest(0));
         EXPECT_EQ(std::count(names.begin(), names.end(), "new"), 1);
       }},
      {"RewindHidesARemovedFile",
       [](Volume& v) {
         Fill(v, "d", 10);
         Stream stream(v, "d");
         EXPECT_EQ(stream.Rest(0).size(), 12u);
         ASSERT_EQ(v.Unlink("d/file3"), 0);
         const std::vector<std::string> names = Names(stream.Rest(0));
         EXPECT_EQ(std::count(names.begin(), names.end(), "file3"), 0);
         EXPECT_EQ(names.size(), 11u);
       }},
      {"RemovalOfWhatWasListedLosesNothing",
       [](Volume& v) {
         // As `rm -r` does it: read some, remove those, go on.
         Fill(v, "d", 500);
         Stream stream(v, "d");
         uint64_t offset = 0;
         for (std::vector<DirEntry> batch = stream.Batch(0); !batch.empty(); batch = stream.Batch(offset)) {
           offset = batch.back().next_offset;
           for (const DirEntry& entry : batch) {
             if (entry.name != "." && entry.name != "..") {
               EXPECT_EQ(v.Unlink("d/" + entry.name), 0);
             }
           }
         }
         EXPECT_EQ(v.RmDir("d"), 0);
       }},
      {"RenamesBehindTheStreamLoseNothing",
       [](Volume& v) {
         Fill(v, "d", 300);
         MakeDirectory(v, "e");
         std::vector<DirEntry> entries;
         ASSERT_EQ(v.List(
                       "d",
                       [&] {
                         for (int i = 0; i < 50; ++i)
                           EXPECT_EQ(v.Rename("d/" + Name("file", i), "e/" + Name("file", i), 0), 0);
                       },
                       &entries),
                   0);
         const std::vector<std::string> names = Names(entries);
         for (int i = 50; i < 300; ++i) EXPECT_EQ(std::count(names.begin(), names.end(), Name("file", i)), 1) << i;
       }},
      {"TwoStreamsAreIndependent",
       [](Volume& v) {
         Fill(v, "d", 200);
         Stream one(v, "d"), two(v, "d");
         const std::vector<DirEntry> first = one.Batch(0);
         ASSERT_FALSE(first.empty());
         EXPECT_EQ(two.Rest(0).size(), 202u);
         EXPECT_EQ(one.Rest(first.back().next_offset).size() + first.size(), 202u);
       }},
      {"AStreamOfARemovedDirectoryIsEnoent",  // which the C library makes the end of the stream
       [](Volume& v) {
         MakeDirectory(v, "d");
         const Stream stream(v, "d");
         ASSERT_EQ(v.RmDir("d"), 0);
         std::vector<DirEntry> entries;
         EXPECT_EQ(v.ReadDir(stream.fd(), 0, &entries), ENOENT);
         EXPECT_TRUE(entries.empty());
       }},
      {"AStreamFollowsARenamedDirectory",
       [](Volume& v) {
         Fill(v, "d", 3);
         Stream stream(v, "d");
         ASSERT_EQ(v.Rename("d", "e", 0), 0);
         Put(v, "e/new");
         EXPECT_EQ(stream.Rest(0).size(), 6u);
       }},
      {"FsyncOfDirectoryWorks",
       [](Volume& v) {
         MakeDirectory(v, "d");
         Stream stream(v, "d");
         Put(v, "d/a");
         EXPECT_EQ(v.FsyncDir(stream.fd()), 0);
       }},
      {"ListOfMissingIsEnoent",
       [](Volume& v) {
         std::vector<DirEntry> entries;
         EXPECT_EQ(v.List("none", {}, &entries), ENOENT);
       }},
      {"CreateInARemovedDirectoryIsEnoent",
       [](Volume& v) {
         MakeDirectory(v, "d");
         Stream stream(v, "d");
         ASSERT_EQ(v.RmDir("d"), 0);
         EXPECT_EQ(OpenError(v, "d/a", O_CREAT | O_RDWR), ENOENT);
         EXPECT_EQ(v.MkDir("d/e", 0755), ENOENT);
       }},
      {"ARecreatedDirectoryIsEmpty",
       [](Volume& v) {
         Fill(v, "d", 20);
         for (int i = 0; i < 20; ++i) ASSERT_EQ(v.Unlink("d/" + Name("file", i)), 0);
         ASSERT_EQ(v.RmDir("d"), 0);
         MakeDirectory(v, "d");
         EXPECT_EQ(EntriesOf(v, "d").size(), 2u);
         EXPECT_FALSE(Exists(v, "d/file3"));
       }},
      {"ANameGoneAndMadeAgainAsAnotherType",
       [](Volume& v) {
         Put(v, "n", "file");
         ASSERT_EQ(v.Unlink("n"), 0);
         MakeDirectory(v, "n");
         EXPECT_TRUE(S_ISDIR(AttributesOf(v, "n").mode));
         ASSERT_EQ(v.RmDir("n"), 0);
         ASSERT_EQ(v.SymLink("x", "n"), 0);
         EXPECT_TRUE(S_ISLNK(AttributesOf(v, "n").mode));
         ASSERT_EQ(v.Unlink("n"), 0);
         Put(v, "n", "again");
         EXPECT_EQ(Content(v, "n"), "again");
       }},
      {"TwoThousandEntriesAreListedOnce",
       [](Volume& v) {
         Fill(v, "d", 2000);
         const std::vector<std::string> names = Names(EntriesOf(v, "d"));
         EXPECT_EQ(names.size(), 2002u);
         EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), 2002u);
       }},
      {"NamesDifferingInCaseAreDifferent",
       [](Volume& v) {
         Put(v, "name", "1");
         Put(v, "NAME", "2");
         EXPECT_EQ(Content(v, "name"), "1");
         EXPECT_EQ(Content(v, "NAME"), "2");
       }},
      {"NamesInTwoUnicodeFormsAreDifferent",
       [](Volume& v) {
         Put(v, "\xc3\xa9", "composed");
         Put(v, "e\xcc\x81", "decomposed");
         EXPECT_EQ(Content(v, "\xc3\xa9"), "composed");
         EXPECT_EQ(Content(v, "e\xcc\x81"), "decomposed");
       }},
      {"DirectoryOpensForReading",
       [](Volume& v) {
         MakeDirectory(v, "d");
         EXPECT_EQ(OpenError(v, "d", O_RDONLY), 0);
         EXPECT_EQ(OpenError(v, "d", O_RDONLY | O_DIRECTORY), 0);
       },
       kKernel},
      {"ReadOfDirectoryIsEisdir",
       [](Volume& v) {
         MakeDirectory(v, "d");
         const File directory(v, "d", O_RDONLY);
         std::string data;
         EXPECT_EQ(v.Read(directory.fd(), 0, 10, &data), EISDIR);
       },
       kKernel},
      {"RmdirOfDotIsEinvalAndOfDotDotEnotempty",
       [](Volume& v) {
         MakeDirectory(v, "d");
         EXPECT_EQ(v.RmDir("d/."), EINVAL);
         EXPECT_EQ(v.RmDir("d/.."), ENOTEMPTY);
       },
       kKernel},
      {"MkdirIgnoresSetIdButKeepsSticky",
       [](Volume& v) {
         ASSERT_EQ(v.MkDir("d", 07755), 0);
         EXPECT_EQ(ModeOf(v, "d"), mode_t{01755});
       },
       kKernel},
  };
}

}  // namespace daxvmm::conformance
