// What a request that makes an inode brings behind its names, where INIT granted it: the security labels that the inode
// is to be born with (FUSE_SECURITY_CTX), and the caller's group that owns the directory (FUSE_CREATE_SUPP_GROUP).
//
// Linux 5.17 to 6.2 sends the labels alone and tells nobody where they begin. Later ones, and the stable kernels that
// took the change, put records of both kinds there and announce their length in fuse_in_header.total_extlen
// (get_create_ext, fs/fuse/dir.c of 6.6). A block of labels is the same in both: its count of labels is where a record
// has its type, and types up to FUSE_MAX_NR_SECCTX mean labels.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FUSE_REQUEST_EXTENSIONS_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FUSE_REQUEST_EXTENSIONS_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "devices/virtio_fs/fuse/file_system.h"
#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fuse {

// All records of a request together: a value of XATTR_SIZE_MAX with its name, and what stands around them.
inline constexpr size_t kMaxExtensions = (64 << 10) + (1 << 10);

// Reads all of `bytes` into the context's labels and supplementary group. EINVAL, with the context as it was, if they
// are not whole records, are more than kMaxExtensions, or are of a kind that `granted` (INIT flags) does not have or
// that came before.
Errno DecodeExtensions(absl::string_view bytes, uint64_t granted, RequestContext* context);

}  // namespace daxvmm::fuse

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FUSE_REQUEST_EXTENSIONS_H_
