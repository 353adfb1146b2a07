#include "devices/virtio_fs/fs/posix_acl.h"

#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include <cstdint>
#include <cstring>
#include <optional>

namespace daxvmm::fs {
namespace {

using fuse::Errno;
using fuse::Result;

static_assert(sizeof(posix_acl_xattr_header) == 4 && sizeof(posix_acl_xattr_entry) == 8);

// `acl` with each id of a user or a group through its function, which answers nullopt for one that has no counterpart.
// The attribute is little-endian, as is x86.
template <typename MapUser, typename MapGroup>
Result<std::string> MapIds(absl::string_view acl, MapUser map_user, MapGroup map_group) {
  std::string mapped(acl);
  if (mapped.empty()) return mapped;
  posix_acl_xattr_header header;
  if (mapped.size() < sizeof(header)) return Errno(EINVAL);
  std::memcpy(&header, mapped.data(), sizeof(header));
  if (header.a_version != POSIX_ACL_XATTR_VERSION) return Errno(EOPNOTSUPP);
  if ((mapped.size() - sizeof(header)) % sizeof(posix_acl_xattr_entry) != 0) return Errno(EINVAL);
  for (size_t at = sizeof(header); at < mapped.size(); at += sizeof(posix_acl_xattr_entry)) {
    posix_acl_xattr_entry entry;
    std::memcpy(&entry, &mapped[at], sizeof(entry));
    std::optional<uint32_t> id = entry.e_id;
    switch (entry.e_tag) {
      case ACL_USER:
        id = map_user(entry.e_id);
        break;
      case ACL_GROUP:
        id = map_group(entry.e_id);
        break;
      case ACL_USER_OBJ:
      case ACL_GROUP_OBJ:
      case ACL_MASK:
      case ACL_OTHER:
        break;
      default:
        return Errno(EINVAL);
    }
    if (!id.has_value()) return Errno(EINVAL);
    entry.e_id = *id;
    std::memcpy(&mapped[at], &entry, sizeof(entry));
  }
  return mapped;
}

}  // namespace

bool IsPosixAclName(absl::string_view name) { return name == kAccessAcl || name == kDefaultAcl; }

Result<std::string> AclToHost(absl::string_view acl, const IdMap& uids, const IdMap& gids) {
  return MapIds(acl, [&](uint32_t id) { return uids.ToHost(id); }, [&](uint32_t id) { return gids.ToHost(id); });
}

Result<std::string> AclToGuest(absl::string_view acl, const IdMap& uids, const IdMap& gids) {
  return MapIds(
      acl, [&](uint32_t id) { return std::optional(uids.ToGuest(id)); },
      [&](uint32_t id) { return std::optional(gids.ToGuest(id)); });
}

}  // namespace daxvmm::fs
