// The names in a request, checked once and for every opcode alike.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FUSE_NAMES_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FUSE_NAMES_H_

#include "absl/strings/string_view.h"
#include "devices/virtio_fs/fuse/ops.h"
#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fuse {

// The longest string of any kind, without its NUL: PATH_MAX - 1, of a symbolic link's target.
inline constexpr size_t kMaxTarget = 4095;
inline constexpr size_t kMaxName = 255;

// Splits the next NUL-terminated string off `*bytes`. EINVAL if it has no end, or is not what `kind` may be;
// ENAMETOOLONG if it is longer than its kind allows. `*name` points into what `*bytes` does.
Errno TakeName(NameKind kind, absl::string_view* bytes, absl::string_view* name);

}  // namespace daxvmm::fuse

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FUSE_NAMES_H_
