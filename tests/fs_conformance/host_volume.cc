#include "tests/fs_conformance/host_volume.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace daxvmm::conformance {
namespace {

int Status(long rc) { return rc < 0 ? errno : 0; }

// The thread acts as the caller during one call.
class As {
 public:
  As(uid_t uid, gid_t gid) {
    syscall(SYS_setresgid, -1, gid, -1);
    syscall(SYS_setresuid, -1, uid, -1);
  }
  ~As() {
    const int saved = errno;
    syscall(SYS_setresuid, -1, 0, -1);
    syscall(SYS_setresgid, -1, 0, -1);
    errno = saved;
  }
};

class HostVolume : public Volume {
 public:
  explicit HostVolume(const std::string& path) : root_(path) { umask(0); }

  void SetCaller(uid_t uid, gid_t gid) override {
    uid_ = uid;
    gid_ = gid;
  }
  int Open(const std::string& path, int flags, mode_t mode, int* fd) override {
    const As as(uid_, gid_);
    *fd = open(At(path).c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode);
    return Status(*fd);
  }
  int Close(int fd) override { return Status(close(fd)); }
  int Read(int fd, uint64_t offset, size_t size, std::string* data) override {
    data->resize(size);
    const ssize_t n = pread(fd, data->data(), size, static_cast<off_t>(offset));
    data->resize(n > 0 ? static_cast<size_t>(n) : 0);
    return Status(n);
  }
  int Write(int fd, uint64_t offset, const std::string& data, size_t* written) override {
    const As as(uid_, gid_);
    const ssize_t n = pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
    *written = n > 0 ? static_cast<size_t>(n) : 0;
    return Status(n);
  }
  int Fsync(int fd, bool data_only) override { return Status(data_only ? fdatasync(fd) : fsync(fd)); }
  int Fallocate(int fd, int mode, uint64_t offset, uint64_t length) override {
    return Status(fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(length)));
  }
  int Seek(int fd, uint64_t offset, int whence, uint64_t* at) override {
    const off_t result = lseek(fd, static_cast<off_t>(offset), whence);
    *at = static_cast<uint64_t>(result);
    return Status(result);
  }
  int CopyRange(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length, size_t* copied) override {
    off_t in = static_cast<off_t>(from_offset), out = static_cast<off_t>(to_offset);
    const ssize_t n = copy_file_range(from, &in, to, &out, length, 0);
    *copied = n > 0 ? static_cast<size_t>(n) : 0;
    return Status(n);
  }
  int FStat(int fd, Attributes* attributes) override {
    struct stat st;
    const int rc = fstat(fd, &st);
    if (rc == 0) Fill(st, attributes);
    return Status(rc);
  }
  int FTruncate(int fd, uint64_t size) override {
    const As as(uid_, gid_);
    return Status(ftruncate(fd, static_cast<off_t>(size)));
  }
  int Stat(const std::string& path, Attributes* attributes) override {
    struct stat st;
    const int rc = lstat(At(path).c_str(), &st);
    if (rc == 0) Fill(st, attributes);
    return Status(rc);
  }
  int Truncate(const std::string& path, uint64_t size) override {
    return Status(truncate(At(path).c_str(), static_cast<off_t>(size)));
  }
  int Chmod(const std::string& path, mode_t mode) override { return Status(chmod(At(path).c_str(), mode)); }
  int Chown(const std::string& path, uid_t uid, gid_t gid) override {
    return Status(lchown(At(path).c_str(), uid, gid));
  }
  int SetTimes(const std::string& path, timespec atime, timespec mtime) override {
    const timespec times[2] = {atime, mtime};
    return Status(utimensat(AT_FDCWD, At(path).c_str(), times, AT_SYMLINK_NOFOLLOW));
  }
  int MkDir(const std::string& path, mode_t mode) override {
    const As as(uid_, gid_);
    return Status(mkdir(At(path).c_str(), mode));
  }
  int MkNod(const std::string& path, mode_t mode, uint32_t major, uint32_t minor) override {
    const As as(uid_, gid_);
    return Status(mknod(At(path).c_str(), mode, makedev(major, minor)));
  }
  int SymLink(const std::string& target, const std::string& path) override {
    const As as(uid_, gid_);
    return Status(symlink(target.c_str(), At(path).c_str()));
  }
  int ReadLink(const std::string& path, std::string* target) override {
    target->resize(4096);
    const ssize_t n = readlink(At(path).c_str(), target->data(), target->size());
    target->resize(n > 0 ? static_cast<size_t>(n) : 0);
    return Status(n);
  }
  int Link(const std::string& from, const std::string& to) override {
    return Status(link(At(from).c_str(), At(to).c_str()));
  }
  int Unlink(const std::string& path) override { return Status(unlink(At(path).c_str())); }
  int RmDir(const std::string& path) override { return Status(rmdir(At(path).c_str())); }
  int Rename(const std::string& from, const std::string& to, uint32_t flags) override {
    return Status(renameat2(AT_FDCWD, At(from).c_str(), AT_FDCWD, At(to).c_str(), flags));
  }
  int List(const std::string& path, const std::function<void()>& between, std::vector<std::string>* names) override {
    const int fd = open(At(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    alignas(8) char buffer[1024];
    long n = 0;
    for (bool first = true; (n = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0; first = false) {
      for (long at = 0; at < n;) {
        uint16_t length;
        memcpy(&length, buffer + at + 16, sizeof(length));
        names->emplace_back(buffer + at + 19);
        at += length;
      }
      if (first && between) between();
    }
    const int error = Status(n);
    close(fd);
    return error;
  }
  int SetXattr(const std::string& path, const std::string& name, const std::string& value, int flags) override {
    return Status(lsetxattr(At(path).c_str(), name.c_str(), value.data(), value.size(), flags));
  }
  int GetXattr(const std::string& path, const std::string& name, std::string* value) override {
    value->resize(65536);
    const ssize_t n = lgetxattr(At(path).c_str(), name.c_str(), value->data(), value->size());
    value->resize(n > 0 ? static_cast<size_t>(n) : 0);
    return Status(n);
  }
  int ListXattr(const std::string& path, std::vector<std::string>* names) override {
    std::string list(65536, '\0');
    const ssize_t n = llistxattr(At(path).c_str(), list.data(), list.size());
    for (ssize_t at = 0; at < n; at += static_cast<ssize_t>(names->back().size()) + 1) {
      names->emplace_back(list.data() + at);
    }
    return Status(n);
  }
  int RemoveXattr(const std::string& path, const std::string& name) override {
    return Status(lremovexattr(At(path).c_str(), name.c_str()));
  }
  int FreeBlocks(uint64_t* blocks) override {
    struct statfs st;
    const int rc = statfs(root_.c_str(), &st);
    *blocks = st.f_bfree;
    return Status(rc);
  }
  int Sync() override {
    const int fd = open(root_.c_str(), O_RDONLY | O_CLOEXEC);
    const int error = Status(syncfs(fd));
    close(fd);
    return error;
  }

 private:
  std::string At(const std::string& path) const { return path.empty() ? root_ : root_ + "/" + path; }
  static void Fill(const struct stat& st, Attributes* a) {
    *a = {.ino = st.st_ino,
          .size = static_cast<uint64_t>(st.st_size),
          .blocks = static_cast<uint64_t>(st.st_blocks),
          .mode = st.st_mode,
          .nlink = static_cast<uint32_t>(st.st_nlink),
          .uid = st.st_uid,
          .gid = st.st_gid,
          .major = major(st.st_rdev),
          .minor = minor(st.st_rdev),
          .atime = st.st_atim,
          .mtime = st.st_mtim,
          .ctime = st.st_ctim};
  }

  const std::string root_;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
};

}  // namespace

std::unique_ptr<Volume> MakeHostVolume(const std::string& path) { return std::make_unique<HostVolume>(path); }

}  // namespace daxvmm::conformance
