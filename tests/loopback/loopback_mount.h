// The server of the virtio-fs device on another transport: the host's own /dev/fuse. For tests only: it shows what real
// programs make of the file system, at native speed, without a guest.
#ifndef DAXVMM_TESTS_LOOPBACK_LOOPBACK_MOUNT_H_
#define DAXVMM_TESTS_LOOPBACK_LOOPBACK_MOUNT_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/named_thread.h"
#include "base/unique_fd.h"
#include "devices/virtio_fs/fuse/dispatcher.h"
#include "devices/virtio_fs/fuse/file_system.h"

namespace daxvmm::loopback {

// Empty where a loopback mount is possible; else why not.
std::string WhyUnavailable();

// One mount, served until it goes. One thread at a time may call its methods.
class LoopbackMount {
 public:
  // Mounts `fs`, which must outlive the mount, at the directory `mountpoint`, and serves it on `threads` threads. All
  // users may enter; permissions are checked by the kernel, as a guest's does.
  static absl::StatusOr<std::unique_ptr<LoopbackMount>> Create(fuse::FileSystem* fs, const std::string& mountpoint,
                                                               int threads = 4);
  // Unmounts, however busy it is: programs that still use the mount get ENOTCONN.
  ~LoopbackMount();

  // Ends every request that is under way or to come with ECONNABORTED: the way out when a program hangs on the mount.
  void Abort();
  // Readable from when the mount is gone, for instance by umount(8).
  int ended_fd() const { return ended_.fd(); }
  uint64_t request_count(uint32_t opcode) const { return dispatcher_.request_count(opcode); }

 private:
  LoopbackMount(fuse::FileSystem* fs, std::string mountpoint, UniqueFd device, EventFd stop, EventFd ended);
  void Serve();

  const std::string mountpoint_;
  UniqueFd device_;
  const EventFd stop_;  // signalled once, never drained: every thread must see it
  const EventFd ended_;
  fuse::Dispatcher dispatcher_;
  std::atomic<int> serving_{0};
  std::vector<NamedThread> threads_;
};

}  // namespace daxvmm::loopback

#endif  // DAXVMM_TESTS_LOOPBACK_LOOPBACK_MOUNT_H_
