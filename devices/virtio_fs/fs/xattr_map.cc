#include "devices/virtio_fs/fs/xattr_map.h"

#include <linux/limits.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace daxvmm::fs {

using fuse::Errno;

absl::Status XattrMap::AddRule(absl::string_view text) {
  Rule rule = {};
  absl::string_view rest = text;
  if (absl::ConsumePrefix(&rest, "map:")) {
    const size_t colon = rest.find(':');
    rule.kind = Kind::kMap;
    rule.guest_prefix = std::string(rest.substr(0, colon));
    if (colon != absl::string_view::npos) rule.host_prefix = std::string(rest.substr(colon + 1));
    if (rule.guest_prefix.empty() || rule.host_prefix.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not map:GUESTPREFIX:HOSTPREFIX"));
    }
  } else {
    if (absl::ConsumePrefix(&rest, "allow:")) {
      rule.kind = Kind::kAllow;
    } else if (absl::ConsumePrefix(&rest, "deny:")) {
      rule.kind = Kind::kDeny;
    } else if (absl::ConsumePrefix(&rest, "unsupported:")) {
      rule.kind = Kind::kUnsupported;
    } else {
      return absl::InvalidArgumentError(absl::StrCat(
          "'", text, "' is not one of allow:PREFIX, deny:PREFIX, unsupported:PREFIX, map:GUESTPREFIX:HOSTPREFIX"));
    }
    rule.guest_prefix = std::string(rest);
  }
  rules_.push_back(std::move(rule));
  return absl::OkStatus();
}

fuse::Result<std::string> XattrMap::ToHost(absl::string_view guest_name) const {
  for (const Rule& rule : rules_) {
    if (absl::StartsWith(guest_name, rule.guest_prefix)) {
      switch (rule.kind) {
        case Kind::kAllow:
          return std::string(guest_name);
        case Kind::kDeny:
          return Errno(EPERM);
        case Kind::kUnsupported:
          return Errno(EOPNOTSUPP);
        case Kind::kMap:
          break;
      }
      std::string name = absl::StrCat(rule.host_prefix, guest_name.substr(rule.guest_prefix.size()));
      if (name.size() > XATTR_NAME_MAX) return Errno(ERANGE);
      return name;
    }
    // A name below the target of a mapping is another name's storage.
    if (rule.kind == Kind::kMap && absl::StartsWith(guest_name, rule.host_prefix)) return Errno(EPERM);
  }
  return std::string(guest_name);
}

std::optional<std::string> XattrMap::ToGuest(absl::string_view host_name) const {
  std::string guest_name(host_name);
  for (const Rule& rule : rules_) {
    if (rule.kind == Kind::kMap && absl::StartsWith(host_name, rule.host_prefix)) {
      guest_name = absl::StrCat(rule.guest_prefix, host_name.substr(rule.host_prefix.size()));
      break;
    }
    if (absl::StartsWith(host_name, rule.guest_prefix)) break;
  }
  // A name is listed only if it leads back: an earlier rule may hide it, or lead it elsewhere.
  const fuse::Result<std::string> back = ToHost(guest_name);
  if (!back.ok() || *back != host_name) return std::nullopt;
  return guest_name;
}

}  // namespace daxvmm::fs
