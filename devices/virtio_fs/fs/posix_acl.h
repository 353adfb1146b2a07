// POSIX ACLs in the form of their extended attributes (include/uapi/linux/posix_acl_xattr.h), as far as a passthrough
// has to understand them: the user and group ids inside are the guest's on one side and the host's on the other.
// Whether the entries make an ACL (their order, which must exist) is left to the host's kernel.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_POSIX_ACL_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_POSIX_ACL_H_

#include <string>

#include "absl/strings/string_view.h"
#include "devices/virtio_fs/fs/id_map.h"
#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fs {

inline constexpr char kAccessAcl[] = "system.posix_acl_access";
inline constexpr char kDefaultAcl[] = "system.posix_acl_default";

bool IsPosixAclName(absl::string_view name);

// The guest's ACL with the host's ids. As Linux: EOPNOTSUPP for another version of the format, EINVAL for what is no
// list of whole entries, for an unknown tag, and for an id that has no meaning on the host. Nothing at all stays that.
fuse::Result<std::string> AclToHost(absl::string_view acl, const IdMap& uids, const IdMap& gids);

// The host's ACL with the guest's ids; what none stands for becomes kOverflowId. Errors as above.
fuse::Result<std::string> AclToGuest(absl::string_view acl, const IdMap& uids, const IdMap& gids);

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_POSIX_ACL_H_
