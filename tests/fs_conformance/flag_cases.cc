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
