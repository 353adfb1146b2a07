// The two operations on the DAX window, and what their handler needs of the file system.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FUSE_MAPPING_HANDLER_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FUSE_MAPPING_HANDLER_H_

#include <span>

#include "base/unique_fd.h"
#include "base/units.h"
#include "devices/virtio_fs/fuse/abi.h"
#include "devices/virtio_fs/fuse/file_system.h"
#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fuse {

// Serves SETUPMAPPING and REMOVEMAPPING (virtio 1.2, 5.11.6.4; fs/fuse/dax.c of Linux). Never answers EAGAIN
// or ENOMEM, which make a fault in the guest retry without end. Called on request threads.
class MappingHandler {
 public:
  virtual ~MappingHandler() = default;
  virtual Errno SetupMapping(const RequestContext& ctx, NodeId node, const fuse_setupmapping_in& in) = 0;
  // All entries are validated before the first is applied.
  virtual Errno RemoveMapping(NodeId node, std::span<const fuse_removemapping_one> entries) = 0;
};

// Opens the host file of a live node for mmap.
class MappingSource {
 public:
  virtual ~MappingSource() = default;
  // O_RDONLY, or O_RDWR if `writable`. ENOENT for an unknown node, EINVAL for what is not a regular file, EROFS for a
  // writable mapping on a read-only share, or the errno of open(2).
  virtual Result<UniqueFd> OpenForMapping(NodeId node, bool writable) = 0;
};

}  // namespace daxvmm::fuse

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FUSE_MAPPING_HANDLER_H_
