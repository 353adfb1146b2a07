// The flags of an inode that chattr(1) shows.
#include <linux/fs.h>

#include <cerrno>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {

std::vector<Case> FlagCases() {
  return {
      {"FlagsOfANewFileAreRead",
       [](Volume& v) {
         const File file(v, "f", O_CREAT | O_RDWR);
         uint32_t flags = 0;
         ASSERT_EQ(v.GetFlags(file.fd(), &flags), 0);
         EXPECT_EQ(flags & (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_DAX_FL), 0u);
       }},
      {"FlagsSetToWhatTheyAreStay",
       [](Volume& v) {
         const File file(v, "f", O_CREAT | O_RDWR);
         uint32_t flags = 0, again = 1;
         ASSERT_EQ(v.GetFlags(file.fd(), &flags), 0);
         EXPECT_EQ(v.SetFlags(file.fd(), flags), 0);
         ASSERT_EQ(v.GetFlags(file.fd(), &again), 0);
         EXPECT_EQ(again, flags);
       }},
      {"TheDaxFlagIsKept",
       [](Volume& v) {
         uint32_t flags = 0;
         {
           const File file(v, "f", O_CREAT | O_RDWR);
           ASSERT_EQ(v.GetFlags(file.fd(), &flags), 0);
           ASSERT_EQ(v.SetFlags(file.fd(), flags | FS_DAX_FL), 0);
         }
         ASSERT_EQ(v.Rename("f", "g", 0), 0);
         const File file(v, "g", O_RDONLY);
         ASSERT_EQ(v.GetFlags(file.fd(), &flags), 0);
         EXPECT_NE(flags & FS_DAX_FL, 0u);
         ASSERT_EQ(v.SetFlags(file.fd(), flags & ~static_cast<uint32_t>(FS_DAX_FL)), 0);
         ASSERT_EQ(v.GetFlags(file.fd(), &flags), 0);
         EXPECT_EQ(flags & FS_DAX_FL, 0u);
       }},
      {"TheDaxFlagOfADirectoryIsInherited",
       [](Volume& v) {
         ASSERT_EQ(v.MkDir("d", 0755), 0);
         uint32_t flags = 0;
         int dir = -1;
         ASSERT_EQ(v.OpenDir("d", &dir), 0);
         ASSERT_EQ(v.GetFlags(dir, &flags), 0);
         ASSERT_EQ(v.SetFlags(dir, flags | FS_DAX_FL), 0);
         ASSERT_EQ(v.CloseDir(dir), 0);
         const auto file_has_it = [&v](const std::string& path, int open_flags) {
           const File file(v, path, open_flags);
           uint32_t found = 0;
           EXPECT_EQ(v.GetFlags(file.fd(), &found), 0) << path;
           return (found & FS_DAX_FL) != 0;
         };
         EXPECT_TRUE(file_has_it("d/created", O_CREAT | O_RDWR));
         ASSERT_EQ(v.MkNod("d/node", S_IFREG | 0644, 0, 0), 0);
         EXPECT_TRUE(file_has_it("d/node", O_RDONLY));
         ASSERT_EQ(v.MkDir("d/sub", 0755), 0);
         EXPECT_TRUE(file_has_it("d/sub/deeper", O_CREAT | O_RDWR)) << "by way of a directory that inherited it";
         // What comes into the directory in another way brings its own.
         MakeFile(v, "f", "");
         ASSERT_EQ(v.Rename("f", "d/moved", 0), 0);
         EXPECT_FALSE(file_has_it("d/moved", O_RDONLY));
       }},
      {"FlagsSetByAStrangerAreRefused",
       [](Volume& v) {
         MakeFile(v, "f", "", 0666);
         const Acting acting(v);
         const File file(v, "f", O_RDWR);
         uint32_t flags = 0;
         ASSERT_EQ(v.GetFlags(file.fd(), &flags), 0);
         const int error = v.SetFlags(file.fd(), flags | FS_DAX_FL);
         EXPECT_TRUE(error == EPERM || error == EACCES) << error;
       },
       kKernel},
  };
}

}  // namespace daxvmm::conformance
