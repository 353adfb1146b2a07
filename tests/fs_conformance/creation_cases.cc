// What a new inode is born with: mode under a umask, owner, group in SGID directories.
#include <sys/stat.h>

#include <cerrno>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {
namespace {

struct Maker {
  const char* name;
  mode_t type;
  int (*make)(Volume& v, const std::string& path, mode_t mode);
};

constexpr Maker kMakers[] = {
    {"File", S_IFREG,
     [](Volume& v, const std::string& path, mode_t mode) {
       int fd = -1;
       const int error = v.Open(path, O_CREAT | O_EXCL | O_RDWR, mode, &fd);
       return error != 0 ? error : v.Close(fd);
     }},
    {"Directory", S_IFDIR, [](Volume& v, const std::string& path, mode_t mode) { return v.MkDir(path, mode); }},
    {"Fifo", S_IFIFO,
     [](Volume& v, const std::string& path, mode_t mode) { return v.MkNod(path, S_IFIFO | mode, 0, 0); }},
    {"Socket", S_IFSOCK,
     [](Volume& v, const std::string& path, mode_t mode) { return v.MkNod(path, S_IFSOCK | mode, 0, 0); }},
    {"Node", S_IFREG,
     [](Volume& v, const std::string& path, mode_t mode) { return v.MkNod(path, S_IFREG | mode, 0, 0); }},
    {"TemporaryFile", S_IFREG,
     [](Volume& v, const std::string& path, mode_t mode) {
       int fd = -1;
       const int error = v.OpenTemporary(path.substr(0, path.rfind('/')), O_RDWR, mode, &fd);
       if (error != 0) return error;
       const int linked = v.LinkOpen(fd, path);
       return linked != 0 ? linked : v.Close(fd);
     }},
};

// A link to an open file by its descriptor asks for CAP_DAC_READ_SEARCH or the /proc way, which users have, too.
void AddUmaskCases(std::vector<Case>* cases) {
  for (const Maker& maker : kMakers) {
    for (const mode_t mask : {0u, 022u, 077u, 0777u}) {
      const std::string digits = {static_cast<char>('0' + (mask >> 6)), static_cast<char>('0' + ((mask >> 3) & 7)),
                                  static_cast<char>('0' + (mask & 7))};
      cases->push_back({std::string("New") + maker.name + "UnderUmask" + digits, [maker, mask](Volume& v) {
                          MakeDirectory(v, "d", 0777);
                          v.SetCaller(Caller{.uid = kUser, .gid = kGroup, .umask = mask});
                          EXPECT_EQ(maker.make(v, "d/n", 0777), 0);
                          EXPECT_EQ(maker.make(v, "d/m", 0640), 0);
                          v.SetCaller(0, 0);
                          EXPECT_EQ(AttributesOf(v, "d/n").mode, maker.type | (0777 & ~mask));
                          EXPECT_EQ(AttributesOf(v, "d/m").mode, maker.type | (0640 & ~mask));
                        }});
    }
  }
}

void AddOwnerCases(std::vector<Case>* cases) {
  for (const Maker& maker : kMakers) {
    cases->push_back({std::string("New") + maker.name + "BelongsToItsMaker", [maker](Volume& v) {
                        MakeDirectory(v, "d", 0777);
                        v.SetCaller(kUser, kGroup);
                        EXPECT_EQ(maker.make(v, "d/n", 0644), 0);
                        v.SetCaller(0, 0);
                        EXPECT_EQ(AttributesOf(v, "d/n").uid, kUser);
                        EXPECT_EQ(AttributesOf(v, "d/n").gid, kGroup);
                      }});
    cases->push_back({std::string("New") + maker.name + "InAnSgidDirectoryHasItsGroup", [maker](Volume& v) {
                        MakeDirectory(v, "d", 02777, 0, kForeignGroup);
                        v.SetCaller(kUser, kGroup);
                        EXPECT_EQ(maker.make(v, "d/n", 0755), 0);
                        v.SetCaller(0, 0);
                        const Attributes a = AttributesOf(v, "d/n");
                        EXPECT_EQ(a.uid, kUser);
                        EXPECT_EQ(a.gid, kForeignGroup);
                        EXPECT_EQ(a.mode & 07777, maker.type == S_IFDIR ? mode_t{02755} : mode_t{0755});
                      }});
    if (maker.type == S_IFDIR) continue;
    cases->push_back({std::string("New") + maker.name + "KeepsSgidOfItsMakersGroup", [maker](Volume& v) {
                        MakeDirectory(v, "d", 0777);
                        v.SetCaller(kUser, kGroup);
                        EXPECT_EQ(maker.make(v, "d/n", 06755), 0);
                        v.SetCaller(0, 0);
                        EXPECT_EQ(ModeOf(v, "d/n"), mode_t{06755});
                      }});
    cases->push_back({std::string("New") + maker.name + "LosesSgidOfAForeignGroup", [maker](Volume& v) {
                        MakeDirectory(v, "d", 02777, 0, kForeignGroup);
                        v.SetCaller(kUser, kGroup);
                        EXPECT_EQ(maker.make(v, "d/n", 06775), 0);
                        v.SetCaller(0, 0);
                        EXPECT_EQ(ModeOf(v, "d/n"), mode_t{04775});
                      }});
    cases->push_back({std::string("New") + maker.name + "ByRootKeepsSgidOfAForeignGroup", [maker](Volume& v) {
                        MakeDirectory(v, "d", 02777, 0, kForeignGroup);
                        EXPECT_EQ(maker.make(v, "d/n", 06775), 0);
                        EXPECT_EQ(ModeOf(v, "d/n"), mode_t{06775});
                      }});
  }
}

}  // namespace

