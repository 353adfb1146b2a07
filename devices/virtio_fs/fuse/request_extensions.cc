#include "devices/virtio_fs/fuse/request_extensions.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "devices/virtio_fs/fuse/abi.h"
#include "devices/virtio_fs/fuse/names.h"

namespace daxvmm::fuse {
namespace {

// Records, and the labels within one, begin at multiples of it.
constexpr size_t kAlignment = 8;

template <typename T>
bool Take(absl::string_view* bytes, T* value) {
  if (bytes->size() < sizeof(T)) return false;
  std::memcpy(value, bytes->data(), sizeof(T));
  bytes->remove_prefix(sizeof(T));
  return true;
}

Errno DecodeLabel(absl::string_view* bytes, SecurityLabel* label) {
  const size_t before = bytes->size();
  fuse_secctx head;
  absl::string_view name;
  if (!Take(bytes, &head) || !TakeName(NameKind::kXattr, bytes, &name).ok() || head.size > bytes->size()) {
    return Errno(EINVAL);
  }
  *label = {std::string(name), std::string(bytes->substr(0, head.size))};
  bytes->remove_prefix(head.size);
  // It is there: a record's size is a multiple of the alignment.
  bytes->remove_prefix(-(before - bytes->size()) % kAlignment);
  return kOk;
}

Errno DecodeLabels(absl::string_view body, uint32_t count, std::vector<SecurityLabel>* labels) {
  labels->resize(count);
  for (SecurityLabel& label : *labels) {
    if (Errno error = DecodeLabel(&body, &label); !error.ok()) return error;
  }
  return body.empty() ? kOk : Errno(EINVAL);
}

// Linux sends one group or leaves the record out.
Errno DecodeGroups(absl::string_view body, std::optional<gid_t>* group) {
  uint32_t count;
  uint32_t gid;
  if (!Take(&body, &count) || count != 1 || !Take(&body, &gid) || body.size() >= kAlignment) return Errno(EINVAL);
  *group = gid;
  return kOk;
}

}  // namespace

Errno DecodeExtensions(absl::string_view bytes, uint64_t granted, RequestContext* context) {
  if (bytes.size() > kMaxExtensions) return Errno(EINVAL);
  std::optional<std::vector<SecurityLabel>> labels;
  std::optional<gid_t> group;
  while (!bytes.empty()) {
    fuse_ext_header head;
    const absl::string_view record = bytes;
    if (!Take(&bytes, &head) || head.size < sizeof(head) || head.size > record.size() || head.size % kAlignment != 0) {
      return Errno(EINVAL);
    }
    const absl::string_view body = bytes.substr(0, head.size - sizeof(head));
    bytes.remove_prefix(body.size());
    Errno error(EINVAL);
    if (head.type <= FUSE_MAX_NR_SECCTX && (granted & FUSE_SECURITY_CTX) != 0 && !labels) {
      error = DecodeLabels(body, head.type, &labels.emplace());
    } else if (head.type == kExtGroups && (granted & kCreateSuppGroup) != 0 && !group) {
      error = DecodeGroups(body, &group);
    }
    if (!error.ok()) return error;
  }
  if (labels) context->labels = *std::move(labels);
  context->supplementary_group = group;
  return kOk;
}

}  // namespace daxvmm::fuse
