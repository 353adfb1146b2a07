// The one place where a guest's wish about its DAX window becomes a value that can be trusted.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_MAPPING_REQUEST_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_MAPPING_REQUEST_H_

#include <optional>

#include "base/units.h"
#include "devices/virtio_fs/fuse/abi.h"
#include "devices/virtio_fs/fuse/result.h"
#include "memory/mapping_window.h"

namespace daxvmm::dax {

// Page-aligned, not empty, and inside the window.
struct WindowRange {
  WindowOffset at;
  ByteCount length;

  WindowOffset end() const { return at + length; }
  bool operator==(const WindowRange&) const = default;
};

struct SetupRequest {
  WindowRange range;
  FileOffset from;  // page-aligned; from + range.length is at most 2^63 - 1
  memory::Protection protection = memory::Protection::kReadOnly;

  bool operator==(const SetupRequest&) const = default;
};

// FUSE_SETUPMAPPING_FLAG_* to the protection they ask for; nullopt for none or unknown ones. Their bits are those of
// PROT_* swapped, so no cast will do. A writable mapping is always readable.
std::optional<memory::Protection> ProtectionFromSetupFlags(uint64_t flags);

// EINVAL, or EROFS for a writable mapping of a read-only share. `in.fh` means nothing: Linux sends all ones.
fuse::Result<SetupRequest> ParseSetup(const fuse_setupmapping_in& in, ByteCount window_size, bool read_only);

// nullopt for an empty entry, which is to be skipped; EINVAL. A length of all ones is out of range like any other: that
// it means the whole window is a convention of vhost-user, not of FUSE.
fuse::Result<std::optional<WindowRange>> ParseRemove(const fuse_removemapping_one& in, ByteCount window_size);

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_MAPPING_REQUEST_H_
