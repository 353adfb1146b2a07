#include "devices/virtio_fs/fs/dax_hint.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <cerrno>
#include <utility>

#include "absl/hash/hash.h"
#include "devices/virtio_fs/fs/host_handle.h"
#include "devices/virtio_fs/fs/inode_flags.h"
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

DaxHint HintIn(DaxHintStore store) { return store == DaxHintStore::kMemory ? DaxHint::kSetInMemory : DaxHint::kSet; }

bool HostFlag(int path_fd, mode_t type) {
  const Result<UniqueFd> fd = Reopen(path_fd, type, O_RDONLY | O_NOATIME | O_NONBLOCK);
  return fd.ok() && (GetInodeAttributes((*fd).get()).fsx_xflags & FS_XFLAG_DAX) != 0;
}

Errno SetHostFlag(int path_fd, mode_t type, bool on) {
  const Result<UniqueFd> fd = Reopen(path_fd, type, O_RDONLY | O_NOATIME | O_NONBLOCK);
  if (!fd.ok()) return fd.error();
  return ChangeInodeXflags((*fd).get(), FS_XFLAG_DAX, on ? FS_XFLAG_DAX : 0);
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
  if (!ForgetsHandles(fd)) {
    const Result<HostHandle> handle = HostHandle::Of(fd);
    if (handle.ok()) subject.identity.handle = absl::HashOf(*handle);
  }
  subject.frozen = (stx.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND)) != 0;
  return subject;
}

std::optional<bool> DaxHints::Holds(DaxHintStore store, int fd, mode_t type) const {
  switch (store) {
    case DaxHintStore::kTrustedXattr:
    case DaxHintStore::kUserXattr: {
      char value = 0;
      const ssize_t n = getxattr(ProcPath(fd).c_str(), XattrName(store), &value, 1);
      // Whatever else somebody has written there is no "0".
      if (n >= 0 || errno == ERANGE) return n != 1 || value != '0';
      return std::nullopt;
    }
    case DaxHintStore::kHostFlag:
      return HostFlag(fd, type);
    case DaxHintStore::kMemory: {
      if (in_memory() == 0) return std::nullopt;
      const Result<Subject> subject = Identify(fd);
      if (!subject.ok()) return std::nullopt;
      MutexLock lock(&mu_);
      const auto found = memory_.find(subject->identity);
      return found != memory_.end() ? std::optional(found->second) : std::nullopt;
    }
    case DaxHintStore::kAuto:
      break;
  }
  return std::nullopt;
}

Errno DaxHints::Put(DaxHintStore store, int fd, mode_t type, const Identity& identity, bool on) {
  switch (store) {
    case DaxHintStore::kTrustedXattr:
    case DaxHintStore::kUserXattr:
      return setxattr(ProcPath(fd).c_str(), XattrName(store), on ? "1" : "0", 1, 0) == 0 ? kOk : Errno::Last();
    case DaxHintStore::kHostFlag:
      return SetHostFlag(fd, type, on);
    case DaxHintStore::kMemory: {
      MutexLock lock(&mu_);
      if (memory_.size() >= max_in_memory_ && !memory_.contains(identity)) return Errno(ENOSPC);
      memory_.insert_or_assign(identity, on);
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
  if (store_ != DaxHintStore::kAuto) return Holds(store_, fd, type).value_or(false) ? HintIn(store_) : DaxHint::kUnset;
  // Wherever an earlier device has put it, which may have run as another user.
  for (const DaxHintStore store : kAutomatic) {
    if (const std::optional<bool> held = Holds(store, fd, type)) return *held ? HintIn(store) : DaxHint::kUnset;
  }
  return HostFlag(fd, type) ? DaxHint::kSet : DaxHint::kUnset;
}

Result<DaxHint> DaxHints::Set(int fd, mode_t type, bool on) {
  MutexLock lock(&setters_);
  const DaxHint now = Get(fd, type);
  if (on == (now != DaxHint::kUnset)) return now;
  const Result<Subject> subject = Identify(fd);
  if (!subject.ok()) return subject.error();
  if (subject->frozen) return Errno(EPERM);
  if (store_ != DaxHintStore::kAuto) {
    const Errno error =
        on ? Put(store_, fd, type, subject->identity, true) : Erase(store_, fd, type, subject->identity);
    if (!error.ok()) return error;
    return on ? HintIn(store_) : DaxHint::kUnset;
  }
  for (const DaxHintStore store : kAutomatic) {
    if (!Holds(store, fd, type).has_value()) continue;
    if (const Errno error = Erase(store, fd, type, subject->identity); !error.ok()) return error;
  }
  if (on == HostFlag(fd, type)) return on ? DaxHint::kSet : DaxHint::kUnset;
  return PutWhereItWorks(fd, type, subject->identity, on);
}

Result<DaxHint> DaxHints::PutWhereItWorks(int fd, mode_t type, const Identity& identity, bool on) {
  const auto learned = works_.find(identity.device);
  bool try_it = learned == works_.end();
  for (const DaxHintStore store : kAutomatic) {
    try_it = try_it || learned->second == store;
    if (!try_it) continue;
    const Errno error = Put(store, fd, type, identity, on);
    // EPERM: trusted.* is for whoever has CAP_SYS_ADMIN on the host.
    if (error == Errno(EOPNOTSUPP) || error == Errno(EPERM)) continue;
    if (!error.ok()) return error;
    if (works_.size() < kMaxDevices) works_.emplace(identity.device, store);
    return on ? HintIn(store) : DaxHint::kUnset;
  }
  return Errno(EOPNOTSUPP);
}

size_t DaxHints::in_memory() const {
  MutexLock lock(&mu_);
  return memory_.size();
}

}  // namespace daxvmm::fs
