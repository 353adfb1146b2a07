// Errors: each operation on what is missing, of the wrong type, or named too long.
#include <sys/stat.h>

#include <cerrno>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {
namespace {

struct Operation {
  const char* name;
  int (*run)(Volume& v, const std::string& path);
  bool makes;  // its path need not exist
};

constexpr Operation kOperations[] = {
    {"Open", [](Volume& v, const std::string& path) { return OpenError(v, path, O_RDONLY); }, false},
    {"Create", [](Volume& v, const std::string& path) { return OpenError(v, path, O_CREAT | O_RDWR); }, true},
    {"Stat",
     [](Volume& v, const std::string& path) {
       Attributes a;
       return v.Stat(path, &a);
     },
     false},
    {"Truncate", [](Volume& v, const std::string& path) { return v.Truncate(path, 0); }, false},
    {"Chmod", [](Volume& v, const std::string& path) { return v.Chmod(path, 0600); }, false},
    {"Chown", [](Volume& v, const std::string& path) { return v.Chown(path, 1, 1); }, false},
    {"SetTimes", [](Volume& v, const std::string& path) { return v.SetTimes(path, {1, 0}, {1, 0}); }, false},
    {"Mkdir", [](Volume& v, const std::string& path) { return v.MkDir(path, 0755); }, true},
    {"Mknod", [](Volume& v, const std::string& path) { return v.MkNod(path, S_IFIFO | 0644, 0, 0); }, true},
    {"Symlink", [](Volume& v, const std::string& path) { return v.SymLink("x", path); }, true},
    {"Readlink",
     [](Volume& v, const std::string& path) {
       std::string target;
       return v.ReadLink(path, &target);
     },
     false},
    {"LinkFrom", [](Volume& v, const std::string& path) { return v.Link(path, "new"); }, false},
    {"LinkTo", [](Volume& v, const std::string& path) { return v.Link("file", path); }, true},
    {"Unlink", [](Volume& v, const std::string& path) { return v.Unlink(path); }, false},
    {"Rmdir", [](Volume& v, const std::string& path) { return v.RmDir(path); }, false},
    {"RenameFrom", [](Volume& v, const std::string& path) { return v.Rename(path, "new", 0); }, false},
    {"RenameTo", [](Volume& v, const std::string& path) { return v.Rename("file", path, 0); }, true},
    {"List",
     [](Volume& v, const std::string& path) {
       std::vector<DirEntry> entries;
       return v.List(path, {}, &entries);
     },
     false},
    {"Setxattr", [](Volume& v, const std::string& path) { return v.SetXattr(path, "user.x", "1", 0); }, false},
    {"Getxattr",
     [](Volume& v, const std::string& path) {
       std::string value;
       return v.GetXattr(path, "user.x", &value);
     },
     false},
    {"Access", [](Volume& v, const std::string& path) { return v.Access(path, 0); }, false},
};

void AddPathCases(std::vector<Case>* cases) {
  for (const Operation& operation : kOperations) {
    const auto add = [&](const char* what, const std::string& path, int error, unsigned needs) {
      cases->push_back({std::string(operation.name) + what,
                        [operation, path, error](Volume& v) {
                          Put(v, "file", "x");
                          ASSERT_EQ(v.SymLink("loop", "loop"), 0);
                          EXPECT_EQ(operation.run(v, path), error);
                        },
                        needs});
    };
    add("OfANameOf256BytesIsEnametoolong", std::string(256, 'n'), ENAMETOOLONG, kKernel);
    add("OfAPathOf4096BytesIsEnametoolong", std::string(2048, '/') + std::string(2048, 'n'), ENAMETOOLONG, kKernel);
    add("BelowAFileIsEnotdir", "file/name", ENOTDIR, kNothing);
    add("BelowNothingIsEnoent", "none/name", ENOENT, kNothing);
    add("BelowALoopIsEloop", "loop/name", ELOOP, kKernel);
    if (!operation.makes) add("OfNothingIsEnoent", "none", ENOENT, kNothing);
  }
}

}  // namespace

