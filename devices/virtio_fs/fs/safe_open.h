// The only place where names of a share become file descriptors of the host.
//
// A walk is one component below a directory that is already held, with the kernel's own confinement (openat2(2),
// RESOLVE_*), and yields an O_PATH descriptor: nothing is opened for I/O before its type is known, since opening a FIFO
// blocks and opening a device acts. Mount points may be crossed (RESOLVE_NO_XDEV is not set): what the operator mounted
// below the share belongs to it. All functions may be called from any thread.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_SAFE_OPEN_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_SAFE_OPEN_H_

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fs {

// What the guest is told of a call that made no descriptor, at once after it: that this process has too many is none of
// the guest's doing and means to it that the system has (ENFILE).
fuse::Errno ErrnoOfOpen();

// The magic link of a descriptor that is held: the way to system calls that refuse O_PATH descriptors. It leads to the
// inode itself, also to a symbolic link's, whatever happened to its names since.
class ProcPath {
 public:
  explicit ProcPath(int fd);
  const char* c_str() const { return text_; }

 private:
  char text_[32];
};

// The directory that a share exposes, as an O_PATH descriptor. The path is the operator's: symbolic links are followed.
// NOT_FOUND, FAILED_PRECONDITION (not a directory) or what open(2) says.
absl::StatusOr<UniqueFd> OpenShareRoot(const std::string& path);

// Whether `name` is one component: not empty, not "." or "..", at most 255 bytes, without '/' and NUL.
bool IsPlainName(absl::string_view name);

// An O_PATH descriptor of what `name` is in the directory `dir`, itself if that is a symbolic link. EINVAL if `name`
// is not plain.
fuse::Result<UniqueFd> OpenChild(int dir, const std::string& name);

// Makes a new regular file and opens it. EEXIST if there is anything of that name, even a dangling symbolic link.
// `flags` as in Reopen; `mode` is subject to the thread's umask.
fuse::Result<UniqueFd> CreateFile(int dir, const std::string& name, int flags, mode_t mode);

// The same without a name, in the file system of the directory `dir` (O_TMPFILE). O_EXCL in `flags` forbids to link it
// later. EINVAL if `flags` do not ask for writing.
fuse::Result<UniqueFd> CreateUnnamed(int dir, int flags, mode_t mode);

// Opens the inode of the O_PATH descriptor `fd` for I/O. `type` is S_IFREG or S_IFDIR: anything else is refused without
// an open: EISDIR or ENOTDIR, ELOOP for a symbolic link, ENXIO for a device, FIFO or socket. Of `flags`, which may be
// the guest's, only these count: the access mode, O_TRUNC, O_SYNC, O_DSYNC, O_NOATIME (where permitted), O_NONBLOCK.
// O_DIRECT would break the coherence of DAX mappings with what FUSE_WRITE writes; O_APPEND is the caller's business,
// since it would also displace a page that the guest writes back.
fuse::Result<UniqueFd> Reopen(int fd, mode_t type, int flags);

// A second O_PATH descriptor of the inode that `fd` is open on.
fuse::Result<UniqueFd> PathDescriptor(int fd);

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_SAFE_OPEN_H_
