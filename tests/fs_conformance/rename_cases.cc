// Renames: every kind of source onto every kind of target, identity, flags, and what must not change.
#include <stdio.h>
#include <sys/stat.h>

#include <cerrno>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {
namespace {

enum class Kind { kMissing, kFile, kEmptyDirectory, kFullDirectory, kSymlink, kFifo };

struct KindName {
  Kind kind;
  const char* name;
};
constexpr KindName kKinds[] = {{Kind::kMissing, "Nothing"},
                               {Kind::kFile, "File"},
                               {Kind::kEmptyDirectory, "EmptyDirectory"},
                               {Kind::kFullDirectory, "FullDirectory"},
                               {Kind::kSymlink, "Symlink"},
                               {Kind::kFifo, "Fifo"}};

void Make(Volume& v, const std::string& path, Kind kind) {
  switch (kind) {
    case Kind::kMissing:
      return;
    case Kind::kFile:
      return Put(v, path, path);
    case Kind::kFullDirectory:
      MakeDirectory(v, path);
      return Put(v, path + "/x", path);
    case Kind::kEmptyDirectory:
      return MakeDirectory(v, path);
    case Kind::kSymlink:
      EXPECT_EQ(v.SymLink(path, path), 0);
      return;
    case Kind::kFifo:
      EXPECT_EQ(v.MkNod(path, S_IFIFO | 0644, 0, 0), 0);
      return;
  }
}

bool IsDirectory(Kind kind) { return kind == Kind::kEmptyDirectory || kind == Kind::kFullDirectory; }

// What rename(2) says of it.
int Expected(Kind from, Kind to, uint32_t flags) {
  if (from == Kind::kMissing) return ENOENT;
  if (flags == RENAME_EXCHANGE) return to == Kind::kMissing ? ENOENT : 0;
  if (to == Kind::kMissing) return 0;
  if (flags == RENAME_NOREPLACE) return EEXIST;
  if (IsDirectory(from) && !IsDirectory(to)) return ENOTDIR;
  if (!IsDirectory(from) && IsDirectory(to)) return EISDIR;
  return to == Kind::kFullDirectory ? ENOTEMPTY : 0;
}

uint64_t InodeOf(Volume& v, const std::string& path) {
  Attributes a;
  return v.Stat(path, &a) == 0 ? a.ino : 0;
}

// "s" onto "t/t": either it fails and nothing has changed, or the source is there, and its old place is empty or, after
// an exchange, the target's.
void RenameKinds(Volume& v, Kind from, Kind to, uint32_t flags) {
  MakeDirectory(v, "t");
  Make(v, "s", from);
  Make(v, "t/t", to);
  const uint64_t source = InodeOf(v, "s"), target = InodeOf(v, "t/t");
  const int expected = Expected(from, to, flags);
  EXPECT_EQ(v.Rename("s", "t/t", flags), expected);
  const uint64_t left = flags == RENAME_EXCHANGE ? target : 0;
  EXPECT_EQ(InodeOf(v, "s"), expected == 0 ? left : source);
  EXPECT_EQ(InodeOf(v, "t/t"), expected == 0 ? source : target);
}

void AddKindCases(std::vector<Case>* cases) {
  struct Way {
    const char* name;
    uint32_t flags;
  };
  for (const Way& way :
       {Way{"Rename", 0}, {"RenameNoreplace", RENAME_NOREPLACE}, {"RenameExchange", RENAME_EXCHANGE}}) {
    for (const KindName& from : kKinds) {
      for (const KindName& to : kKinds) {
        // One case is enough for what is not there.
        if (from.kind == Kind::kMissing && to.kind != Kind::kMissing) continue;
        cases->push_back(
            {std::string(way.name) + "Of" + from.name + "Onto" + to.name,
             [from = from.kind, to = to.kind, flags = way.flags](Volume& v) { RenameKinds(v, from, to, flags); }});
      }
    }
  }
}

}  // namespace

