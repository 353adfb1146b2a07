// What a machine keeps of its policy over a restart, and the interface of what turns it into text and back: that links
// protobuf, so a program gets it from the control library (server_loader.h) or links saved_policy_codec.h.
#ifndef DAXVMM_CONTROL_SAVED_POLICY_H_
#define DAXVMM_CONTROL_SAVED_POLICY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "devices/virtio_fs/dax/policy.h"
#include "devices/virtio_fs/dax/policy_override.h"
#include "devices/virtio_fs/dax/policy_record.h"

namespace daxvmm::control {

// What a change is refused with, as UNAVAILABLE, because it could not be kept; the reason follows. A client can tell it
// from a server that is not there.
inline constexpr absl::string_view kNotKept = "the policy stays as it was, since it cannot be kept: ";

struct SavedPolicy {
  uint64_t generation = 0;  // at least 1
  dax::Policy policy;
  std::vector<dax::Override> overrides;  // those that had run out when they were kept included
  // What the watched file said when it was read last, without the rules of shares.
  std::optional<dax::Policy> file_policy;
  std::vector<dax::PolicyHistoryEntry> history;  // oldest first; the last one is `generation`

  bool operator==(const SavedPolicy&) const = default;
};

// Any thread may call any method.
class StateCodec {
 public:
  virtual ~StateCodec() = default;
  // Text for a human, and for Decode. INTERNAL for what is no valid state.
  virtual absl::StatusOr<std::string> Encode(const SavedPolicy& state) const = 0;
  // A valid state. INVALID_ARGUMENT with a line that says what is wrong, "12: ..." with the line of the text where one
  // can be named.
  virtual absl::StatusOr<SavedPolicy> Decode(absl::string_view text) const = 0;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_SAVED_POLICY_H_
