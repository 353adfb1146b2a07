// Decisions for single files, which stand above the rules of a policy.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_OVERRIDE_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_OVERRIDE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/units.h"

namespace daxvmm::dax {

// A node of the session at hand, or a path relative to the share. Where both are overridden, the node counts.
using OverriddenFile = std::variant<NodeId, std::string>;

// Not above the builtin rules.
struct Override {
  std::string share_tag;
  OverriddenFile file;
  bool dax = false;
  std::optional<absl::Time> expires_at;  // wall clock; from then on it does not count any more
  std::string note;                      // free text of who set it

  bool operator==(const Override&) const = default;
};

inline constexpr size_t kMaxOverrides = 10000;
inline constexpr size_t kMaxOverrideNoteBytes = 256;
inline constexpr size_t kMaxOverrideTextBytes = 4 << 20;  // paths and notes of all together

// OK, or INVALID_ARGUMENT that names the field at fault ("path: ..."). Does not look at a clock.
absl::Status Validate(const Override& override);
// RESOURCE_EXHAUSTED if they are too many, or too much text.
absl::Status ValidateTotal(const std::vector<Override>& overrides);

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_OVERRIDE_H_
