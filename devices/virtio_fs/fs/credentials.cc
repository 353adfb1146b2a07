#include "devices/virtio_fs/fs/credentials.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

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

Errno ScopedGroups::Assume(gid_t gid, std::optional<gid_t> supplementary) {
  saved_gid_ = getegid();
  if (const Errno error = AssumeSupplementary(supplementary); !error.ok()) return error;
  if (gid == saved_gid_) return kOk;
  if (syscall(SYS_setresgid, -1, gid, -1) != 0) return Errno::Last();
  gid_changed_ = true;
  return kOk;
}

Errno ScopedGroups::AssumeSupplementary(std::optional<gid_t> group) {
  const int count = getgroups(0, nullptr);
  if (count < 0) return Errno::Last();
  if (count == 0 && !group.has_value()) return kOk;
  saved_groups_.resize(static_cast<size_t>(count));
  if (count > 0 && getgroups(count, saved_groups_.data()) != count) return Errno(EPERM);
  const gid_t only = group.value_or(0);
  groups_changed_ = syscall(SYS_setgroups, group.has_value() ? 1 : 0, &only) == 0;
  // A user namespace may forbid setgroups(2): then `group` is done without, but the server's own groups are not kept.
  return groups_changed_ || count == 0 ? kOk : Errno(EPERM);
}

ScopedGroups::~ScopedGroups() {
  const int saved_errno = errno;
  // A thread that went on in the wrong name would be a hole: neither can fail for a process whose real uid is 0.
  if (gid_changed_) CHECK(syscall(SYS_setresgid, -1, saved_gid_, -1) == 0) << "cannot restore the gid";
  if (groups_changed_) {
    CHECK(syscall(SYS_setgroups, saved_groups_.size(), saved_groups_.data()) == 0) << "cannot restore the groups";
  }
  errno = saved_errno;
}

ScopedCredentials::ScopedCredentials(const HostIdentity& who, Powers powers) {
  if (who.uid == static_cast<uid_t>(-1) || who.gid == static_cast<gid_t>(-1)) {
    error_ = Errno(EINVAL);
    return;
  }
  if (geteuid() != 0 || (who.uid == 0 && who.gid == 0)) return;
  error_ = Assume(who, powers);
}

Errno ScopedCredentials::Assume(const HostIdentity& who, Powers powers) {
  saved_uid_ = geteuid();
  Capabilities caps;
  if (!GetCapabilities(&caps)) return Errno::Last();
  saved_effective_ = caps.effective;

  // The groups and the gid go first: without CAP_SETGID, which leaves with the uid, they could not.
  if (const Errno error = groups_.Assume(who.gid, who.group); !error.ok()) return error;
  if (who.uid == saved_uid_) return kOk;
  if (syscall(SYS_setresuid, -1, who.uid, -1) != 0) return Errno::Last();
  uid_changed_ = true;
  restore_capabilities_ = caps.effective != caps.permitted;
  const uint64_t kept = powers == Powers::kNone ? 0 : Bit(CAP_DAC_OVERRIDE) | Bit(CAP_FOWNER) | Bit(CAP_MKNOD);
  if (!SetEffective(caps, caps.effective & kept)) return Errno::Last();
  return kOk;
}

ScopedCredentials::~ScopedCredentials() {
  if (!uid_changed_) return;
  const int saved_errno = errno;
  // As for the groups.
  CHECK(syscall(SYS_setresuid, -1, saved_uid_, -1) == 0) << "cannot restore the uid";
  // Effective uid 0 has brought back everything permitted, which may be more than there was.
  Capabilities caps;
  if (restore_capabilities_ && GetCapabilities(&caps)) SetEffective(caps, saved_effective_);
  errno = saved_errno;
}

ScopedKillPriv::ScopedKillPriv(bool drop) {
  Capabilities caps;
  if (!drop || !GetCapabilities(&caps) || (caps.effective & Bit(CAP_FSETID)) == 0) return;
  saved_effective_ = caps.effective;
  dropped_ = SetEffective(caps, caps.effective & ~(Bit(CAP_FSETID) | Bit(CAP_SYS_RESOURCE)));
}

ScopedKillPriv::ScopedKillPriv(bool drop, int fd, gid_t gid) : ScopedKillPriv(drop) {
  struct stat st;
  if (!dropped_ || geteuid() != 0 || fstat(fd, &st) != 0 || (st.st_mode & (S_ISGID | S_IXGRP)) != S_ISGID) return;
  // Without it the bit may be cleared or not, as it is for the server's own groups.
  if (!groups_.Assume(gid, std::nullopt).ok()) LOG_LIMITED(kWarning) << "the groups of a thread cannot be changed";
}

ScopedKillPriv::~ScopedKillPriv() {
  if (!dropped_) return;
  const int saved_errno = errno;
  Capabilities caps;
  if (GetCapabilities(&caps)) SetEffective(caps, saved_effective_);
  errno = saved_errno;
}

ScopedUmask::ScopedUmask(mode_t mask) {
  thread_local const bool own_copy = unshare(CLONE_FS) == 0;
  if (!own_copy) {
    LOG_LIMITED(kWarning) << "unshare(CLONE_FS) is refused: the umask of the process applies to new files";
    return;
  }
  saved_ = umask(mask & 0777);
  changed_ = true;
}

ScopedUmask::~ScopedUmask() {
  if (changed_) umask(saved_);
}

bool ThreadsMayHaveTheirOwnUmask() {
  bool may = false;
  std::thread([&may] { may = unshare(CLONE_FS) == 0; }).join();
  return may;
}

}  // namespace daxvmm::fs
