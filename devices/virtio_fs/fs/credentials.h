// Whose name a system call acts in. Everything here is per thread, by raw system calls: glibc's wrappers would change
// every thread of the process.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_CREDENTIALS_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_CREDENTIALS_H_

#include <sys/types.h>

#include <vector>

#include "devices/virtio_fs/fuse/file_system.h"
#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fs {

// While it lives, the calling thread makes files as the guest's caller: its effective uid and gid, none of the server's
// supplementary groups (CVE-2022-0358: with one of them, a guest could make set-group-id files of that group), and of
// the capabilities only CAP_DAC_OVERRIDE and CAP_MKNOD: whether the caller may is already decided in the guest
// (default_permissions), which alone knows the caller's supplementary groups and capabilities.
// Does nothing for uid 0 with gid 0, and nothing where the process is not root: files are the process's user's then.
//
// To be held around one system call that makes something; not nested.
class [[nodiscard]] ScopedCredentials {
 public:
  explicit ScopedCredentials(const fuse::RequestContext& caller);
  ~ScopedCredentials();
  ScopedCredentials(const ScopedCredentials&) = delete;
  ScopedCredentials& operator=(const ScopedCredentials&) = delete;

  // Not kOk: the identity was not assumed, and nothing may be made. EINVAL for the ids -1, which setresuid(2) would
  // take as "leave it root".
  fuse::Errno error() const { return error_; }

 private:
  fuse::Errno Assume(uid_t uid, gid_t gid);

  fuse::Errno error_;
  uid_t saved_uid_ = 0;
  gid_t saved_gid_ = 0;
  bool uid_changed_ = false;
  bool gid_changed_ = false;
  bool restore_capabilities_ = false;
  uint64_t saved_effective_ = 0;
  std::vector<gid_t> saved_groups_;
};

// While it lives and `drop` was true, the thread lacks CAP_FSETID, so that the host's kernel clears set-user-id and
// set-group-id bits on write and truncate as it would for an ordinary user (FUSE_HANDLE_KILLPRIV_V2).
class [[nodiscard]] ScopedKillPriv {
 public:
  explicit ScopedKillPriv(bool drop);
  ~ScopedKillPriv();
  ScopedKillPriv(const ScopedKillPriv&) = delete;
  ScopedKillPriv& operator=(const ScopedKillPriv&) = delete;

 private:
  bool dropped_ = false;
  uint64_t saved_effective_ = 0;
};

// While it lives, the thread's umask is 0: the client has applied the caller's (FUSE_DONT_MASK is not granted), and the
// server's must not come on top. The umask is shared between the threads of a process, so the thread first gets its own
// copy (unshare(CLONE_FS), once); the rest of the process is not touched.
class [[nodiscard]] ScopedNoUmask {
 public:
  ScopedNoUmask();
  ~ScopedNoUmask();
  ScopedNoUmask(const ScopedNoUmask&) = delete;
  ScopedNoUmask& operator=(const ScopedNoUmask&) = delete;

 private:
  mode_t saved_ = 0;
  bool changed_ = false;
};

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_CREDENTIALS_H_
