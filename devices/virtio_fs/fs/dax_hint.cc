#include "devices/virtio_fs/fs/dax_hint.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <cerrno>
#include <span>
#include <utility>

#include "devices/virtio_fs/fs/safe_open.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;
using fuse::kOk;
using fuse::Result;

constexpr DaxHintStore kAutomatic[] = {DaxHintStore::kTrustedXattr, DaxHintStore::kUserXattr, DaxHintStore::kMemory};
// A share has few file systems below it; what is not remembered is found out again.
constexpr size_t kMaxDevices = 64;

const char* XattrName(DaxHintStore store) {
  return store == DaxHintStore::kTrustedXattr ? kTrustedDaxHintName : kUserDaxHintName;
}

DaxHint HintIn(DaxHintStore store) {
  return store == DaxHintStore::kMemory ? DaxHint::kSetInMemory : DaxHint::kSet;
}

// A file system that has no such flags refuses the ioctl itself.
Errno LastOfIoctl() { return errno == ENOTTY ? Errno(EOPNOTSUPP) : Errno::Last(); }

Result<UniqueFd> OpenForIoctl(int fd, mode_t type) { return Reopen(fd, type, O_RDONLY | O_NOATIME | O_NONBLOCK); }

bool HostFlag(int path_fd, mode_t type) {
  const Result<UniqueFd> fd = OpenForIoctl(path_fd, type);
  fsxattr attr = {};
  return fd.ok() && ioctl((*fd).get(), FS_IOC_FSGETXATTR, &attr) == 0 && (attr.fsx_xflags & FS_XFLAG_DAX) != 0;
}

Errno SetHostFlag(int path_fd, mode_t type, bool on) {
  const Result<UniqueFd> fd = OpenForIoctl(path_fd, type);
  if (!fd.ok()) return fd.error();
  fsxattr attr = {};
  if (ioctl((*fd).get(), FS_IOC_FSGETXATTR, &attr) != 0) return LastOfIoctl();
  attr.fsx_xflags = on ? attr.fsx_xflags | FS_XFLAG_DAX : attr.fsx_xflags & ~uint32_t{FS_XFLAG_DAX};
  return ioctl((*fd).get(), FS_IOC_FSSETXATTR, &attr) == 0 ? kOk : LastOfIoctl();
}

}  // namespace

bool IsDaxHintName(absl::string_view host_xattr_name) {
  return host_xattr_name == kTrustedDaxHintName || host_xattr_name == kUserDaxHintName;
}

Result<DaxHints::Subject> DaxHints::Identify(int fd) {
  struct statx stx;
  if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &stx) != 0) return Errno::Last();
  Subject subject;
  subject.identity.device = makedev(stx.stx_dev_major, stx.stx_dev_minor);
  subject.identity.inode = stx.stx_ino;
  if ((stx.stx_mask & STATX_BTIME) != 0) {
    subject.identity.birth_s = stx.stx_btime.tv_sec;
    subject.identity.birth_ns = stx.stx_btime.tv_nsec;
  }
  subject.frozen = (stx.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND)) != 0;
  return subject;
}

bool DaxHints::Holds(DaxHintStore store, int fd, mode_t type) const {
  switch (store) {
    case DaxHintStore::kTrustedXattr:
    case DaxHintStore::kUserXattr:
      return getxattr(ProcPath(fd).c_str(), XattrName(store), nullptr, 0) >= 0;
    case DaxHintStore::kHostFlag:
      return HostFlag(fd, type);
    case DaxHintStore::kMemory: {
      if (in_memory() == 0) return false;
      const Result<Subject> subject = Identify(fd);
      MutexLock lock(&mu_);
      return subject.ok() && memory_.contains(subject->identity);
    }
    case DaxHintStore::kAuto:
      break;
  }
  return false;
}

Errno DaxHints::Put(DaxHintStore store, int fd, mode_t type, const Identity& identity) {
  switch (store) {
    case DaxHintStore::kTrustedXattr:
    case DaxHintStore::kUserXattr:
      return setxattr(ProcPath(fd).c_str(), XattrName(store), "1", 1, 0) == 0 ? kOk : Errno::Last();
    case DaxHintStore::kHostFlag:
      return SetHostFlag(fd, type, true);
    case DaxHintStore::kMemory: {
      MutexLock lock(&mu_);
      if (memory_.size() >= max_in_memory_ && !memory_.contains(identity)) return Errno(ENOSPC);
      memory_.insert(identity);
      return kOk;
    }
    case DaxHintStore::kAuto:
      break;
  }
  return Errno(EOPNOTSUPP);
}

Errno DaxHints::Erase(DaxHintStore store, int fd, mode_t type, const Identity& identity) {
  switch (store) {
    case DaxHintStore::kTrustedXattr:
    case DaxHintStore::kUserXattr:
      return removexattr(ProcPath(fd).c_str(), XattrName(store)) == 0 || errno == ENODATA ? kOk : Errno::Last();
    case DaxHintStore::kHostFlag:
      return SetHostFlag(fd, type, false);
    case DaxHintStore::kMemory: {
      MutexLock lock(&mu_);
      memory_.erase(identity);
      return kOk;
    }
    case DaxHintStore::kAuto:
      break;
  }
  return kOk;
}

DaxHint DaxHints::Get(int fd, mode_t type) const {
  // With kAuto, wherever an earlier device has put it, which may have run as another user.
  std::span<const DaxHintStore> stores(&store_, 1);
  if (store_ == DaxHintStore::kAuto) stores = kAutomatic;
  for (const DaxHintStore store : stores) {
    if (Holds(store, fd, type)) return HintIn(store);
  }
  return DaxHint::kUnset;
}

Result<DaxHint> DaxHints::Set(int fd, mode_t type, bool on) {
  MutexLock lock(&setters_);
  const DaxHint now = Get(fd, type);
  if (on == (now != DaxHint::kUnset)) return now;
  const Result<Subject> subject = Identify(fd);
  if (!subject.ok()) return subject.error();
  if (subject->frozen) return Errno(EPERM);
  if (store_ != DaxHintStore::kAuto) {
    const Errno error = on ? Put(store_, fd, type, subject->identity) : Erase(store_, fd, type, subject->identity);
    if (!error.ok()) return error;
    return on ? HintIn(store_) : DaxHint::kUnset;
  }
  if (!on) {
    for (const DaxHintStore store : kAutomatic) {
      if (!Holds(store, fd, type)) continue;
      if (const Errno error = Erase(store, fd, type, subject->identity); !error.ok()) return error;
    }
    return DaxHint::kUnset;
  }
  return PutWhereItWorks(fd, type, subject->identity);
}

Result<DaxHint> DaxHints::PutWhereItWorks(int fd, mode_t type, const Identity& identity) {
  const auto learned = works_.find(identity.device);
  bool try_it = learned == works_.end();
  for (const DaxHintStore store : kAutomatic) {
    try_it = try_it || learned->second == store;
    if (!try_it) continue;
    const Errno error = Put(store, fd, type, identity);
    // EPERM: trusted.* is for whoever has CAP_SYS_ADMIN on the host.
    if (error == Errno(EOPNOTSUPP) || error == Errno(EPERM)) continue;
    if (!error.ok()) return error;
    if (works_.size() < kMaxDevices) works_.emplace(identity.device, store);
    return HintIn(store);
  }
  return Errno(EOPNOTSUPP);
}

size_t DaxHints::in_memory() const {
  MutexLock lock(&mu_);
  return memory_.size();
}

}  // namespace daxvmm::fs
