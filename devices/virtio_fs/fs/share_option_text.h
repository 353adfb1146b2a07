// The options of a share as an operator writes them.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_SHARE_OPTION_TEXT_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_SHARE_OPTION_TEXT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "devices/virtio_fs/fs/share_options.h"

namespace daxvmm::fs {

// Takes one option, "NAME" or "NAME=VALUE"; uid-map, gid-map and xattr-map add to what was given before. Everything but
// `path` can be said so. INVALID_ARGUMENT that begins with the option's name.
absl::Status ApplyShareOption(absl::string_view text, ShareOptions* options);

// Help: one option per line, with what it means.
std::string DescribeShareOptions();

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_SHARE_OPTION_TEXT_H_
