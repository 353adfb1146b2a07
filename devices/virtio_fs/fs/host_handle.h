// File handles of the host (name_to_handle_at(2)): a name for an inode that needs no descriptor.
//
// A handle carries the inode's generation, so it never leads to another file that got the same inode number. Handles
// come from this process's own descriptors only, never from the guest.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_HOST_HANDLE_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_HOST_HANDLE_H_

#include <sys/stat.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fs {

// Small, since there is one per inode that the guest knows: what the usual file systems need is held in place, a longer
// handle on the heap. Move-only. Not thread-safe; const methods are.
class HostHandle {
 public:
  HostHandle() = default;  // none
  HostHandle(HostHandle&& other) noexcept;
  HostHandle& operator=(HostHandle&& other) noexcept;
  ~HostHandle();

  // The handle of the inode of `fd` (may be O_PATH). EOPNOTSUPP if its file system has none, or none that can be kept.
  static fuse::Result<HostHandle> Of(int fd);

  bool valid() const { return size_ != 0; }
  // Of the same inode, if both are of the same mount.
  bool operator==(const HostHandle& other) const;
  template <typename H>
  friend H AbslHashValue(H h, const HostHandle& handle) {
    const absl::string_view bytes(reinterpret_cast<const char*>(handle.bytes()), handle.size_);
    return H::combine(std::move(h), handle.type_, bytes);
  }

  // An O_PATH descriptor of the inode, through `mount_fd`, which is open (not O_PATH) on the mount it was found on.
  // ESTALE if the inode is gone. Needs CAP_DAC_READ_SEARCH.
  fuse::Result<UniqueFd> Open(int mount_fd) const;

 private:
  static constexpr size_t kInPlace = 20;
  const std::byte* bytes() const;

  uint8_t size_ = 0;
  uint8_t type_ = 0;
  std::array<std::byte, kInPlace> storage_;  // the bytes, or the address of a heap block of them
};

// Whether the file system of `fd` makes handles that only lead to inodes which are still in the kernel's memory.
bool ForgetsHandles(int fd);

// The mount of `fd`, if inodes on it can be held by handle: a descriptor to open handles with, tried out on `fd`
// itself. EOPNOTSUPP if they cannot: the file system, the process's capabilities, or `fd` is no directory.
fuse::Result<UniqueFd> OpenMountForHandles(int fd);

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_HOST_HANDLE_H_
