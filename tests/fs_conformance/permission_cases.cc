// Who may do what: every operation by each class of caller. The kernel in between decides; the file system must then do
// what was allowed, in the caller's name, and must not be asked for the rest.
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {
namespace {

const Caller kOrdinary = {.uid = kUser, .gid = kGroup};
const Caller kMember = {.uid = kUser, .gid = kGroup, .groups = {kForeignGroup}};

// ---- Names: what is made or removed in a directory.

struct NameOperation {
  const char* name;
  bool removes;  // something that a sticky directory protects
  int (*run)(Volume& v);
};

// In the directory d, with d/file and d/empty. Directory o is the caller's, with o/mine.
constexpr NameOperation kNameOperations[] = {
    {"Create", false, [](Volume& v) { return OpenError(v, "d/new", O_CREAT | O_EXCL | O_WRONLY); }},
    {"Mkdir", false, [](Volume& v) { return v.MkDir("d/new", 0755); }},
    {"MknodOfFifo", false, [](Volume& v) { return v.MkNod("d/new", S_IFIFO | 0644, 0, 0); }},
    {"MknodOfFile", false, [](Volume& v) { return v.MkNod("d/new", S_IFREG | 0644, 0, 0); }},
    {"Symlink", false, [](Volume& v) { return v.SymLink("x", "d/new"); }},
    {"Link", false, [](Volume& v) { return v.Link("o/mine", "d/new"); }},
    {"RenameInto", false, [](Volume& v) { return v.Rename("o/mine", "d/new", 0); }},
    {"Unlink", true, [](Volume& v) { return v.Unlink("d/file"); }},
    {"Rmdir", true, [](Volume& v) { return v.RmDir("d/empty"); }},
    {"RenameOutOf", true, [](Volume& v) { return v.Rename("d/file", "o/new", 0); }},
    {"RenameWithin", true, [](Volume& v) { return v.Rename("d/file", "d/new", 0); }},
    {"RenameOver", true, [](Volume& v) { return v.Rename("o/mine", "d/file", 0); }},
    {"RenameExchange", true, [](Volume& v) { return v.Rename("o/mine", "d/file", RENAME_EXCHANGE); }},
};

struct Place {
  const char* name;
  mode_t mode;
  uid_t uid;
  gid_t gid;
  uid_t file_owner;
  const Caller& caller;
  int making, removing;  // what is expected
};

const Place kPlaces[] = {
    {"InAnothersDirectoryIsEacces", 0755, 0, 0, 0, kOrdinary, EACCES, EACCES},
    {"InOnesOwnDirectoryWorks", 0700, kUser, 0, 0, kOrdinary, 0, 0},
    {"ByTheGroupWorks", 0770, 0, kGroup, 0, kOrdinary, 0, 0},
    {"ByASupplementaryGroupWorks", 0770, 0, kForeignGroup, 0, kMember, 0, 0},
    {"ByTheOwnerWithoutWriteIsEacces", 0577, kUser, kGroup, 0, kOrdinary, EACCES, EACCES},
    {"ByAGroupWithoutWriteIsEacces", 0757, 0, kGroup, 0, kOrdinary, EACCES, EACCES},
    {"ByEverybodyWorks", 0777, 0, 0, 0, kOrdinary, 0, 0},
    {"WithoutSearchIsEacces", 0776, 0, 0, 0, kOrdinary, EACCES, EACCES},
    {"OfAnothersInAStickyDirectory", 01777, 0, 0, kStranger, kOrdinary, 0, EPERM},
    {"OfOnesOwnInAStickyDirectoryWorks", 01777, 0, 0, kUser, kOrdinary, 0, 0},
    {"InOnesOwnStickyDirectoryWorks", 01777, kUser, 0, kStranger, kOrdinary, 0, 0},
};

void AddNameCases(std::vector<Case>* cases) {
  for (const NameOperation& operation : kNameOperations) {
    for (const Place& place : kPlaces) {
      cases->push_back({std::string(operation.name) + place.name,
                        [operation, place](Volume& v) {
                          MakeDirectory(v, "d");
                          MakeFile(v, "d/file", "", 0666, place.file_owner, 0);
                          MakeDirectory(v, "d/empty", 0777, place.file_owner, 0);
                          ASSERT_EQ(v.Chown("d", place.uid, place.gid), 0);
                          ASSERT_EQ(v.Chmod("d", place.mode), 0);
                          MakeDirectory(v, "o", 0755, kUser, kGroup);
                          MakeFile(v, "o/mine", "", 0644, kUser, kGroup);
                          {
                            const Acting acting(v, place.caller);
                            EXPECT_EQ(operation.run(v), operation.removes ? place.removing : place.making);
                          }
                          Attributes a;
                          if (!operation.removes && place.making == 0 && v.Stat("d/new", &a) == 0) {
                            EXPECT_EQ(a.uid, kUser);
                            EXPECT_EQ(a.gid, kGroup);
                          }
                        },
                        kKernel});
    }
  }
}

// ---- A file's attributes and content.

struct FileOperation {
  const char* name;
  int (*run)(Volume& v);
  // What is expected of the owner (0600), a group with all rights (0060), others with all rights (0666), others
  // without any (0600), and a group without any (0606).
  int by_owner, by_group, by_others, by_stranger, by_denied_group;
};

constexpr FileOperation kFileOperations[] = {
    {"OpenForReading", [](Volume& v) { return OpenError(v, "f", O_RDONLY); }, 0, 0, 0, EACCES, EACCES},
    {"OpenForWriting", [](Volume& v) { return OpenError(v, "f", O_WRONLY); }, 0, 0, 0, EACCES, EACCES},
    {"OpenForBoth", [](Volume& v) { return OpenError(v, "f", O_RDWR); }, 0, 0, 0, EACCES, EACCES},
    {"OpenWithTrunc", [](Volume& v) { return OpenError(v, "f", O_WRONLY | O_TRUNC); }, 0, 0, 0, EACCES, EACCES},
    {"OpenWithCreat", [](Volume& v) { return OpenError(v, "f", O_RDWR | O_CREAT); }, 0, 0, 0, EACCES, EACCES},
    {"Truncate", [](Volume& v) { return v.Truncate("f", 1); }, 0, 0, 0, EACCES, EACCES},
    {"AccessForReading", [](Volume& v) { return v.Access("f", R_OK); }, 0, 0, 0, EACCES, EACCES},
    {"AccessForWriting", [](Volume& v) { return v.Access("f", W_OK); }, 0, 0, 0, EACCES, EACCES},
    {"AccessForExecuting", [](Volume& v) { return v.Access("f", X_OK); }, EACCES, EACCES, EACCES, EACCES, EACCES},
    {"SetxattrOfUser", [](Volume& v) { return v.SetXattr("f", "user.y", "1", 0); }, 0, 0, 0, EACCES, EACCES},
    {"RemovexattrOfUser", [](Volume& v) { return v.RemoveXattr("f", "user.x"); }, 0, 0, 0, EACCES, EACCES},
    {"GetxattrOfUser",
     [](Volume& v) {
       std::string value;
       return v.GetXattr("f", "user.x", &value);
     },
     0, 0, 0, EACCES, EACCES},
    {"Chmod", [](Volume& v) { return v.Chmod("f", 0644); }, 0, EPERM, EPERM, EPERM, EPERM},
    {"ChownToOnesOwnGroup", [](Volume& v) { return v.Chown("f", kKeepUid, kGroup); }, 0, EPERM, EPERM, EPERM, EPERM},
    {"ChownToAForeignGroup", [](Volume& v) { return v.Chown("f", kKeepUid, 999); }, EPERM, EPERM, EPERM, EPERM, EPERM},
    {"ChownToAnotherUser", [](Volume& v) { return v.Chown("f", 999, kKeepGid); }, EPERM, EPERM, EPERM, EPERM, EPERM},
    {"SetTimes", [](Volume& v) { return v.SetTimes("f", {1, 0}, {2, 0}); }, 0, EPERM, EPERM, EPERM, EPERM},
    {"SetTimesToNow", [](Volume& v) { return v.SetTimes("f", {0, UTIME_NOW}, {0, UTIME_NOW}); }, 0, 0, 0, EACCES,
     EACCES},
    {"SetTimesToNowAndOmit", [](Volume& v) { return v.SetTimes("f", {0, UTIME_NOW}, {0, UTIME_OMIT}); }, 0, EPERM,
     EPERM, EPERM, EPERM},
};

void AddFileCases(std::vector<Case>* cases) {
  struct Class {
    const char* name;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    int FileOperation::* expected;
  };
  for (const Class& who : {Class{"ByTheOwner", 0600, kUser, 0, &FileOperation::by_owner},
                           {"ByTheGroup", 0060, 0, kGroup, &FileOperation::by_group},
                           {"ByOthers", 0666, 0, 0, &FileOperation::by_others},
                           {"ByAStranger", 0600, 0, 0, &FileOperation::by_stranger},
                           {"ByADeniedGroup", 0606, 0, kGroup, &FileOperation::by_denied_group}}) {
    for (const FileOperation& operation : kFileOperations) {
      cases->push_back({std::string(operation.name) + who.name,
                        [operation, who](Volume& v) {
                          MakeFile(v, "f", "text", who.mode, who.uid, who.gid);
                          ASSERT_EQ(v.SetXattr("f", "user.x", "1", 0), 0);
                          const Acting acting(v);
                          EXPECT_EQ(operation.run(v), operation.*who.expected);
                        },
                        kKernel});
    }
  }
}

// ---- Search and read permission of a directory.

void AddSearchCases(std::vector<Case>* cases) {
  struct Operation {
    const char* name;
    int (*run)(Volume& v);
  };
  constexpr Operation kOperations[] = {
      {"Stat",
       [](Volume& v) {
         Attributes a;
         return v.Stat("d/f", &a);
       }},
      {"Open", [](Volume& v) { return OpenError(v, "d/f", O_RDONLY); }},
      {"Readlink",
       [](Volume& v) {
         std::string target;
         return v.ReadLink("d/l", &target);
       }},
      {"Access", [](Volume& v) { return v.Access("d/f", F_OK); }},
      {"Chmod", [](Volume& v) { return v.Chmod("d/f", 0644); }},
      {"SetTimes", [](Volume& v) { return v.SetTimes("d/f", {1, 0}, {2, 0}); }},
      {"Getxattr",
       [](Volume& v) {
         std::string value;
         return v.GetXattr("d/f", "user.x", &value);
       }},
      {"List",
       [](Volume& v) {
         std::vector<DirEntry> entries;
         return v.List("d/e", {}, &entries);
       }},
      {"LinkOf", [](Volume& v) { return v.Link("d/f", "o/new"); }},
  };
  for (const Operation& operation : kOperations) {
    for (const bool allowed : {false, true}) {
      cases->push_back({std::string(operation.name) + (allowed ? "BelowSearchOnlyWorks" : "BelowUnsearchableIsEacces"),
                        [operation, allowed](Volume& v) {
                          MakeDirectory(v, "o", 0777);
                          MakeDirectory(v, "d");
                          MakeDirectory(v, "d/e", 0777);
                          MakeFile(v, "d/f", "", 0666, kUser, kGroup);
                          ASSERT_EQ(v.SetXattr("d/f", "user.x", "1", 0), 0);
                          ASSERT_EQ(v.SymLink("x", "d/l"), 0);
                          ASSERT_EQ(v.Chmod("d", allowed ? 0711 : 0766), 0);
                          const Acting acting(v);
                          EXPECT_EQ(operation.run(v), allowed ? 0 : EACCES);
                        },
                        kKernel});
    }
  }
}

}  // namespace

std::vector<Case> PermissionCases() {
  std::vector<Case> cases = {
      {"ListWithoutReadIsEacces",
       [](Volume& v) {
         MakeDirectory(v, "d", 0711);
         const Acting acting(v);
         std::vector<DirEntry> entries;
         EXPECT_EQ(v.List("d", {}, &entries), EACCES);
       },
       kKernel},
      {"ListWithReadButNoSearchShowsNames",
       [](Volume& v) {
         MakeDirectory(v, "d", 0755);
         Put(v, "d/f");
         ASSERT_EQ(v.Chmod("d", 0744), 0);
         const Acting acting(v);
         std::vector<DirEntry> entries;
         EXPECT_EQ(v.List("d", {}, &entries), 0);
         EXPECT_EQ(entries.size(), 3u);
         EXPECT_FALSE(Exists(v, "d/f"));
       },
       kKernel},
      {"RootReadsAndWritesWithoutAnyPermission",
       [](Volume& v) {
         MakeDirectory(v, "d", 0, kUser, kGroup);
         MakeFile(v, "d/f", "x", 0, kUser, kGroup);
         EXPECT_EQ(Content(v, "d/f"), "x");
         EXPECT_EQ(OpenError(v, "d/f", O_RDWR | O_TRUNC), 0);
         EXPECT_EQ(v.Unlink("d/f"), 0);
       }},
      {"RootMayNotExecuteWhatNobodyMay",
       [](Volume& v) {
         MakeFile(v, "f", "", 0666);
         EXPECT_EQ(v.Access("f", X_OK), EACCES);
         ASSERT_EQ(v.Chmod("f", 0667), 0);
         EXPECT_EQ(v.Access("f", X_OK), 0);
       },
       kKernel},
      {"RootUnlinksInAStickyDirectory",
       [](Volume& v) {
         MakeDirectory(v, "d", 01777, kStranger, 0);
         MakeFile(v, "d/f", "", 0600, kUser, kGroup);
         EXPECT_EQ(v.Unlink("d/f"), 0);
       }},
      {"ChownToASupplementaryGroupWorks",
       [](Volume& v) {
         MakeFile(v, "f", "", 0644, kUser, kGroup);
         {
           const Acting acting(v, kMember);
           EXPECT_EQ(v.Chown("f", kKeepUid, kForeignGroup), 0);
         }
         EXPECT_EQ(AttributesOf(v, "f").gid, kForeignGroup);
       },
       kKernel},
      {"ReadByASupplementaryGroupWorks",
       [](Volume& v) {
         MakeFile(v, "f", "text", 0040, 0, kForeignGroup);
         const Acting acting(v, kMember);
         EXPECT_EQ(Content(v, "f"), "text");
       },
       kKernel},
      {"MknodOfADeviceByAUserIsEperm",
       [](Volume& v) {
         MakeDirectory(v, "d", 0777);
         const Acting acting(v);
         EXPECT_EQ(v.MkNod("d/c", S_IFCHR | 0666, 1, 3), EPERM);
         EXPECT_EQ(v.MkNod("d/b", S_IFBLK | 0666, 7, 0), EPERM);
         EXPECT_EQ(v.MkNod("d/p", S_IFIFO | 0666, 0, 0), 0);
         EXPECT_EQ(v.MkNod("d/s", S_IFSOCK | 0666, 0, 0), 0);
       },
       kKernel},
      {"RenameOfADirectoryNeedsWriteInItself",
       [](Volume& v) {
         // Its ".." changes.
         MakeDirectory(v, "a", 0777);
         MakeDirectory(v, "b", 0777);
         MakeDirectory(v, "a/d", 0555, kStranger, 0);
         const Acting acting(v);
         EXPECT_EQ(v.Rename("a/d", "b/d", 0), EACCES);
         EXPECT_EQ(v.Rename("a/d", "a/e", 0), 0);
       },
       kKernel},
      {"StickyBitOfAFileByAUserIsAccepted",
       [](Volume& v) {
         MakeFile(v, "f", "", 0644, kUser, kGroup);
         const Acting acting(v);
         EXPECT_EQ(v.Chmod("f", 01644), 0);
         EXPECT_EQ(ModeOf(v, "f"), mode_t{01644});
       },
       kKernel},
      {"UserXattrInAnothersStickyDirectoryIsEperm",
       [](Volume& v) {
         MakeDirectory(v, "d", 01777);
         const Acting acting(v);
         EXPECT_EQ(v.SetXattr("d", "user.x", "1", 0), EPERM);
       },
       kKernel},
      {"TrustedXattrsAreRootsAlone",
       [](Volume& v) {
         MakeFile(v, "f", "", 0666, kUser, kGroup);
         ASSERT_EQ(v.SetXattr("f", "trusted.x", "1", 0), 0);
         const Acting acting(v);
         std::string value;
         EXPECT_EQ(v.GetXattr("f", "trusted.x", &value), ENODATA);
         EXPECT_EQ(v.SetXattr("f", "trusted.x", "2", 0), EPERM);
         EXPECT_EQ(v.RemoveXattr("f", "trusted.x"), EPERM);
       },
       kKernel},
      {"TrustedXattrsAreNotListedToUsers",
       [](Volume& v) {
         MakeFile(v, "f", "", 0666, kUser, kGroup);
         ASSERT_EQ(v.SetXattr("f", "trusted.x", "1", 0), 0);
         ASSERT_EQ(v.SetXattr("f", "user.x", "1", 0), 0);
         const Acting acting(v);
         std::vector<std::string> names;
         ASSERT_EQ(v.ListXattr("f", &names), 0);
         EXPECT_EQ(names, (std::vector<std::string>{"user.x"}));
       }},
      {"SecurityXattrsAreNotSetByUsers",
       [](Volume& v) {
         MakeFile(v, "f", "", 0666, kUser, kGroup);
         const Acting acting(v);
         EXPECT_EQ(v.SetXattr("f", "security.x", "2", 0), EPERM);
       },
       kKernel},
      {"AFileCreatedWithoutWritePermissionIsWrittenByItsMaker",
       [](Volume& v) {
         MakeDirectory(v, "d", 0777);
         const Acting acting(v);
         const File file(v, "d/f", O_CREAT | O_EXCL | O_RDWR, 0400);
         WriteAt(v, file.fd(), 0, "text");
         EXPECT_EQ(OpenError(v, "d/f", O_WRONLY), EACCES);
         EXPECT_EQ(ReadAt(v, file.fd(), 0, 10), "text");
       },
       kKernel},
      {"AHandleOutlivesThePermission",
       [](Volume& v) {
         MakeFile(v, "f", "text", 0666);
         int fd = -1;
         {
           const Acting acting(v);
           ASSERT_EQ(v.Open("f", O_RDWR, 0, &fd), 0);
         }
         ASSERT_EQ(v.Chmod("f", 0), 0);
         {
           const Acting acting(v);
           WriteAt(v, fd, 4, "!");
           EXPECT_EQ(ReadAt(v, fd, 0, 10), "text!");
           EXPECT_EQ(v.FTruncate(fd, 2), 0);
         }
         EXPECT_EQ(v.Close(fd), 0);
       }},
  };
  AddNameCases(&cases);
  AddFileCases(&cases);
  AddSearchCases(&cases);
  return cases;
}

}  // namespace daxvmm::conformance
