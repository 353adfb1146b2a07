// Extended attributes: limits, flags, namespaces, kinds of inode.
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {
namespace {

std::string Value(Volume& v, const std::string& path, const std::string& name) {
  std::string value;
  EXPECT_EQ(v.GetXattr(path, name, &value), 0) << name;
  return value;
}
int GetError(Volume& v, const std::string& path, const std::string& name) {
  std::string value;
  return v.GetXattr(path, name, &value);
}
// Sorted; without what a security module of the host gives every file.
std::vector<std::string> List(Volume& v, const std::string& path) {
  std::vector<std::string> names;
  EXPECT_EQ(v.ListXattr(path, &names), 0);
  std::erase_if(names,
                [](const std::string& name) { return name == "security.selinux" || name == "security.SMACK64"; });
  std::sort(names.begin(), names.end());
  return names;
}

void AddKindCases(std::vector<Case>* cases) {
  struct Kind {
    const char* name;
    mode_t type;
  };
  for (const Kind& kind :
       {Kind{"Fifo", S_IFIFO}, {"Socket", S_IFSOCK}, {"CharacterDevice", S_IFCHR}, {"BlockDevice", S_IFBLK}}) {
    cases->push_back({std::string("UserXattrOf") + kind.name + "IsEperm", [type = kind.type](Volume& v) {
                        ASSERT_EQ(v.MkNod("n", type | 0644, 1, 3), 0);
                        EXPECT_EQ(v.SetXattr("n", "user.x", "1", 0), EPERM);
                      }});
    cases->push_back({std::string("TrustedXattrOf") + kind.name + "Works", [type = kind.type](Volume& v) {
                        ASSERT_EQ(v.MkNod("n", type | 0644, 1, 3), 0);
                        ASSERT_EQ(v.SetXattr("n", "trusted.x", "1", 0), 0);
                        EXPECT_EQ(Value(v, "n", "trusted.x"), "1");
                        EXPECT_EQ(List(v, "n"), (std::vector<std::string>{"trusted.x"}));
                        EXPECT_EQ(v.RemoveXattr("n", "trusted.x"), 0);
                      }});
  }
  for (const char* space : {"user", "trusted", "security"}) {
    cases->push_back({std::string("XattrOfNamespace_") + space + "_IsKept", [space](Volume& v) {
                        const std::string name = std::string(space) + ".daxvmm-test";
                        Put(v, "f");
                        ASSERT_EQ(v.SetXattr("f", name, "one", 0), 0);
                        EXPECT_EQ(Value(v, "f", name), "one");
                        EXPECT_EQ(List(v, "f"), (std::vector<std::string>{name}));
                        ASSERT_EQ(v.SetXattr("f", name, "two, longer", 0), 0);
                        EXPECT_EQ(Value(v, "f", name), "two, longer");
                        ASSERT_EQ(v.RemoveXattr("f", name), 0);
                        EXPECT_EQ(GetError(v, "f", name), ENODATA);
                        EXPECT_TRUE(List(v, "f").empty());
                      }});
  }
  for (const size_t size : {size_t{0}, size_t{1}, size_t{255}, size_t{256}, size_t{3000}}) {
    cases->push_back({"XattrValueOf" + std::to_string(size) + "BytesIsKept", [size](Volume& v) {
                        Put(v, "f");
                        const std::string value = Bytes('v', size);
                        ASSERT_EQ(v.SetXattr("f", "user.x", value, 0), 0);
                        std::string read = "nonsense";
                        ASSERT_EQ(v.GetXattr("f", "user.x", &read), 0);
                        EXPECT_EQ(read, value);
                      }});
  }
}

}  // namespace

std::vector<Case> XattrCases() {
  std::vector<Case> cases = {
      {"XattrNameOf255BytesWorks",
       [](Volume& v) {
         Put(v, "f");
         const std::string name = "user." + Bytes('n', 250);
         ASSERT_EQ(v.SetXattr("f", name, "1", 0), 0);
         EXPECT_EQ(Value(v, "f", name), "1");
         EXPECT_EQ(List(v, "f"), (std::vector<std::string>{name}));
       }},
      {"XattrNameOf256BytesIsErange",
       [](Volume& v) {
         Put(v, "f");
         const std::string name = "user." + Bytes('n', 251);
         EXPECT_EQ(v.SetXattr("f", name, "1", 0), ERANGE);
         EXPECT_EQ(GetError(v, "f", name), ERANGE);
         EXPECT_EQ(v.RemoveXattr("f", name), ERANGE);
       },
       kKernel},
      {"XattrWithoutANameIsErange",
       [](Volume& v) {
         Put(v, "f");
         EXPECT_EQ(v.SetXattr("f", "", "1", 0), ERANGE);
       },
       kKernel},
      {"XattrValueOver64KiBIsE2big",
       [](Volume& v) {
         Put(v, "f");
         EXPECT_EQ(v.SetXattr("f", "user.x", Bytes('v', 65537), 0), E2BIG);
       },
       kKernel},
      {"XattrValueOf64KiBIsEnospcOnExt4",
       [](Volume& v) {
         Put(v, "f");
         EXPECT_EQ(v.SetXattr("f", "user.x", Bytes('v', 65536), 0), ENOSPC);
         EXPECT_EQ(GetError(v, "f", "user.x"), ENODATA);
       }},
      {"XattrRefusedForSpaceLeavesTheOldValue",
       [](Volume& v) {
         Put(v, "f");
         ASSERT_EQ(v.SetXattr("f", "user.x", "old", 0), 0);
         EXPECT_EQ(v.SetXattr("f", "user.x", Bytes('v', 60000), 0), ENOSPC);
         EXPECT_EQ(Value(v, "f", "user.x"), "old");
       }},
      {"XattrOfAnUnknownNamespaceIsEopnotsupp",
       [](Volume& v) {
         Put(v, "f");
         EXPECT_EQ(v.SetXattr("f", "unknown.x", "1", 0), EOPNOTSUPP);
         EXPECT_EQ(v.SetXattr("f", "nodots", "1", 0), EOPNOTSUPP);
         EXPECT_EQ(GetError(v, "f", "unknown.x"), EOPNOTSUPP);
         EXPECT_EQ(v.RemoveXattr("f", "unknown.x"), EOPNOTSUPP);
       }},
      {"XattrOfAnEmptySuffixIsEinval",
       [](Volume& v) {
         Put(v, "f");
         EXPECT_EQ(v.SetXattr("f", "user.", "1", 0), EINVAL);
       }},
      {"XattrWithBothFlagsIsRefused",
       [](Volume& v) {
         Put(v, "f");
         EXPECT_NE(v.SetXattr("f", "user.x", "1", XATTR_CREATE | XATTR_REPLACE), 0);
         ASSERT_EQ(v.SetXattr("f", "user.x", "1", 0), 0);
         EXPECT_EQ(v.SetXattr("f", "user.x", "2", XATTR_CREATE | XATTR_REPLACE), EEXIST);
         EXPECT_EQ(Value(v, "f", "user.x"), "1");
       }},
      {"XattrWithUnknownFlagIsEinval",
       [](Volume& v) {
         Put(v, "f");
         EXPECT_EQ(v.SetXattr("f", "user.x", "1", 0x80), EINVAL);
       },
       kKernel},
      {"XattrsOfMissingAreEnoent",
       [](Volume& v) {
         std::vector<std::string> names;
         EXPECT_EQ(v.SetXattr("none", "user.x", "1", 0), ENOENT);
         EXPECT_EQ(GetError(v, "none", "user.x"), ENOENT);
         EXPECT_EQ(v.ListXattr("none", &names), ENOENT);
         EXPECT_EQ(v.RemoveXattr("none", "user.x"), ENOENT);
       }},
      {"XattrsOfANewFileAreNone",
       [](Volume& v) {
         Put(v, "f");
         EXPECT_TRUE(List(v, "f").empty());
         EXPECT_EQ(GetError(v, "f", "user.x"), ENODATA);
       }},
      {"XattrsOfTheRootWork",
       [](Volume& v) {
         ASSERT_EQ(v.SetXattr("", "user.x", "1", 0), 0);
         EXPECT_EQ(Value(v, "", "user.x"), "1");
         EXPECT_EQ(v.RemoveXattr("", "user.x"), 0);
       }},
      {"XattrsOfASymlinkAreItsOwn",
       [](Volume& v) {
         Put(v, "target");
         ASSERT_EQ(v.SymLink("target", "l"), 0);
         ASSERT_EQ(v.SetXattr("l", "trusted.x", "link", 0), 0);
         EXPECT_EQ(Value(v, "l", "trusted.x"), "link");
         EXPECT_EQ(GetError(v, "target", "trusted.x"), ENODATA);
       }},
      {"XattrsOfAnUnlinkedFileWork",
       [](Volume& v) {
         const File file(v, "f", O_CREAT | O_RDWR);
         ASSERT_EQ(v.Unlink("f"), 0);
         ASSERT_EQ(v.FSetXattr(file.fd(), "user.x", "1", 0), 0);
         std::string value;
         ASSERT_EQ(v.FGetXattr(file.fd(), "user.x", &value), 0);
         EXPECT_EQ(value, "1");
       }},
      {"XattrsByReadOnlyHandleWork",
       [](Volume& v) {
         Put(v, "f");
         const File file(v, "f", O_RDONLY);
         EXPECT_EQ(v.FSetXattr(file.fd(), "user.x", "1", 0), 0);
         EXPECT_EQ(Value(v, "f", "user.x"), "1");
       }},
      {"XattrNamesAreNotConfusedByPrefixes",
       [](Volume& v) {
         Put(v, "f");
         ASSERT_EQ(v.SetXattr("f", "user.a", "1", 0), 0);
         ASSERT_EQ(v.SetXattr("f", "user.ab", "2", 0), 0);
         ASSERT_EQ(v.SetXattr("f", "user.A", "3", 0), 0);
         EXPECT_EQ(Value(v, "f", "user.a"), "1");
         EXPECT_EQ(Value(v, "f", "user.ab"), "2");
         EXPECT_EQ(Value(v, "f", "user.A"), "3");
         ASSERT_EQ(v.RemoveXattr("f", "user.a"), 0);
         EXPECT_EQ(List(v, "f"), (std::vector<std::string>{"user.A", "user.ab"}));
       }},
      {"AHundredXattrsAreListed",
       [](Volume& v) {
         Put(v, "f");
         std::vector<std::string> expected;
         for (int i = 0; i < 100; ++i) {
           expected.push_back("user.attribute" + std::to_string(i));
           ASSERT_EQ(v.SetXattr("f", expected.back(), "v", 0), 0);
         }
         std::sort(expected.begin(), expected.end());
         EXPECT_EQ(List(v, "f"), expected);
       }},
      {"XattrsDoNotGoAlongWithACopyOrANewFile",
       [](Volume& v) {
         Put(v, "f");
         ASSERT_EQ(v.SetXattr("f", "user.x", "1", 0), 0);
         ASSERT_EQ(v.Unlink("f"), 0);
         Put(v, "f");
         EXPECT_EQ(GetError(v, "f", "user.x"), ENODATA);
       }},
      {"SystemXattrsOtherThanAclsAreEopnotsupp",
       [](Volume& v) {
         Put(v, "f");
         EXPECT_EQ(v.SetXattr("f", "system.unknown", "1", 0), EOPNOTSUPP);
         EXPECT_EQ(GetError(v, "f", "system.unknown"), EOPNOTSUPP);
       }},
      {"SecurityCapabilityOfBadFormIsEinval",
       [](Volume& v) {
         Put(v, "f");
         EXPECT_EQ(v.SetXattr("f", "security.capability", "nonsense", 0), EINVAL);
       }},
  };
  AddKindCases(&cases);
  return cases;
}

}  // namespace daxvmm::conformance
