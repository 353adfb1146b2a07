// The device's configuration space (virtio 1.2, 5.11.4).
#ifndef DAXVMM_DEVICES_VIRTIO_FS_CONFIG_SPACE_H_
#define DAXVMM_DEVICES_VIRTIO_FS_CONFIG_SPACE_H_

#include <linux/virtio_fs.h>

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace daxvmm::virtio_fs {

inline constexpr size_t kMaxTagBytes = 36;
static_assert(sizeof(virtio_fs_config::tag) == kMaxTagBytes && sizeof(virtio_fs_config) == 40);

// OK, or INVALID_ARGUMENT: a tag has 1 to 36 bytes, and neither NUL nor newline (Linux refuses a newline, and reads the
// tag up to a NUL).
absl::Status ValidateTag(absl::string_view tag);

// `tag` is valid. It is padded with NULs, and has none where it fills the field.
virtio_fs_config MakeConfigSpace(absl::string_view tag, uint32_t request_queues);

// Fills `data` from `offset` on; zero past the end. Drivers read the tag byte by byte.
void ReadConfigSpace(const virtio_fs_config& config, uint64_t offset, std::span<uint8_t> data);

}  // namespace daxvmm::virtio_fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_CONFIG_SPACE_H_
