// POSIX access control lists, as the extended attributes that carry them.
#include <endian.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {
namespace {

constexpr char kAccess[] = "system.posix_acl_access";
constexpr char kDefault[] = "system.posix_acl_default";

// include/uapi/linux/posix_acl.h and posix_acl_xattr.h.
enum Tag : uint16_t {
  kOwner = 0x01,
  kNamedUser = 0x02,
  kOwningGroup = 0x04,
  kNamedGroup = 0x08,
  kMask = 0x10,
  kOther = 0x20
};
struct AclEntry {
  Tag tag;
  uint16_t permissions;
  uint32_t id = 0xffffffff;
};

std::string Acl(const std::vector<AclEntry>& entries) {
  const uint32_t version = htole32(2);
  std::string value(reinterpret_cast<const char*>(&version), sizeof(version));
  for (const AclEntry& entry : entries) {
    const uint16_t head[2] = {htole16(entry.tag), htole16(entry.permissions)};
    const uint32_t id = htole32(entry.id);
    value.append(reinterpret_cast<const char*>(head), sizeof(head));
    value.append(reinterpret_cast<const char*>(&id), sizeof(id));
  }
  return value;
}
// The three entries that a mode says as well.
std::string Minimal(mode_t mode) {
  return Acl({{kOwner, static_cast<uint16_t>((mode >> 6) & 7)},
              {kOwningGroup, static_cast<uint16_t>((mode >> 3) & 7)},
              {kOther, static_cast<uint16_t>(mode & 7)}});
}
std::string WithUser(uint16_t owner, uid_t user, uint16_t permissions, uint16_t group, uint16_t mask, uint16_t other) {
  return Acl({{kOwner, owner}, {kNamedUser, permissions, user}, {kOwningGroup, group}, {kMask, mask}, {kOther, other}});
}
std::string WithGroup(uint16_t owner, uint16_t group, gid_t named, uint16_t permissions, uint16_t mask,
                      uint16_t other) {
  return Acl(
      {{kOwner, owner}, {kOwningGroup, group}, {kNamedGroup, permissions, named}, {kMask, mask}, {kOther, other}});
}
int Get(Volume& v, const std::string& path, const char* name, std::string* value) {
  return v.GetXattr(path, name, value);
}
std::string Value(Volume& v, const std::string& path, const char* name) {
  std::string value;
  EXPECT_EQ(Get(v, path, name, &value), 0) << path;
  return value;
}
int GetError(Volume& v, const std::string& path, const char* name) {
  std::string value;
  return Get(v, path, name, &value);
}

// Inheritance from a default list, under a umask that must not count then.
void AddInheritanceCases(std::vector<Case>* cases) {
  struct Made {
    const char* name;
    int (*make)(Volume& v);
    mode_t mode;  // of d/n
  };
  const auto* const kinds =
      new std::vector<Made>{{"File", [](Volume& v) { return OpenError(v, "d/n", O_CREAT | O_EXCL | O_RDWR); }, 0640},
                            {"Directory", [](Volume& v) { return v.MkDir("d/n", 0777); }, 0770},
                            {"Fifo", [](Volume& v) { return v.MkNod("d/n", S_IFIFO | 0666, 0, 0); }, 0660},
                            {"Node", [](Volume& v) { return v.MkNod("d/n", S_IFREG | 0666, 0, 0); }, 0660},
                            {"TemporaryFile",
                             [](Volume& v) {
                               int fd = -1;
                               const int error = v.OpenTemporary("d", O_RDWR, 0666, &fd);
                               if (error != 0) return error;
                               const int linked = v.LinkOpen(fd, "d/n");
                               return linked != 0 ? linked : v.Close(fd);
                             },
                             0660}};
  for (const Made& made : *kinds) {
    cases->push_back({std::string("DefaultAclShapesANew") + made.name, [&made](Volume& v) {
                        MakeDirectory(v, "d", 0777);
                        ASSERT_EQ(v.SetXattr("d", kDefault, WithUser(7, 999, 7, 5, 7, 0), 0), 0);
                        v.SetCaller(Caller{.uid = kUser, .gid = kGroup, .umask = 077});
                        EXPECT_EQ(made.make(v), 0);
                        v.SetCaller(0, 0);
                        EXPECT_EQ(ModeOf(v, "d/n"), made.mode);
                        const std::string acl = Value(v, "d/n", kAccess);
                        EXPECT_EQ(acl, WithUser((made.mode >> 6) & 7, 999, 7, 5, (made.mode >> 3) & 7, 0));
                      }});
  }
}

void AddBadCases(std::vector<Case>* cases) {
  struct Bad {
    const char* name;
    std::string value;
  };
  std::string version_1 = Minimal(0644);
  version_1[0] = 1;
  for (const Bad& bad : std::vector<Bad>{
           {"WithoutItsGroup", Acl({{kOwner, 6}, {kOther, 4}})},
           {"WithANamedUserButNoMask", Acl({{kOwner, 6}, {kNamedUser, 4, 5}, {kOwningGroup, 4}, {kOther, 4}})},
           {"WithTwoOwners", Acl({{kOwner, 6}, {kOwner, 6}, {kOwningGroup, 4}, {kOther, 4}})},
           {"WithPermissionsBeyondRwx", Acl({{kOwner, 8}, {kOwningGroup, 4}, {kOther, 4}})},
           {"OfOddLength", Minimal(0644).substr(0, 27)}}) {
    cases->push_back({std::string("Acl") + bad.name + "IsEinval", [bad](Volume& v) {
                        Put(v, "f");
                        EXPECT_EQ(v.SetXattr("f", kAccess, bad.value, 0), EINVAL);
                        EXPECT_EQ(ModeOf(v, "f"), mode_t{0644});
                      }});
  }
  cases->push_back({"AclOfAnotherVersionIsEopnotsupp", [version_1](Volume& v) {
                      Put(v, "f");
                      EXPECT_EQ(v.SetXattr("f", kAccess, version_1, 0), EOPNOTSUPP);
                    }});
}

// Who gets in by a list, through a kernel.
void AddDecisionCases(std::vector<Case>* cases) {
  struct Decision {
    const char* name;
    std::string acl;
    gid_t file_group;
    Caller caller;
    int read, write;
  };
  const Caller user = {.uid = kUser, .gid = kGroup};
  const Caller member = {.uid = kUser, .gid = kGroup, .groups = {kForeignGroup}};
  for (const Decision& decision : std::vector<Decision>{
           {"AclGrantsToANamedUser", WithUser(6, kUser, 6, 0, 7, 0), 0, user, 0, 0},
           {"AclDeniesANamedUserWhatOthersMay", WithUser(6, kUser, 0, 0, 7, 6), 0, user, EACCES, EACCES},
           {"AclMaskLimitsANamedUser", WithUser(6, kUser, 6, 0, 4, 0), 0, user, 0, EACCES},
           {"AclOfAnotherUserGrantsNothing", WithUser(6, kStranger, 6, 0, 7, 0), 0, user, EACCES, EACCES},
           {"AclGrantsToANamedGroup", WithGroup(6, 0, kGroup, 6, 7, 0), 0, user, 0, 0},
           {"AclGrantsToANamedSupplementaryGroup", WithGroup(6, 0, kForeignGroup, 6, 7, 0), 0, member, 0, 0},
           {"AclMaskLimitsANamedGroup", WithGroup(6, 0, kGroup, 6, 4, 0), 0, user, 0, EACCES},
           {"AclMaskLimitsTheOwningGroup", WithUser(6, 999, 6, 6, 4, 0), kGroup, user, 0, EACCES},
           {"AclDeniesANamedGroupWhatOthersMay", WithGroup(6, 0, kGroup, 0, 7, 6), 0, user, EACCES, EACCES}}) {
    cases->push_back({decision.name,
                      [decision](Volume& v) {
                        MakeFile(v, "f", "x", 0600, 0, decision.file_group);
                        ASSERT_EQ(v.SetXattr("f", kAccess, decision.acl, 0), 0);
                        const Acting acting(v, decision.caller);
                        EXPECT_EQ(OpenError(v, "f", O_RDONLY), decision.read);
                        EXPECT_EQ(OpenError(v, "f", O_WRONLY), decision.write);
                        EXPECT_EQ(v.Access("f", 4), decision.read);
                        EXPECT_EQ(v.Access("f", 2), decision.write);
                      },
                      kKernel});
  }
}

}  // namespace

