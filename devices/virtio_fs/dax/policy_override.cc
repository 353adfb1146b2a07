#include "devices/virtio_fs/dax/policy_override.h"

#include "absl/strings/str_cat.h"
#include "devices/virtio_fs/dax/path_pattern.h"
#include "devices/virtio_fs/dax/policy.h"

namespace daxvmm::dax {

absl::Status Validate(const Override& override) {
  if (override.share_tag.empty() || override.share_tag.size() > kMaxTagBytes) {
    return absl::InvalidArgumentError(absl::StrCat("share: must be 1 to ", kMaxTagBytes, " bytes"));
  }
  if (const auto* path = std::get_if<std::string>(&override.file)) {
    if (absl::Status valid = ValidateRelativePath(*path, kMaxPathBytes); !valid.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("path: ", valid.message()));
    }
  }
  if (override.note.size() > kMaxOverrideNoteBytes) {
    return absl::InvalidArgumentError(absl::StrCat("note: must be at most ", kMaxOverrideNoteBytes, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status ValidateTotal(const std::vector<Override>& overrides) {
  if (overrides.size() > kMaxOverrides) {
    return absl::ResourceExhaustedError(absl::StrCat("at most ", kMaxOverrides, " overrides"));
  }
  size_t text = 0;
  for (const Override& one : overrides) {
    const auto* path = std::get_if<std::string>(&one.file);
    text += one.note.size() + (path != nullptr ? path->size() : 0);
  }
  if (text <= kMaxOverrideTextBytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("paths and notes of all overrides must be at most ", kMaxOverrideTextBytes, " bytes together"));
}

}  // namespace daxvmm::dax
