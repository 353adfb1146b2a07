// Shorthand of the cases.
#ifndef DAXVMM_TESTS_FS_CONFORMANCE_CASE_HELPERS_H_
#define DAXVMM_TESTS_FS_CONFORMANCE_CASE_HELPERS_H_

#include <fcntl.h>

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/fs_conformance/volume.h"

namespace daxvmm::conformance {

// An open file that must open; closed, without error, at the end of its scope.
class File {
 public:
  File(Volume& v, const std::string& path, int flags, mode_t mode = 0644) : v_(v) {
    EXPECT_EQ(v.Open(path, flags, mode, &fd_), 0) << path;
  }
  ~File() {
    if (fd_ < 0) return;
    EXPECT_EQ(v_.Close(fd_), 0);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  Volume& v_;
  int fd_ = -1;
};

inline void WriteAt(Volume& v, int fd, uint64_t offset, const std::string& data) {
  size_t n = 0;
  EXPECT_EQ(v.Write(fd, offset, data, &n), 0);
  EXPECT_EQ(n, data.size());
}
inline std::string ReadAt(Volume& v, int fd, uint64_t offset, size_t size) {
  std::string data;
  EXPECT_EQ(v.Read(fd, offset, size, &data), 0);
  return data;
}
inline void Put(Volume& v, const std::string& path, const std::string& data = "", mode_t mode = 0644) {
  const File file(v, path, O_CREAT | O_TRUNC | O_WRONLY, mode);
  if (!data.empty()) WriteAt(v, file.fd(), 0, data);
}
inline std::string Content(Volume& v, const std::string& path) {
  const File file(v, path, O_RDONLY);
  return ReadAt(v, file.fd(), 0, 1 << 20);
}
inline Attributes AttributesOf(Volume& v, const std::string& path) {
  Attributes a;
  EXPECT_EQ(v.Stat(path, &a), 0) << path;
  return a;
}
inline bool Exists(Volume& v, const std::string& path) {
  Attributes a;
  return v.Stat(path, &a) == 0;
}
inline int OpenError(Volume& v, const std::string& path, int flags) {
  int fd = -1;
  const int error = v.Open(path, flags, 0644, &fd);
  if (error == 0) {
    EXPECT_EQ(v.Close(fd), 0);
  }
  return error;
}

// An ordinary user, and somebody else.
inline constexpr uid_t kUser = 1234;
inline constexpr gid_t kGroup = 2345;
inline constexpr uid_t kStranger = 4321;
inline constexpr gid_t kForeignGroup = 777;
inline constexpr uid_t kKeepUid = static_cast<uid_t>(-1);
inline constexpr gid_t kKeepGid = static_cast<gid_t>(-1);

// Calls are made in that name until the end of the scope, and then in root's again.
class Acting {
 public:
  Acting(Volume& v, const Caller& caller) : v_(v) { v.SetCaller(caller); }
  explicit Acting(Volume& v) : Acting(v, {.uid = kUser, .gid = kGroup}) {}
  ~Acting() { v_.SetCaller(0, 0); }
  Acting(const Acting&) = delete;
  Acting& operator=(const Acting&) = delete;

 private:
  Volume& v_;
};

// A directory of exactly this mode and these owners.
inline void MakeDirectory(Volume& v, const std::string& path, mode_t mode = 0755, uid_t uid = 0, gid_t gid = 0) {
  EXPECT_EQ(v.MkDir(path, 0755), 0) << path;
  EXPECT_EQ(v.Chown(path, uid, gid), 0) << path;
  EXPECT_EQ(v.Chmod(path, mode), 0) << path;
}
// A file of exactly this mode and these owners.
inline void MakeFile(Volume& v, const std::string& path, const std::string& data = "", mode_t mode = 0644,
                     uid_t uid = 0, gid_t gid = 0) {
  Put(v, path, data);
  EXPECT_EQ(v.Chown(path, uid, gid), 0) << path;
  EXPECT_EQ(v.Chmod(path, mode), 0) << path;
}
inline mode_t ModeOf(Volume& v, const std::string& path) { return AttributesOf(v, path).mode & 07777; }
inline std::string Bytes(char c, size_t count) { return std::string(count, c); }
inline std::string Zeros(size_t count) { return std::string(count, '\0'); }

std::vector<Case> AclCases();
std::vector<Case> AttributeCases();
std::vector<Case> CreationCases();
std::vector<Case> DataCases();
std::vector<Case> DirectoryCases();
std::vector<Case> ErrorCases();
std::vector<Case> FlagCases();
std::vector<Case> LinkCases();
std::vector<Case> MappedCases();
std::vector<Case> NameCases();
std::vector<Case> PermissionCases();
std::vector<Case> RenameCases();
std::vector<Case> SetIdCases();
std::vector<Case> SparseCases();
std::vector<Case> TemporaryCases();
std::vector<Case> TimeCases();
std::vector<Case> XattrCases();

}  // namespace daxvmm::conformance

#endif  // DAXVMM_TESTS_FS_CONFORMANCE_CASE_HELPERS_H_