std::vector<Case> AclCases() {
  std::vector<Case> cases = {
      {"AclOfAPlainFileIsEnodata",
       [](Volume& v) {
         Put(v, "f");
         MakeDirectory(v, "d");
         EXPECT_EQ(GetError(v, "f", kAccess), ENODATA);
         EXPECT_EQ(GetError(v, "d", kAccess), ENODATA);
         EXPECT_EQ(GetError(v, "d", kDefault), ENODATA);
       }},
      {"AclIsReadBackAsItWasSet",
       [](Volume& v) {
         Put(v, "f");
         const std::string acl = Acl({{kOwner, 6},
                                      {kNamedUser, 4, 10},
                                      {kNamedUser, 7, 70000},
                                      {kOwningGroup, 4},
                                      {kNamedGroup, 5, 20},
                                      {kMask, 7},
                                      {kOther, 0}});
         ASSERT_EQ(v.SetXattr("f", kAccess, acl, 0), 0);
         EXPECT_EQ(Value(v, "f", kAccess), acl);
       }},
      {"AclIsListed",
       [](Volume& v) {
         MakeDirectory(v, "d");
         ASSERT_EQ(v.SetXattr("d", kAccess, WithUser(7, 10, 7, 5, 7, 5), 0), 0);
         ASSERT_EQ(v.SetXattr("d", kDefault, WithUser(7, 10, 7, 5, 7, 5), 0), 0);
         std::vector<std::string> names;
         ASSERT_EQ(v.ListXattr("d", &names), 0);
         EXPECT_EQ(std::count(names.begin(), names.end(), kAccess), 1);
         EXPECT_EQ(std::count(names.begin(), names.end(), kDefault), 1);
       }},
      {"MinimalAclOnlySetsTheMode",
       [](Volume& v) {
         Put(v, "f", "", 0644);
         ASSERT_EQ(v.SetXattr("f", kAccess, Minimal(0640), 0), 0);
         EXPECT_EQ(ModeOf(v, "f"), mode_t{0640});
         EXPECT_EQ(GetError(v, "f", kAccess), ENODATA);
       }},
      {"AclMaskShowsAsTheGroupsMode",
       [](Volume& v) {
         Put(v, "f", "", 0644);
         ASSERT_EQ(v.SetXattr("f", kAccess, WithUser(6, 10, 7, 4, 6, 4), 0), 0);
         EXPECT_EQ(ModeOf(v, "f"), mode_t{0664});
       }},
      {"ChmodChangesTheMask",
       [](Volume& v) {
         Put(v, "f", "", 0644);
         ASSERT_EQ(v.SetXattr("f", kAccess, WithUser(6, 10, 7, 4, 7, 4), 0), 0);
         ASSERT_EQ(v.Chmod("f", 0640), 0);
         EXPECT_EQ(Value(v, "f", kAccess), WithUser(6, 10, 7, 4, 4, 0));
         EXPECT_EQ(ModeOf(v, "f"), mode_t{0640});
       }},
      {"RemovalOfTheAclLeavesTheMode",
       [](Volume& v) {
         Put(v, "f", "", 0644);
         ASSERT_EQ(v.SetXattr("f", kAccess, WithUser(6, 10, 7, 4, 6, 4), 0), 0);
         ASSERT_EQ(v.RemoveXattr("f", kAccess), 0);
         EXPECT_EQ(GetError(v, "f", kAccess), ENODATA);
         EXPECT_EQ(ModeOf(v, "f"), mode_t{0664});
       }},
      {"RemovalOfNoAclWorks",
       [](Volume& v) {
         Put(v, "f");
         EXPECT_EQ(v.RemoveXattr("f", kAccess), 0);
       }},
      {"DefaultAclOfAFileIsEacces",
       [](Volume& v) {
         Put(v, "f");
         EXPECT_EQ(v.SetXattr("f", kDefault, WithUser(6, 10, 7, 4, 6, 4), 0), EACCES);
       }},
      {"DefaultAclLeavesTheDirectorysMode",
       [](Volume& v) {
         MakeDirectory(v, "d", 0711);
         ASSERT_EQ(v.SetXattr("d", kDefault, WithUser(7, 10, 7, 5, 7, 5), 0), 0);
         EXPECT_EQ(ModeOf(v, "d"), mode_t{0711});
         EXPECT_EQ(GetError(v, "d", kAccess), ENODATA);
       }},
      {"DefaultAclGoesDownToSubdirectories",
       [](Volume& v) {
         MakeDirectory(v, "d");
         const std::string acl = WithUser(7, 10, 7, 5, 7, 5);
         ASSERT_EQ(v.SetXattr("d", kDefault, acl, 0), 0);
         ASSERT_EQ(v.MkDir("d/a", 0777), 0);
         ASSERT_EQ(v.MkDir("d/a/b", 0777), 0);
         EXPECT_EQ(Value(v, "d/a/b", kDefault), acl);
       }},
      {"DefaultAclOfThreeEntriesReplacesTheUmask",
       [](Volume& v) {
         MakeDirectory(v, "d", 0777);
         ASSERT_EQ(v.SetXattr("d", kDefault, Minimal(0775), 0), 0);
         v.SetCaller(Caller{.uid = kUser, .gid = kGroup, .umask = 077});
         Put(v, "d/f", "", 0666);
         ASSERT_EQ(v.MkDir("d/e", 0777), 0);
         v.SetCaller(0, 0);
         EXPECT_EQ(ModeOf(v, "d/f"), mode_t{0664});
         EXPECT_EQ(ModeOf(v, "d/e"), mode_t{0775});
         EXPECT_EQ(GetError(v, "d/f", kAccess), ENODATA);
       }},
      {"WithoutADefaultAclTheUmaskCounts",
       [](Volume& v) {
         MakeDirectory(v, "d", 0777);
         ASSERT_EQ(v.SetXattr("d", kAccess, WithUser(7, 10, 7, 7, 7, 7), 0), 0);
         v.SetCaller(Caller{.uid = kUser, .gid = kGroup, .umask = 027});
         Put(v, "d/f", "", 0666);
         v.SetCaller(0, 0);
         EXPECT_EQ(ModeOf(v, "d/f"), mode_t{0640});
       }},
      {"RemovalOfTheDefaultAclBringsTheUmaskBack",
       [](Volume& v) {
         MakeDirectory(v, "d", 0777);
         ASSERT_EQ(v.SetXattr("d", kDefault, Minimal(0777), 0), 0);
         ASSERT_EQ(v.RemoveXattr("d", kDefault), 0);
         EXPECT_EQ(GetError(v, "d", kDefault), ENODATA);
         v.SetCaller(Caller{.uid = kUser, .gid = kGroup, .umask = 022});
         Put(v, "d/f", "", 0666);
         v.SetCaller(0, 0);
         EXPECT_EQ(ModeOf(v, "d/f"), mode_t{0644});
       }},
      {"DefaultAclDoesNotTouchSymlinks",
       [](Volume& v) {
         MakeDirectory(v, "d");
         ASSERT_EQ(v.SetXattr("d", kDefault, WithUser(7, 10, 7, 5, 7, 5), 0), 0);
         ASSERT_EQ(v.SymLink("x", "d/l"), 0);
         EXPECT_EQ(ModeOf(v, "d/l"), mode_t{0777});
       }},
      {"RenameKeepsTheAcl",
       [](Volume& v) {
         MakeDirectory(v, "d");
         Put(v, "f");
         const std::string acl = WithUser(6, 10, 7, 4, 6, 4);
         ASSERT_EQ(v.SetXattr("f", kAccess, acl, 0), 0);
         ASSERT_EQ(v.Rename("f", "d/g", 0), 0);
         EXPECT_EQ(Value(v, "d/g", kAccess), acl);
       }},
      {"SettingAnAclMovesCtimeNotMtime",
       [](Volume& v) {
         Put(v, "f");
         ASSERT_EQ(v.SetTimes("f", {1000, 0}, {2000, 0}), 0);
         ASSERT_EQ(v.SetXattr("f", kAccess, WithUser(6, 10, 7, 4, 6, 4), 0), 0);
         EXPECT_EQ(AttributesOf(v, "f").mtime.tv_sec, 2000);
         EXPECT_EQ(ModeOf(v, "f"), mode_t{0664});
       }},
      {"AclByTheOwnerOfAForeignGroupClearsSgid",
       [](Volume& v) {
         MakeFile(v, "f", "", 02755, kUser, kForeignGroup);
         v.SetCaller(kUser, kGroup);
         ASSERT_EQ(v.SetXattr("f", kAccess, WithUser(7, 10, 7, 5, 7, 5), 0), 0);
         v.SetCaller(0, 0);
         EXPECT_EQ(ModeOf(v, "f"), mode_t{0775});
       }},
      {"AclByRootKeepsSgid",
       [](Volume& v) {
         MakeFile(v, "f", "", 02755, kUser, kForeignGroup);
         ASSERT_EQ(v.SetXattr("f", kAccess, WithUser(7, 10, 7, 5, 7, 5), 0), 0);
         EXPECT_EQ(ModeOf(v, "f"), mode_t{02775});
       }},
      {"AclByAStrangerIsEperm",
       [](Volume& v) {
         MakeFile(v, "f", "", 0666);
         const Acting acting(v);
         EXPECT_EQ(v.SetXattr("f", kAccess, WithUser(7, kUser, 7, 5, 7, 5), 0), EPERM);
         EXPECT_EQ(v.RemoveXattr("f", kAccess), EPERM);
       },
       kKernel},
      {"AclIsReadByAnyone",
       [](Volume& v) {
         MakeFile(v, "f", "", 0600);
         const std::string acl = WithUser(6, 10, 7, 0, 6, 0);
         ASSERT_EQ(v.SetXattr("f", kAccess, acl, 0), 0);
         const Acting acting(v);
         EXPECT_EQ(Value(v, "f", kAccess), acl);
       },
       kKernel},
      {"AclOfADirectoryLetsANamedUserCreate",
       [](Volume& v) {
         MakeDirectory(v, "d", 0700);
         ASSERT_EQ(v.SetXattr("d", kAccess, WithUser(7, kUser, 7, 0, 7, 0), 0), 0);
         const Acting acting(v);
         Put(v, "d/f", "mine");
         ASSERT_EQ(v.MkDir("d/e", 0755), 0);
         EXPECT_EQ(AttributesOf(v, "d/f").uid, kUser);
         EXPECT_EQ(v.Unlink("d/f"), 0);
       },
       kKernel},
  };
  AddInheritanceCases(&cases);
  AddBadCases(&cases);
  AddDecisionCases(&cases);
  return cases;
}

}  // namespace daxvmm::conformance
