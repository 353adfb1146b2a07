#include "devices/virtio_fs/fs/credentials.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;
using fuse::kOk;

constexpr uint64_t Bit(int capability) { return uint64_t{1} << capability; }

struct Capabilities {
  uint64_t effective = 0;
  uint64_t permitted = 0;
  uint64_t inheritable = 0;
};

bool GetCapabilities(Capabilities* caps) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  caps->effective = uint64_t{data[1].effective} << 32 | data[0].effective;
  caps->permitted = uint64_t{data[1].permitted} << 32 | data[0].permitted;
  caps->inheritable = uint64_t{data[1].inheritable} << 32 | data[0].inheritable;
  return true;
}

bool SetEffective(Capabilities caps, uint64_t effective) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (int i = 0; i < 2; ++i) {
    data[i].effective = static_cast<uint32_t>(effective >> (32 * i));
    data[i].permitted = static_cast<uint32_t>(caps.permitted >> (32 * i));
    data[i].inheritable = static_cast<uint32_t>(caps.inheritable >> (32 * i));
  }
  return syscall(SYS_capset, &header, data) == 0;
}

}  // namespace

ScopedCredentials::ScopedCredentials(const fuse::RequestContext& caller) {
  if (caller.uid == static_cast<uid_t>(-1) || caller.gid == static_cast<gid_t>(-1)) {
    error_ = Errno(EINVAL);
    return;
  }
  if (geteuid() != 0 || (caller.uid == 0 && caller.gid == 0)) return;
  error_ = Assume(caller.uid, caller.gid);
}

Errno ScopedCredentials::Assume(uid_t uid, gid_t gid) {
  saved_uid_ = geteuid();
  saved_gid_ = getegid();
  Capabilities caps;
  if (!GetCapabilities(&caps)) return Errno::Last();
  saved_effective_ = caps.effective;

  // The groups and the gid go first: without CAP_SETGID, which leaves with the uid, they could not.
  const int groups = getgroups(0, nullptr);
  if (groups > 0) {
    saved_groups_.resize(static_cast<size_t>(groups));
    if (getgroups(groups, saved_groups_.data()) != groups || syscall(SYS_setgroups, 0, nullptr) != 0) {
      saved_groups_.clear();
      return Errno(EPERM);
    }
  }
  if (gid != saved_gid_) {
    if (syscall(SYS_setresgid, -1, gid, -1) != 0) return Errno::Last();
    gid_changed_ = true;
  }
  if (uid == saved_uid_) return kOk;
  if (syscall(SYS_setresuid, -1, uid, -1) != 0) return Errno::Last();
  uid_changed_ = true;
  restore_capabilities_ = caps.effective != caps.permitted;
  if (!SetEffective(caps, caps.effective & (Bit(CAP_DAC_OVERRIDE) | Bit(CAP_MKNOD)))) return Errno::Last();
  return kOk;
}

ScopedCredentials::~ScopedCredentials() {
  const int saved_errno = errno;
  // A thread that went on in the wrong name would be a hole: none of these can fail for a process whose real uid is 0.
  if (uid_changed_) {
    CHECK(syscall(SYS_setresuid, -1, saved_uid_, -1) == 0) << "cannot restore the uid";
    // Effective uid 0 has brought back everything permitted, which may be more than there was.
    Capabilities caps;
    if (restore_capabilities_ && GetCapabilities(&caps)) SetEffective(caps, saved_effective_);
  }
  if (gid_changed_) CHECK(syscall(SYS_setresgid, -1, saved_gid_, -1) == 0) << "cannot restore the gid";
  if (!saved_groups_.empty()) {
    CHECK(syscall(SYS_setgroups, saved_groups_.size(), saved_groups_.data()) == 0) << "cannot restore the groups";
  }
  errno = saved_errno;
}

ScopedKillPriv::ScopedKillPriv(bool drop) {
  Capabilities caps;
  if (!drop || !GetCapabilities(&caps) || (caps.effective & Bit(CAP_FSETID)) == 0) return;
  saved_effective_ = caps.effective;
  dropped_ = SetEffective(caps, caps.effective & ~Bit(CAP_FSETID));
}

ScopedKillPriv::~ScopedKillPriv() {
  if (!dropped_) return;
  const int saved_errno = errno;
  Capabilities caps;
  if (GetCapabilities(&caps)) SetEffective(caps, saved_effective_);
  errno = saved_errno;
}

ScopedNoUmask::ScopedNoUmask() {
  thread_local const bool own_copy = unshare(CLONE_FS) == 0;
  if (!own_copy) {
    LOG_LIMITED(kWarning) << "unshare(CLONE_FS) is refused: the umask of the process applies to new files";
    return;
  }
  saved_ = umask(0);
  changed_ = true;
}

ScopedNoUmask::~ScopedNoUmask() {
  if (changed_) umask(saved_);
}

}  // namespace daxvmm::fs
