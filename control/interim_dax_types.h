// Stands in for devices/virtio_fs/dax/compiled_policy.h and policy_store.h until these are merged.
#ifndef DAXVMM_CONTROL_INTERIM_DAX_TYPES_H_
#define DAXVMM_CONTROL_INTERIM_DAX_TYPES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "absl/time/time.h"
#include "base/units.h"

namespace daxvmm::dax {

struct Override {
  std::string share_tag;
  std::variant<NodeId, std::string> file;
  bool dax = false;
  std::optional<absl::Time> expires_at;
  std::string note;

  bool operator==(const Override&) const = default;
};
inline constexpr size_t kMaxOverrides = 10000;

enum class SourceKind { kStart, kFile, kRequest, kExpiry };
struct PolicySource {
  SourceKind kind = SourceKind::kStart;
  std::string detail;
};
struct PolicyHistoryEntry {
  uint64_t generation = 0;
  PolicySource source;
  absl::Time since;
  std::string summary;
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_CONTROL_INTERIM_DAX_TYPES_H_