std::vector<Case> CreationCases() {
  std::vector<Case> cases = {
      {"NewSymlinkIgnoresTheUmask",
       [](Volume& v) {
         MakeDirectory(v, "d", 0777);
         v.SetCaller(Caller{.uid = kUser, .gid = kGroup, .umask = 0777});
         ASSERT_EQ(v.SymLink("x", "d/l"), 0);
         EXPECT_EQ(ModeOf(v, "d/l"), mode_t{0777});
       }},
      {"NewSymlinkInAnSgidDirectoryHasItsGroup",
       [](Volume& v) {
         MakeDirectory(v, "d", 02777, 0, kForeignGroup);
         v.SetCaller(kUser, kGroup);
         ASSERT_EQ(v.SymLink("x", "d/l"), 0);
         EXPECT_EQ(AttributesOf(v, "d/l").gid, kForeignGroup);
       }},
      {"SgidGoesDownATree",
       [](Volume& v) {
         MakeDirectory(v, "d", 02777, 0, kForeignGroup);
         v.SetCaller(kUser, kGroup);
         ASSERT_EQ(v.MkDir("d/a", 0755), 0);
         ASSERT_EQ(v.MkDir("d/a/b", 0700), 0);
         Put(v, "d/a/b/f");
         EXPECT_EQ(AttributesOf(v, "d/a/b/f").gid, kForeignGroup);
         EXPECT_EQ(ModeOf(v, "d/a/b"), mode_t{02700});
       }},
      {"AMovedFileKeepsItsGroupInAnSgidDirectory",
       [](Volume& v) {
         MakeDirectory(v, "d", 02777, 0, kForeignGroup);
         MakeFile(v, "f", "", 0644, kUser, kGroup);
         ASSERT_EQ(v.Rename("f", "d/f", 0), 0);
         EXPECT_EQ(AttributesOf(v, "d/f").gid, kGroup);
       }},
      {"SgidIsKeptForAMemberByASupplementaryGroup",
       [](Volume& v) {
         MakeDirectory(v, "d", 02777, 0, kForeignGroup);
         const Acting acting(v, {.uid = kUser, .gid = kGroup, .groups = {kForeignGroup}});
         Put(v, "d/f", "", 02775);
         EXPECT_EQ(ModeOf(v, "d/f"), mode_t{02775});
       },
       kKernel},
      {"SgidSetByAMemberStays",
       [](Volume& v) {
         MakeFile(v, "f", "", 0644, kUser, kForeignGroup);
         const Acting acting(v, {.uid = kUser, .gid = kGroup, .groups = {kForeignGroup}});
         ASSERT_EQ(v.Chmod("f", 02755), 0);
         EXPECT_EQ(ModeOf(v, "f"), mode_t{02755});
       },
       kKernel},
      {"SgidSetByAForeignerIsDroppedSilently",
       [](Volume& v) {
         MakeFile(v, "f", "", 0644, kUser, kForeignGroup);
         const Acting acting(v);
         ASSERT_EQ(v.Chmod("f", 02755), 0);
         EXPECT_EQ(ModeOf(v, "f"), mode_t{0755});
       },
       kKernel},
      {"CreateOfExistingChangesNeitherModeNorOwner",
       [](Volume& v) {
         MakeFile(v, "f", "x", 0666, kStranger, kForeignGroup);
         v.SetCaller(kUser, kGroup);
         EXPECT_EQ(OpenError(v, "f", O_CREAT | O_RDWR | O_TRUNC), 0);
         const Attributes a = AttributesOf(v, "f");
         EXPECT_EQ(a.uid, kStranger);
         EXPECT_EQ(a.mode & 07777, mode_t{0666});
         EXPECT_EQ(a.size, 0u);
       }},
      {"AReaderMayCreateAReadOnlyFile",
       [](Volume& v) {
         int fd = -1;
         ASSERT_EQ(v.Open("f", O_CREAT | O_RDONLY, 0444, &fd), 0);
         size_t n = 0;
         EXPECT_EQ(v.Write(fd, 0, "x", &n), EBADF);
         EXPECT_EQ(v.Close(fd), 0);
       }},
  };
  AddUmaskCases(&cases);
  AddOwnerCases(&cases);
  return cases;
}

}  // namespace daxvmm::conformance
