// The set-id bits and security.capability: what a change of the content or the owner does to them.
#include <linux/falloc.h>
#include <sys/stat.h>

#include <cerrno>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {
namespace {

// cap_net_raw, permitted and effective (VFS_CAP_REVISION_2).
const std::string& Capability() {
  static const auto* const value =
      new std::string("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  return *value;
}

struct Change {
  const char* name;
  void (*run)(Volume& v);  // of the file f, which has ten bytes
};

void Allocate(Volume& v, int mode) {
  const File file(v, "f", O_RDWR);
  EXPECT_EQ(v.Fallocate(file.fd(), mode, 0, 4096), 0);
}

constexpr Change kChanges[] = {
    {"Write",
     [](Volume& v) {
       const File file(v, "f", O_RDWR);
       WriteAt(v, file.fd(), 0, "x");
     }},
    {"ExtendingWrite",
     [](Volume& v) {
       const File file(v, "f", O_RDWR);
       WriteAt(v, file.fd(), 10'000, "x");
     }},
    {"Append",
     [](Volume& v) {
       const File file(v, "f", O_WRONLY | O_APPEND);
       WriteAt(v, file.fd(), 0, "x");
     }},
    {"Truncate", [](Volume& v) { EXPECT_EQ(v.Truncate("f", 3), 0); }},
    {"GrowingTruncate", [](Volume& v) { EXPECT_EQ(v.Truncate("f", 300), 0); }},
    {"Ftruncate",
     [](Volume& v) {
       const File file(v, "f", O_RDWR);
       EXPECT_EQ(v.FTruncate(file.fd(), 3), 0);
     }},
    {"OpenWithTrunc", [](Volume& v) { EXPECT_EQ(OpenError(v, "f", O_WRONLY | O_TRUNC), 0); }},
    {"CreateWithTrunc", [](Volume& v) { EXPECT_EQ(OpenError(v, "f", O_WRONLY | O_CREAT | O_TRUNC), 0); }},
    {"Fallocate", [](Volume& v) { Allocate(v, 0); }},
    {"FallocateKeepSize", [](Volume& v) { Allocate(v, FALLOC_FL_KEEP_SIZE); }},
    {"PunchHole", [](Volume& v) { Allocate(v, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE); }},
    {"ZeroRange", [](Volume& v) { Allocate(v, FALLOC_FL_ZERO_RANGE); }},
    {"CopyRange",
     [](Volume& v) {
       const File from(v, "source", O_RDONLY), to(v, "f", O_RDWR);
       size_t n = 0;
       EXPECT_EQ(v.CopyRange(from.fd(), 0, to.fd(), 0, 3, &n), 0);
     }},
};

void AddChangeCases(std::vector<Case>* cases) {
  struct Bits {
    const char* name;
    mode_t before, by_user;  // root's changes leave them
    gid_t group;
  };
  for (const Bits& bits : {Bits{"Suid", 04777, 0777, 0},
                           {"Sgid", 02777, 0777, 0},
                           {"SuidAndSgid", 06777, 0777, 0},
                           {"SgidOfOnesGroup", 02777, 0777, kGroup}}) {
    for (const Change& change : kChanges) {
      cases->push_back({std::string(change.name) + "ByAUserClears" + bits.name, [change, bits](Volume& v) {
                          MakeFile(v, "source", "abc");
                          MakeFile(v, "f", "0123456789", bits.before, 0, bits.group);
                          {
                            const Acting acting(v);
                            change.run(v);
                          }
                          EXPECT_EQ(ModeOf(v, "f"), bits.by_user);
                        }});
    }
  }
  for (const Change& change : kChanges) {
    cases->push_back({std::string(change.name) + "ByRootKeepsSetIdBits", [change](Volume& v) {
                        MakeFile(v, "source", "abc");
                        MakeFile(v, "f", "0123456789", 06777);
                        change.run(v);
                        EXPECT_EQ(ModeOf(v, "f"), mode_t{06777});
                      }});
    for (const bool root : {false, true}) {
      cases->push_back({std::string(change.name) + (root ? "ByRoot" : "ByAUser") + "RemovesTheCapability",
                        [change, root](Volume& v) {
                          MakeFile(v, "source", "abc");
                          MakeFile(v, "f", "0123456789", 0777);
                          ASSERT_EQ(v.SetXattr("f", "security.capability", Capability(), 0), 0);
                          if (!root) v.SetCaller(kUser, kGroup);
                          change.run(v);
                          v.SetCaller(0, 0);
                          std::string value;
                          EXPECT_EQ(v.GetXattr("f", "security.capability", &value), ENODATA);
                        }});
    }
  }
}

}  // namespace

std::vector<Case> SetIdCases() {
  std::vector<Case> cases = {
      {"ReadKeepsSetIdBits",
       [](Volume& v) {
         MakeFile(v, "f", "x", 06777);
         v.SetCaller(kUser, kGroup);
         EXPECT_EQ(Content(v, "f"), "x");
         EXPECT_EQ(ModeOf(v, "f"), mode_t{06777});
       }},
      {"ChownOfDirectoryKeepsItsBits",
       [](Volume& v) {
         MakeDirectory(v, "d", 06755);
         ASSERT_EQ(v.Chown("d", 11, 22), 0);
         EXPECT_EQ(ModeOf(v, "d"), mode_t{06755});
       }},
      {"ChownKeepsSgidThatIsNotExecutable",
       [](Volume& v) {
         MakeFile(v, "f", "", 02644);
         ASSERT_EQ(v.Chown("f", 11, 22), 0);
         EXPECT_EQ(ModeOf(v, "f"), mode_t{02644});
       }},
      {"ChownOfOpenFileClearsSetIdBits",
       [](Volume& v) {
         const File file(v, "f", O_CREAT | O_RDWR);
         ASSERT_EQ(v.FChmod(file.fd(), 06755), 0);
         ASSERT_EQ(v.FChown(file.fd(), 11, 22), 0);
         EXPECT_EQ(ModeOf(v, "f"), mode_t{0755});
       }},
      {"ChownRemovesTheCapability",
       [](Volume& v) {
         MakeFile(v, "f", "", 0755);
         ASSERT_EQ(v.SetXattr("f", "security.capability", Capability(), 0), 0);
         ASSERT_EQ(v.Chown("f", 11, 22), 0);
         std::string value;
         EXPECT_EQ(v.GetXattr("f", "security.capability", &value), ENODATA);
       }},
      {"ChownToOnesOwnGroupByAUserClearsSetIdBits",
       [](Volume& v) {
         MakeFile(v, "f", "", 06755, kUser, kGroup);
         {
           const Acting acting(v);
           ASSERT_EQ(v.Chown("f", kKeepUid, kGroup), 0);
         }
         EXPECT_EQ(ModeOf(v, "f"), mode_t{0755});
       },
       kKernel},
      {"ChmodKeepsTheCapability",
       [](Volume& v) {
         MakeFile(v, "f", "", 0755);
         ASSERT_EQ(v.SetXattr("f", "security.capability", Capability(), 0), 0);
         ASSERT_EQ(v.Chmod("f", 0700), 0);
         std::string value;
         EXPECT_EQ(v.GetXattr("f", "security.capability", &value), 0);
         EXPECT_EQ(value, Capability());
       }},
      {"RenameAndLinkKeepSetIdBits",
       [](Volume& v) {
         MakeFile(v, "f", "", 06755);
         ASSERT_EQ(v.Rename("f", "g", 0), 0);
         ASSERT_EQ(v.Link("g", "h"), 0);
         EXPECT_EQ(ModeOf(v, "h"), mode_t{06755});
       }},
      {"WriteOfNothingKeepsSetIdBits",
       [](Volume& v) {
         MakeFile(v, "f", "x", 06777);
         v.SetCaller(kUser, kGroup);
         const File file(v, "f", O_RDWR);
         WriteAt(v, file.fd(), 0, "");
         EXPECT_EQ(ModeOf(v, "f"), mode_t{06777});
       }},
      {"SecondWriteAfterTheBitsAreSetAgainClearsThem",
       [](Volume& v) {
         MakeFile(v, "f", "x", 06777);
         const File file(v, "f", O_RDWR);
         for (int i = 0; i < 3; ++i) {
           ASSERT_EQ(v.Chmod("f", 06777), 0);
           v.SetCaller(kUser, kGroup);
           WriteAt(v, file.fd(), 0, "y");
           v.SetCaller(0, 0);
           EXPECT_EQ(ModeOf(v, "f"), mode_t{0777});
         }
       }},
      {"SgidThatIsNotExecutableSurvivesAWriteOfItsGroup",
       [](Volume& v) {
         MakeFile(v, "f", "x", 02666, 0, kGroup);
         {
           const Acting acting(v);
           const File file(v, "f", O_RDWR);
           WriteAt(v, file.fd(), 0, "y");
         }
         EXPECT_EQ(ModeOf(v, "f"), mode_t{02666});
       }},
  };
  AddChangeCases(&cases);
  return cases;
}

}  // namespace daxvmm::conformance
