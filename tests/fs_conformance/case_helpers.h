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

const std::vector<Case>& NameCases();
const std::vector<Case>& DataCases();
const std::vector<Case>& AttributeCases();

}  // namespace daxvmm::conformance

#endif  // DAXVMM_TESTS_FS_CONFORMANCE_CASE_HELPERS_H_
