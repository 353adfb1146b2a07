// INIT: what a client and this server agree on. A pure function, so that the agreement can be tested as a table.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FUSE_SESSION_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FUSE_SESSION_H_

#include <cstdint>

#include "devices/virtio_fs/fuse/abi.h"
#include "devices/virtio_fs/fuse/dispatcher.h"
#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fuse {

inline constexpr uint32_t kMajor = 7;
inline constexpr uint32_t kMinor = 38;
// Below it, structures have layouts that this server does not speak.
inline constexpr uint32_t kOldestMinor = 27;

struct Agreement {
  Errno error;  // EPROTO: the client is too old; `out` means nothing then
  // False where the client's major is newer: the reply then only tells ours, and the client sends INIT again.
  bool starts_session = false;
  fuse_init_out out = {};
  uint64_t granted = 0;  // both flag words of `out`
  ClientDaxMode mode = ClientDaxMode::kNoSession;
};

// `in` is zero where the client's fuse_init_in was shorter (16 bytes before 7.36).
// `optional_flags` are the file system's: FileSystem::optional_init_flags.
Agreement Negotiate(const fuse_init_in& in, const SessionOptions& options, uint64_t optional_flags);

}  // namespace daxvmm::fuse

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FUSE_SESSION_H_
