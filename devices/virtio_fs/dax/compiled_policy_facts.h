// What a decision is made of, and what it says.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_COMPILED_POLICY_FACTS_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_COMPILED_POLICY_FACTS_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/units.h"
#include "devices/virtio_fs/dax/policy.h"

namespace daxvmm::dax {

// What the class of a file follows from. The references need to be valid during the call only.
struct Placement {
  absl::string_view share_tag;
  bool read_only_share = false;
  NodeId node;  // for overrides by node
  // The path relative to the share, without a leading slash. Called at most once, and only if a rule that is still in
  // question, or an override of this share, asks for paths. nullopt if unknown (an ancestor is not live any more): then
  // conditions on the path do not hold, and overrides by path do not count.
  absl::FunctionRef<std::optional<std::string>()> path = Unknown;

  static std::optional<std::string> Unknown() { return std::nullopt; }
};

// What is known of a file when a decision is due. The references need to be valid during the call only.
struct Facts {
  bool regular_file = false;
  mode_t mode = 0;  // set-id and executable follow from it
  ByteCount size;
  uint32_t uid = 0;  // the owner on the host
  uint32_t gid = 0;
  bool huge_pages = false;
  bool window_has_room = true;  // false: the share's quota is reached, and the guest does not hold the file as DAX
  // Called at most once, and only if a rule that is still in question needs it.
  absl::FunctionRef<bool()> dax_hint = NotSo;
  // Called at most once, and only if the answer would be DAX.
  absl::FunctionRef<bool()> security_capability = NotSo;
  // What the adaptive policy says of the file. Called at most once, and only if the outcome that decides is kAdaptive.
  absl::FunctionRef<bool()> adaptive = NotSo;
  // The wall clock. Called at most once, and only if an override that expires is in question.
  absl::FunctionRef<absl::Time()> now = absl::Now;

  static bool NotSo() { return false; }
};

// Values of Decision::rule that are no index.
inline constexpr uint16_t kDefaultRule = 0xffff;
inline constexpr uint16_t kOverrideRule = 0xfffe;
// Builtin rules, which nothing overrides.
inline constexpr uint16_t kRegularFilesOnlyRule = 0xfffd;
// A store through a mapping clears neither set-id bits nor capabilities, as a write must (FUSE_HANDLE_KILLPRIV_V2).
inline constexpr uint16_t kSetIdRule = 0xfffc;
inline constexpr uint16_t kSecurityCapabilityRule = 0xfffb;
inline constexpr uint16_t kWindowQuotaRule = 0xfffa;
inline constexpr uint16_t kFirstSpecialRule = kWindowQuotaRule;  // the smallest of them

inline constexpr absl::string_view kRegularFilesOnlyRuleName = "builtin:regular-files-only";
inline constexpr absl::string_view kSetIdRuleName = "builtin:set-id";
inline constexpr absl::string_view kSecurityCapabilityRuleName = "builtin:security-capability";
inline constexpr absl::string_view kWindowQuotaRuleName = "builtin:window-quota";

struct Decision {
  bool dax = false;
  uint16_t rule = kDefaultRule;       // an index into the policy's rules, or one of those above
  Outcome outcome = Outcome::kNoDax;  // of the rule that decided; kNoDax for builtin ones

  bool operator==(const Decision&) const = default;
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_COMPILED_POLICY_FACTS_H_
