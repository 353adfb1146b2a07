#include "devices/virtio_fs/fs/safe_open.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/status.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;
using fuse::Result;

constexpr int kGuestFlags = O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC | O_NOATIME | O_NONBLOCK;

// O_NOATIME is the owner's privilege: an open without it is what the guest gets where it is refused.
template <typename OpenFunction>
Result<UniqueFd> OpenWithOptionalNoAtime(int flags, OpenFunction open_with) {
  int fd = open_with(flags);
  if (fd < 0 && errno == EPERM && (flags & O_NOATIME) != 0) fd = open_with(flags & ~O_NOATIME);
  if (fd < 0) return ErrnoOfOpen();
  return UniqueFd(fd);
}

int OpenBeneath(int dir, const char* name, int flags, mode_t mode) {
  open_how how = {};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC | O_NOFOLLOW);
  how.mode = mode;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  return static_cast<int>(syscall(SYS_openat2, dir, name, &how, sizeof(how)));
}

}  // namespace

Errno ErrnoOfOpen() { return errno == EMFILE ? Errno(ENFILE) : Errno::Last(); }

ProcPath::ProcPath(int fd) { snprintf(text_, sizeof(text_), "/proc/self/fd/%d", fd); }

absl::StatusOr<UniqueFd> OpenShareRoot(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, path);
  return fd;
}

bool IsPlainName(absl::string_view name) {
  return !name.empty() && name.size() <= NAME_MAX && name != "." && name != ".." &&
         name.find('/') == absl::string_view::npos && name.find('\0') == absl::string_view::npos;
}

Result<UniqueFd> OpenChild(int dir, const std::string& name) {
  if (!IsPlainName(name)) return Errno(EINVAL);
  const int fd = OpenBeneath(dir, name.c_str(), O_PATH, 0);
  if (fd < 0) return ErrnoOfOpen();
  return UniqueFd(fd);
}

Result<UniqueFd> CreateFile(int dir, const std::string& name, int flags, mode_t mode) {
  if (!IsPlainName(name)) return Errno(EINVAL);
  // A file that O_EXCL has just made has nothing to truncate.
  const int open_flags = (flags & kGuestFlags & ~(O_TRUNC | O_NONBLOCK)) | O_CREAT | O_EXCL | O_NOCTTY;
  return OpenWithOptionalNoAtime(open_flags, [&](int f) { return OpenBeneath(dir, name.c_str(), f, mode & 07777); });
}

Result<UniqueFd> CreateUnnamed(int dir, int flags, mode_t mode) {
  const int open_flags = (flags & ((kGuestFlags & ~(O_TRUNC | O_NONBLOCK)) | O_EXCL)) | O_TMPFILE | O_CLOEXEC;
  const ProcPath path(dir);
  return OpenWithOptionalNoAtime(open_flags, [&](int f) { return open(path.c_str(), f, mode & 07777); });
}

Result<UniqueFd> Reopen(int fd, mode_t type, int flags) {
  struct stat st;
  if (fstat(fd, &st) != 0) return Errno::Last();
  if ((st.st_mode & S_IFMT) != type) {
    if (S_ISLNK(st.st_mode)) return Errno(ELOOP);
    if (S_ISDIR(st.st_mode)) return Errno(EISDIR);
    if (S_ISREG(st.st_mode)) return Errno(ENOTDIR);
    return Errno(ENXIO);
  }
  if ((flags & O_ACCMODE) == O_ACCMODE) return Errno(EINVAL);
  int open_flags = (flags & kGuestFlags) | O_CLOEXEC | O_NOCTTY;
  if (type == S_IFDIR) open_flags = (open_flags & ~(O_TRUNC | O_ACCMODE)) | O_DIRECTORY;
  const ProcPath path(fd);
  return OpenWithOptionalNoAtime(open_flags, [&](int f) { return open(path.c_str(), f); });
}

Result<UniqueFd> PathDescriptor(int fd) {
  const int path_fd = open(ProcPath(fd).c_str(), O_PATH | O_CLOEXEC);
  if (path_fd < 0) return ErrnoOfOpen();
  return UniqueFd(path_fd);
}

}  // namespace daxvmm::fs
