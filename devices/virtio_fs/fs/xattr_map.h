// Names of extended attributes in the guest as names on the host, by prefix rules.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_XATTR_MAP_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_XATTR_MAP_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fs {

// An ordered list, first match wins; what no rule matches passes as it is. A plain value.
class XattrMap {
 public:
  // "allow:PREFIX", "deny:PREFIX" (hidden; EPERM to set), "unsupported:PREFIX" (hidden; EOPNOTSUPP) or
  // "map:GUESTPREFIX:HOSTPREFIX" (the guest's GUESTPREFIXname is the host's HOSTPREFIXname; what the host has below
  // HOSTPREFIX the guest can reach in no other way). A prefix may be empty, except in map. INVALID_ARGUMENT otherwise.
  absl::Status AddRule(absl::string_view text);

  bool identity() const { return rules_.empty(); }
  // The host's name for the guest's. EPERM or EOPNOTSUPP where the guest must not set it; a getter answers ENODATA for
  // EPERM. ERANGE if the host's name would be too long (255 bytes).
  fuse::Result<std::string> ToHost(absl::string_view guest_name) const;
  // The guest's name for one that the host lists; nullopt if the guest does not see it.
  std::optional<std::string> ToGuest(absl::string_view host_name) const;

 private:
  enum class Kind { kAllow, kDeny, kUnsupported, kMap };
  struct Rule {
    Kind kind;
    std::string guest_prefix;
    std::string host_prefix;  // of kMap
  };
  std::vector<Rule> rules_;
};

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_XATTR_MAP_H_
