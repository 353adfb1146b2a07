// Whose name a system call acts in. Everything here is per thread, by raw system calls: glibc's wrappers would change
// every thread of the process.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_CREDENTIALS_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_CREDENTIALS_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fs {

// Who a caller in the guest is on the host.
struct HostIdentity {
  uid_t uid = 0;
  gid_t gid = 0;
  // The one group besides `gid` that matters when something is made: that of the directory it is made in. A member
  // keeps the set-group-id bit of a new file there.
  std::optional<gid_t> group;
};

// What the assumed identity may do beyond its ids.
enum class Powers {
  // Everything that was for the guest to decide (default_permissions), which alone knows the caller's supplementary
  // groups and capabilities: CAP_DAC_OVERRIDE, CAP_FOWNER and CAP_MKNOD.
  kDecidedByGuest,
  kNone,  // the ids are to be put to the test
};

// Gives the calling thread other groups until its end. For the classes below.
class ScopedGroups {
 public:
  ScopedGroups() = default;
  ~ScopedGroups();
  ScopedGroups(const ScopedGroups&) = delete;
  ScopedGroups& operator=(const ScopedGroups&) = delete;

  // `gid`, and at most one more. Once. Needs CAP_SETGID, now and at the end.
  fuse::Errno Assume(gid_t gid, std::optional<gid_t> supplementary);

 private:
  fuse::Errno AssumeSupplementary(std::optional<gid_t> group);

  gid_t saved_gid_ = 0;
  bool gid_changed_ = false;
  bool groups_changed_ = false;
  std::vector<gid_t> saved_groups_;
};

// While it lives, the calling thread acts as `who`: its effective uid and gid, none of the server's supplementary
// groups (CVE-2022-0358: with one of them, a guest could make set-group-id files of that group) but who.group, and of
// the capabilities only `powers`. CAP_FSETID is never among them, so that the host's kernel takes the set-group-id bit
// from a new file of a group that the caller is not in; nor is CAP_SYS_RESOURCE, so that quotas count.
// Does nothing for uid 0 with gid 0, and nothing where the process is not root: files are the process's user's then.
//
// To be held around one system call that makes something; not nested.
class [[nodiscard]] ScopedCredentials {
 public:
  explicit ScopedCredentials(const HostIdentity& who, Powers powers = Powers::kDecidedByGuest);
  ~ScopedCredentials();
  ScopedCredentials(const ScopedCredentials&) = delete;
  ScopedCredentials& operator=(const ScopedCredentials&) = delete;

  // Not kOk: the identity was not assumed, and nothing may be made. EINVAL for the ids -1, which setresuid(2) would
  // take as "leave it root".
  fuse::Errno error() const { return error_; }

 private:
  fuse::Errno Assume(const HostIdentity& who, Powers powers);

  ScopedGroups groups_;  // restored after the uid, whose capabilities that needs
  fuse::Errno error_;
  uid_t saved_uid_ = 0;
  bool uid_changed_ = false;
  bool restore_capabilities_ = false;
  uint64_t saved_effective_ = 0;
};

// While it lives and `drop` was true, the thread changes files as an ordinary user does. It lacks CAP_FSETID, so that
// the host's kernel clears set-user-id and set-group-id bits on write and truncate (FUSE_HANDLE_KILLPRIV_V2); and
// CAP_SYS_RESOURCE, so that quotas count. (The blocks that ext4 reserves for root are open to its uid all the same.)
class [[nodiscard]] ScopedKillPriv {
 public:
  explicit ScopedKillPriv(bool drop);
  // For a change of the file `fd` by someone of the host's group `gid`: a set-group-id bit without execution by the
  // group stays if that is the file's group (setattr_should_drop_sgid, fs/attr.c), so the thread is in no other then.
  ScopedKillPriv(bool drop, int fd, gid_t gid);
  ~ScopedKillPriv();
  ScopedKillPriv(const ScopedKillPriv&) = delete;
  ScopedKillPriv& operator=(const ScopedKillPriv&) = delete;

 private:
  ScopedGroups groups_;
  bool dropped_ = false;
  uint64_t saved_effective_ = 0;
};

// While it lives, the thread's umask is `mask`, and the server's own is out of the way. 0 where the client has applied
// the caller's; the caller's where the client leaves that to the server (FUSE_DONT_MASK): only the host's kernel knows
// whether the directory has a default ACL, which takes the place of a umask. The umask is shared between the threads of
// a process, so the thread first gets its own copy (unshare(CLONE_FS), once); the rest of the process is not touched.
class [[nodiscard]] ScopedUmask {
 public:
  explicit ScopedUmask(mode_t mask);
  ~ScopedUmask();
  ScopedUmask(const ScopedUmask&) = delete;
  ScopedUmask& operator=(const ScopedUmask&) = delete;

 private:
  mode_t saved_ = 0;
  bool changed_ = false;
};

// Whether ScopedUmask can do that: a sandbox may forbid unshare(2). Then the client had better apply its umask itself.
// Asks on a thread of its own, which ends with the call.
bool ThreadsMayHaveTheirOwnUmask();

// Runs `call` (one system call: negative and errno on failure) as `who`, under the umask `mask`.
template <typename Call>
fuse::Errno CallAs(const HostIdentity& who, mode_t mask, Call call) {
  const ScopedUmask umask(mask);
  const ScopedCredentials credentials(who);
  if (!credentials.error().ok()) return credentials.error();
  return call() < 0 ? fuse::Errno::Last() : fuse::kOk;
}

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_CREDENTIALS_H_
