#include "tests/fs_conformance/host_volume.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
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

// The thread acts as the caller during one call. The system calls by number are those of the thread alone: the C
// library's would change the whole process, a server in it included.
class As {
 public:
  explicit As(const Caller& caller) : saved_umask_(umask(caller.umask)), changed_(caller.uid != 0 || caller.gid != 0) {
    if (!changed_) return;
    syscall(SYS_setgroups, caller.groups.size(), caller.groups.data());
    syscall(SYS_setresgid, -1, caller.gid, -1);
    syscall(SYS_setresuid, -1, caller.uid, -1);
  }
  ~As() {
    const int saved = errno;
    if (changed_) {
      syscall(SYS_setresuid, -1, 0, -1);
      syscall(SYS_setresgid, -1, 0, -1);
      syscall(SYS_setgroups, 0, nullptr);
    }
    umask(saved_umask_);
    errno = saved;
  }

 private:
  const mode_t saved_umask_;
  const bool changed_;
};

class HostVolume : public Volume {
 public:
  explicit HostVolume(const std::string& path) : root_(path) {
    // The umask becomes the thread's own.
    unshare(CLONE_FS);
  }

  void SetCaller(const Caller& caller) override { caller_ = caller; }
  int Open(const std::string& path, int flags, mode_t mode, int* fd) override {
    const As as(caller_);
    *fd = open(At(path).c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode);
    return Status(*fd);
  }
  int OpenTemporary(const std::string& path, int flags, mode_t mode, int* fd) override {
    return Open(path, flags | O_TMPFILE, mode, fd);
  }
  int Close(int fd) override { return Status(close(fd)); }
  int Read(int fd, uint64_t offset, size_t size, std::string* data) override {
    const As as(caller_);
    data->resize(size);
    const ssize_t n = pread(fd, data->data(), size, static_cast<off_t>(offset));
    data->resize(n > 0 ? static_cast<size_t>(n) : 0);
    return Status(n);
  }
  int Write(int fd, uint64_t offset, const std::string& data, size_t* written) override {
    const As as(caller_);
    const ssize_t n = pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
    *written = n > 0 ? static_cast<size_t>(n) : 0;
    return Status(n);
  }
  int Fsync(int fd, bool data_only) override { return Status(data_only ? fdatasync(fd) : fsync(fd)); }
  int Fallocate(int fd, int mode, uint64_t offset, uint64_t length) override {
    const As as(caller_);
    return Status(fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(length)));
  }
  int Seek(int fd, uint64_t offset, int whence, uint64_t* at) override {
    const off_t result = lseek(fd, static_cast<off_t>(offset), whence);
    *at = static_cast<uint64_t>(result);
    return Status(result);
  }
  int CopyRange(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length, size_t* copied) override {
    const As as(caller_);
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
    const As as(caller_);
    return Status(ftruncate(fd, static_cast<off_t>(size)));
  }
  int FChmod(int fd, mode_t mode) override {
    const As as(caller_);
    return Status(fchmod(fd, mode));
  }
  int FChown(int fd, uid_t uid, gid_t gid) override {
    const As as(caller_);
    return Status(fchown(fd, uid, gid));
  }
  int FSetTimes(int fd, timespec atime, timespec mtime) override {
    const As as(caller_);
    const timespec times[2] = {atime, mtime};
    return Status(futimens(fd, times));
  }
  int FSetXattr(int fd, const std::string& name, const std::string& value, int flags) override {
    const As as(caller_);
    return Status(fsetxattr(fd, name.c_str(), value.data(), value.size(), flags));
  }
  int FGetXattr(int fd, const std::string& name, std::string* value) override {
    const As as(caller_);
    value->resize(65536);
    const ssize_t n = fgetxattr(fd, name.c_str(), value->data(), value->size());
    value->resize(n > 0 ? static_cast<size_t>(n) : 0);
    return Status(n);
  }
  int LinkOpen(int fd, const std::string& to) override {
    const As as(caller_);
    const std::string from = "/proc/thread-self/fd/" + std::to_string(fd);
    return Status(linkat(AT_FDCWD, from.c_str(), AT_FDCWD, At(to).c_str(), AT_SYMLINK_FOLLOW));
  }
  int GetFlags(int fd, uint32_t* flags) override {
    const As as(caller_);
    return Status(ioctl(fd, FS_IOC_GETFLAGS, flags));
  }
  int SetFlags(int fd, uint32_t flags) override {
    const As as(caller_);
    return Status(ioctl(fd, FS_IOC_SETFLAGS, &flags));
  }
  int MapRead(int fd, uint64_t offset, size_t size, std::string* data) override {
    void* const map = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(offset));
    if (map == MAP_FAILED) return errno;
    data->assign(static_cast<const char*>(map), size);
    return Status(munmap(map, size));
  }
  int MapWrite(int fd, uint64_t offset, const std::string& data) override {
    void* const map = mmap(nullptr, data.size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset));
    if (map == MAP_FAILED) return errno;
    memcpy(map, data.data(), data.size());
    return Status(munmap(map, data.size()));
  }
  int Flock(int fd, int operation) override { return Status(flock(fd, operation | LOCK_NB)); }
  int OfdLock(int fd, bool lock) override {
    struct flock range = {};
    range.l_type = lock ? F_WRLCK : F_UNLCK;
    range.l_whence = SEEK_SET;
    return Status(fcntl(fd, F_OFD_SETLK, &range));
  }
  int Stat(const std::string& path, Attributes* attributes) override {
    const As as(caller_);
    struct stat st;
    const int rc = lstat(At(path).c_str(), &st);
    if (rc == 0) Fill(st, attributes);
    return Status(rc);
  }
  int Access(const std::string& path, int mode) override {
    const As as(caller_);
    return Status(faccessat(AT_FDCWD, At(path).c_str(), mode, AT_EACCESS));
  }
  int Truncate(const std::string& path, uint64_t size) override {
    const As as(caller_);
    return Status(truncate(At(path).c_str(), static_cast<off_t>(size)));
  }
  int Chmod(const std::string& path, mode_t mode) override {
    const As as(caller_);
    return Status(chmod(At(path).c_str(), mode));
  }
  int Chown(const std::string& path, uid_t uid, gid_t gid) override {
    const As as(caller_);
    return Status(lchown(At(path).c_str(), uid, gid));
  }
  int SetTimes(const std::string& path, timespec atime, timespec mtime) override {
    const As as(caller_);
    const timespec times[2] = {atime, mtime};
    return Status(utimensat(AT_FDCWD, At(path).c_str(), times, AT_SYMLINK_NOFOLLOW));
  }
  int MkDir(const std::string& path, mode_t mode) override {
    const As as(caller_);
    return Status(mkdir(At(path).c_str(), mode));
  }
  int MkNod(const std::string& path, mode_t mode, uint32_t major, uint32_t minor) override {
    const As as(caller_);
    return Status(mknod(At(path).c_str(), mode, makedev(major, minor)));
  }
  int SymLink(const std::string& target, const std::string& path) override {
    const As as(caller_);
    return Status(symlink(target.c_str(), At(path).c_str()));
  }
  int ReadLink(const std::string& path, std::string* target) override {
    const As as(caller_);
    target->resize(4096);
    const ssize_t n = readlink(At(path).c_str(), target->data(), target->size());
    target->resize(n > 0 ? static_cast<size_t>(n) : 0);
    return Status(n);
  }
  int Link(const std::string& from, const std::string& to) override {
    const As as(caller_);
    return Status(link(At(from).c_str(), At(to).c_str()));
  }
  int Unlink(const std::string& path) override {
    const As as(caller_);
    return Status(unlink(At(path).c_str()));
  }
  int RmDir(const std::string& path) override {
    const As as(caller_);
    return Status(rmdir(At(path).c_str()));
  }
  int Rename(const std::string& from, const std::string& to, uint32_t flags) override {
    const As as(caller_);
    return Status(renameat2(AT_FDCWD, At(from).c_str(), AT_FDCWD, At(to).c_str(), flags));
  }
  int OpenDir(const std::string& path, int* fd) override {
    const As as(caller_);
    *fd = open(At(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return Status(*fd);
  }
  int ReadDir(int fd, uint64_t offset, std::vector<DirEntry>* entries) override {
    const As as(caller_);
    if (lseek(fd, static_cast<off_t>(offset), SEEK_SET) < 0) return errno;
    alignas(8) char buffer[1024];
    const long n = syscall(SYS_getdents64, fd, buffer, sizeof(buffer));
    for (long at = 0; at < n;) {
      dirent64 head;
      memcpy(&head, buffer + at, offsetof(dirent64, d_name));
      entries->push_back({.name = buffer + at + offsetof(dirent64, d_name),
                          .ino = head.d_ino,
                          .type = head.d_type,
                          .next_offset = static_cast<uint64_t>(head.d_off)});
      at += head.d_reclen;
    }
    return Status(n);
  }
  int FsyncDir(int fd) override { return Status(fsync(fd)); }
  int CloseDir(int fd) override { return Status(close(fd)); }
  int SetXattr(const std::string& path, const std::string& name, const std::string& value, int flags) override {
    const As as(caller_);
    return Status(lsetxattr(At(path).c_str(), name.c_str(), value.data(), value.size(), flags));
  }
  int GetXattr(const std::string& path, const std::string& name, std::string* value) override {
    const As as(caller_);
    value->resize(65536);
    const ssize_t n = lgetxattr(At(path).c_str(), name.c_str(), value->data(), value->size());
    value->resize(n > 0 ? static_cast<size_t>(n) : 0);
    return Status(n);
  }
  int ListXattr(const std::string& path, std::vector<std::string>* names) override {
    const As as(caller_);
    std::string list(65536, '\0');
    const ssize_t n = llistxattr(At(path).c_str(), list.data(), list.size());
    for (ssize_t at = 0; at < n; at += static_cast<ssize_t>(names->back().size()) + 1) {
      names->emplace_back(list.data() + at);
    }
    return Status(n);
  }
  int RemoveXattr(const std::string& path, const std::string& name) override {
    const As as(caller_);
    return Status(lremovexattr(At(path).c_str(), name.c_str()));
  }
  int StatFs(Capacity* capacity) override {
    struct statfs st;
    if (statfs(root_.c_str(), &st) != 0) return errno;
    *capacity = {.block_size = static_cast<uint64_t>(st.f_bsize),
                 .blocks = st.f_blocks,
                 .free_blocks = st.f_bfree,
                 .available_blocks = st.f_bavail,
                 .files = st.f_files,
                 .free_files = st.f_ffree,
                 .name_max = static_cast<uint64_t>(st.f_namelen)};
    return 0;
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
  Caller caller_;
};

}  // namespace

std::unique_ptr<Volume> MakeHostVolume(const std::string& path) { return std::make_unique<HostVolume>(path); }

}  // namespace daxvmm::conformance