std::vector<Case> RenameCases() {
  std::vector<Case> cases = {
      {"RenameOntoItselfDoesNothing",
       [](Volume& v) {
         Put(v, "a", "x");
         EXPECT_EQ(v.Rename("a", "a", 0), 0);
         EXPECT_EQ(Content(v, "a"), "x");
       }},
      {"RenameOfDirectoryKeepsItsFiles",
       [](Volume& v) {
         MakeDirectory(v, "d");
         MakeDirectory(v, "d/e");
         Put(v, "d/e/a", "x");
         const uint64_t ino = AttributesOf(v, "d/e/a").ino;
         ASSERT_EQ(v.Rename("d", "n", 0), 0);
         EXPECT_EQ(Content(v, "n/e/a"), "x");
         EXPECT_EQ(AttributesOf(v, "n/e/a").ino, ino);
         EXPECT_FALSE(Exists(v, "d/e/a"));
       }},
      {"RenameOfDirectoryMovesALinkOfItsParent",
       [](Volume& v) {
         MakeDirectory(v, "a");
         MakeDirectory(v, "b");
         MakeDirectory(v, "a/d");
         ASSERT_EQ(v.Rename("a/d", "b/d", 0), 0);
         EXPECT_EQ(AttributesOf(v, "a").nlink, 2u);
         EXPECT_EQ(AttributesOf(v, "b").nlink, 3u);
       }},
      {"RenameOverDirectoryTakesALinkFromTheParent",
       [](Volume& v) {
         MakeDirectory(v, "p");
         MakeDirectory(v, "p/a");
         MakeDirectory(v, "p/b");
         EXPECT_EQ(AttributesOf(v, "p").nlink, 4u);
         ASSERT_EQ(v.Rename("p/a", "p/b", 0), 0);
         EXPECT_EQ(AttributesOf(v, "p").nlink, 3u);
       }},
      {"RenameExchangeOfFileAndDirectoryMovesALink",
       [](Volume& v) {
         MakeDirectory(v, "a");
         MakeDirectory(v, "b");
         MakeDirectory(v, "a/d");
         Put(v, "b/f");
         ASSERT_EQ(v.Rename("a/d", "b/f", RENAME_EXCHANGE), 0);
         EXPECT_EQ(AttributesOf(v, "a").nlink, 2u);
         EXPECT_EQ(AttributesOf(v, "b").nlink, 3u);
         EXPECT_TRUE(S_ISREG(AttributesOf(v, "a/d").mode));
       }},
      {"RenameExchangeWithAnAncestorIsEinval",
       [](Volume& v) {
         MakeDirectory(v, "d");
         MakeDirectory(v, "d/e");
         EXPECT_EQ(v.Rename("d", "d/e", RENAME_EXCHANGE), EINVAL);
         EXPECT_EQ(v.Rename("d/e", "d", RENAME_EXCHANGE), EINVAL);
       }},
      {"RenameOntoAnAncestorIsEnotempty",
       [](Volume& v) {
         MakeDirectory(v, "d");
         MakeDirectory(v, "d/e");
         EXPECT_EQ(v.Rename("d/e", "d", 0), ENOTEMPTY);
       }},
      {"RenameIntoItsOwnDescendantIsEinval",
       [](Volume& v) {
         MakeDirectory(v, "d");
         MakeDirectory(v, "d/e");
         MakeDirectory(v, "d/e/f");
         EXPECT_EQ(v.Rename("d", "d/e/f/g", 0), EINVAL);
         EXPECT_EQ(v.Rename("d", "d/e", 0), EINVAL);
       }},
      {"RenameNoreplaceWithExchangeIsEinval",
       [](Volume& v) {
         Put(v, "a");
         Put(v, "b");
         EXPECT_EQ(v.Rename("a", "b", RENAME_NOREPLACE | RENAME_EXCHANGE), EINVAL);
       }},
      {"RenameWhiteoutWithExchangeIsEinval",
       [](Volume& v) {
         Put(v, "a");
         Put(v, "b");
         EXPECT_EQ(v.Rename("a", "b", RENAME_WHITEOUT | RENAME_EXCHANGE), EINVAL);
       }},
      {"RenameWhiteoutNoreplaceOntoExistingIsEexist",
       [](Volume& v) {
         Put(v, "a", "1");
         Put(v, "b", "2");
         EXPECT_EQ(v.Rename("a", "b", RENAME_WHITEOUT | RENAME_NOREPLACE), EEXIST);
         EXPECT_EQ(Content(v, "a"), "1");
       }},
      {"RenameExchangeWithItselfWorks",
       [](Volume& v) {
         Put(v, "a", "1");
         EXPECT_EQ(v.Rename("a", "a", RENAME_EXCHANGE), 0);
         EXPECT_EQ(Content(v, "a"), "1");
       }},
      {"RenameIntoMissingDirectoryIsEnoent",
       [](Volume& v) {
         Put(v, "a");
         EXPECT_EQ(v.Rename("a", "none/a", 0), ENOENT);
         EXPECT_TRUE(Exists(v, "a"));
       }},
      {"RenameBelowFileIsEnotdir",
       [](Volume& v) {
         Put(v, "a");
         Put(v, "f");
         EXPECT_EQ(v.Rename("a", "f/a", 0), ENOTDIR);
         EXPECT_EQ(v.Rename("f/a", "b", 0), ENOTDIR);
       }},
      {"RenameKeepsAnOpenFileUsable",
       [](Volume& v) {
         MakeDirectory(v, "d");
         const File file(v, "a", O_CREAT | O_RDWR);
         WriteAt(v, file.fd(), 0, "one");
         ASSERT_EQ(v.Rename("a", "d/b", 0), 0);
         WriteAt(v, file.fd(), 3, "two");
         ASSERT_EQ(v.FTruncate(file.fd(), 5), 0);
         EXPECT_EQ(Content(v, "d/b"), "onetw");
       }},
      {"RenameOverAFileThatIsOpenAndWritten",
       [](Volume& v) {
         Put(v, "a", "new");
         const File old_file(v, "b", O_CREAT | O_RDWR);
         WriteAt(v, old_file.fd(), 0, "old");
         ASSERT_EQ(v.Rename("a", "b", 0), 0);
         WriteAt(v, old_file.fd(), 3, "er");
         Attributes a;
         ASSERT_EQ(v.FStat(old_file.fd(), &a), 0);
         EXPECT_EQ(a.nlink, 0u);
         EXPECT_EQ(ReadAt(v, old_file.fd(), 0, 10), "older");
         EXPECT_EQ(Content(v, "b"), "new");
       }},
      {"RenameOverOneOfTwoLinksLeavesTheOther",
       [](Volume& v) {
         Put(v, "a", "new");
         Put(v, "b", "old");
         ASSERT_EQ(v.Link("b", "c"), 0);
         ASSERT_EQ(v.Rename("a", "b", 0), 0);
         EXPECT_EQ(AttributesOf(v, "c").nlink, 1u);
         EXPECT_EQ(Content(v, "c"), "old");
       }},
      {"RenameKeepsOwnerModeTimesAndXattrs",
       [](Volume& v) {
         MakeFile(v, "a", "x", 0640, 11, 22);
         ASSERT_EQ(v.SetTimes("a", {5, 50}, {6, 60}), 0);
         ASSERT_EQ(v.SetXattr("a", "user.x", "1", 0), 0);
         ASSERT_EQ(v.Rename("a", "b", 0), 0);
         const Attributes a = AttributesOf(v, "b");
         EXPECT_EQ(a.mode & 07777, mode_t{0640});
         EXPECT_EQ(a.gid, 22u);
         EXPECT_EQ(a.mtime.tv_sec, 6);
         EXPECT_EQ(a.mtime.tv_nsec, 60);
         std::string value;
         EXPECT_EQ(v.GetXattr("b", "user.x", &value), 0);
       }},
      {"RenameThereAndBackAHundredTimes",
       [](Volume& v) {
         MakeDirectory(v, "d");
         Put(v, "a", "x");
         for (int i = 0; i < 100; ++i) {
           ASSERT_EQ(v.Rename("a", "d/b", 0), 0);
           ASSERT_FALSE(Exists(v, "a"));
           ASSERT_EQ(v.Rename("d/b", "a", 0), 0);
           ASSERT_FALSE(Exists(v, "d/b"));
         }
         EXPECT_EQ(Content(v, "a"), "x");
       }},
      {"RenameToANameOf255Bytes",
       [](Volume& v) {
         const std::string name(255, 'n');
         Put(v, "a", "x");
         ASSERT_EQ(v.Rename("a", name, 0), 0);
         EXPECT_EQ(Content(v, name), "x");
       }},
      {"RenameOfDirectoryUpdatesDotDot",
       [](Volume& v) {
         MakeDirectory(v, "a");
         MakeDirectory(v, "b");
         MakeDirectory(v, "a/d");
         ASSERT_EQ(v.Rename("a/d", "b/d", 0), 0);
         EXPECT_EQ(AttributesOf(v, "b/d/..").ino, AttributesOf(v, "b").ino);
       },
       kKernel},
      {"RenameOfDotIsEbusy",
       [](Volume& v) {
         MakeDirectory(v, "d");
         EXPECT_EQ(v.Rename("d/.", "e", 0), EBUSY);
         EXPECT_EQ(v.Rename("d", "d/..", 0), EBUSY);
       },
       kKernel},
  };
  AddKindCases(&cases);
  return cases;
}

}  // namespace daxvmm::conformance
