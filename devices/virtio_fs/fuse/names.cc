#include "devices/virtio_fs/fuse/names.h"

namespace daxvmm::fuse {

Errno TakeName(NameKind kind, absl::string_view* bytes, absl::string_view* name) {
  const size_t longest = kind == NameKind::kTarget ? kMaxTarget : kMaxName;
  const size_t end = bytes->substr(0, longest + 1).find('\0');
  if (end == absl::string_view::npos) return Errno(bytes->size() > longest ? ENAMETOOLONG : EINVAL);
  *name = bytes->substr(0, end);
  bytes->remove_prefix(end + 1);
  if (kind == NameKind::kUnused) return kOk;
  if (name->empty()) return Errno(EINVAL);
  if (kind == NameKind::kEntry && (*name == "." || *name == ".." || name->find('/') != absl::string_view::npos)) {
    return Errno(EINVAL);
  }
  return kOk;
}

}  // namespace daxvmm::fuse