std::vector<Case> ErrorCases() {
  std::vector<Case> cases = {
      {"OpenOfFileAsDirectoryIsEnotdir",
       [](Volume& v) {
         Put(v, "a");
         EXPECT_EQ(OpenError(v, "a", O_RDONLY | O_DIRECTORY), ENOTDIR);
       },
       kKernel},
      {"CreateOfADirectorysNameIsEisdir",
       [](Volume& v) {
         MakeDirectory(v, "d");
         EXPECT_EQ(OpenError(v, "d", O_CREAT | O_RDWR), EISDIR);
       },
       kKernel},
      {"CreateExclusiveOfASymlinkIsEexist",
       [](Volume& v) {
         ASSERT_EQ(v.SymLink("none", "l"), 0);
         EXPECT_EQ(OpenError(v, "l", O_CREAT | O_EXCL | O_RDWR), EEXIST);
         EXPECT_FALSE(Exists(v, "none"));
       }},
      {"CreateExclusiveOfADirectoryIsEexist",
       [](Volume& v) {
         MakeDirectory(v, "d");
         EXPECT_EQ(OpenError(v, "d", O_CREAT | O_EXCL | O_RDWR), EEXIST);
       }},
      {"OpenOfASocketIsEnxio",
       [](Volume& v) {
         ASSERT_EQ(v.MkNod("s", S_IFSOCK | 0644, 0, 0), 0);
         EXPECT_EQ(OpenError(v, "s", O_RDONLY), ENXIO);
       },
       kKernel},
      {"OpenOfAFifoWithoutReadersIsEnxio",
       [](Volume& v) {
         ASSERT_EQ(v.MkNod("p", S_IFIFO | 0644, 0, 0), 0);
         EXPECT_EQ(OpenError(v, "p", O_WRONLY | O_NONBLOCK), ENXIO);
         EXPECT_EQ(OpenError(v, "p", O_RDONLY | O_NONBLOCK), 0);
       },
       kKernel},
      {"TruncateOfAFifoIsEinval",
       [](Volume& v) {
         ASSERT_EQ(v.MkNod("p", S_IFIFO | 0644, 0, 0), 0);
         EXPECT_EQ(v.Truncate("p", 0), EINVAL);
       },
       kKernel},
      {"MknodOfADirectoryIsEperm", [](Volume& v) { EXPECT_EQ(v.MkNod("d", S_IFDIR | 0755, 0, 0), EPERM); }, kKernel},
      {"MkdirOntoASymlinkIsEexist",
       [](Volume& v) {
         ASSERT_EQ(v.SymLink("none", "l"), 0);
         EXPECT_EQ(v.MkDir("l", 0755), EEXIST);
       }},
      {"MknodOntoADirectoryIsEexist",
       [](Volume& v) {
         MakeDirectory(v, "d");
         EXPECT_EQ(v.MkNod("d", S_IFIFO | 0644, 0, 0), EEXIST);
       }},
      {"OpenAfterUnlinkIsEnoent",
       [](Volume& v) {
         Put(v, "a");
         EXPECT_TRUE(Exists(v, "a"));
         ASSERT_EQ(v.Unlink("a"), 0);
         EXPECT_EQ(OpenError(v, "a", O_RDONLY), ENOENT);
         EXPECT_EQ(v.Unlink("a"), ENOENT);
       }},
      {"CreateAfterAFailedLookupWorks",
       [](Volume& v) {
         EXPECT_FALSE(Exists(v, "a"));
         Put(v, "a", "x");
         EXPECT_EQ(Content(v, "a"), "x");
       }},
      {"StatfsSaysWhatTheHostHas",
       [](Volume& v) {
         Capacity capacity;
         ASSERT_EQ(v.StatFs(&capacity), 0);
         EXPECT_EQ(capacity.name_max, 255u);
         EXPECT_GT(capacity.blocks, 0u);
         EXPECT_LE(capacity.available_blocks, capacity.free_blocks);
         EXPECT_GT(capacity.files, 0u);
         EXPECT_LE(capacity.free_files, capacity.files);
         EXPECT_EQ(capacity.block_size, 4096u);
       }},
      {"RmdirGoesFromTheBottomUp",
       [](Volume& v) {
         MakeDirectory(v, "a");
         MakeDirectory(v, "a/b");
         EXPECT_EQ(v.RmDir("a"), ENOTEMPTY);
         EXPECT_EQ(v.RmDir("a/b"), 0);
         EXPECT_EQ(v.RmDir("a"), 0);
       }},
  };
  AddPathCases(&cases);
  return cases;
}

}  // namespace daxvmm::conformance
