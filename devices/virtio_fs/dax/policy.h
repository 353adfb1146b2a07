// Which files the guest may map: an ordered list of rules, first match wins, a default at the end. A policy is a plain
// value; deciding is a pure function of it and of the facts. Needs no KVM, no FUSE and no lock.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/units.h"

namespace daxvmm::dax {

// A range of 2 MiB costs the guest 512 page descriptors of 64 bytes: a smaller file costs more mapped than cached.
inline constexpr ByteCount kDefaultSizeThreshold = KiB(32);

enum class Outcome {
  kDax,
  kNoDax,
  kFollowHint,  // DAX exactly if the inode's persistent DAX hint (chattr +x) is set
  kAdaptive,    // what the adaptive policy says of the file at present; see adaptive.h
};

// What becomes of a SETUPMAPPING against the policy: of an inode whose instance was not told DAX, which Linux sends
// only if it was mounted with dax=always.
enum class Enforcement {
  kAdvisory,  // served and counted
  kDeny,      // refused and counted
};

// `first` to `last`, both included.
struct IdRange {
  uint32_t first = 0;
  uint32_t last = 0;

  bool operator==(const IdRange&) const = default;
};

// All conditions that are set must hold; none set matches every file. A list is a condition if it is not empty, and
// holds if one of its members does.
struct Rule {
  std::string name;                      // what `explain` and file lists show; unique within a policy, 1 to 64 bytes
  std::optional<std::string> share_tag;  // files of this share
  std::optional<bool> read_only_share;   // files of shares that are, or are not, read-only
  // About the path of the file's node, relative to the share; see path_pattern.h. Names are bytes.
  std::vector<std::string> paths;       // globs: "lib/**/*.so"
  std::vector<std::string> subtrees;    // directories: everything below them, at any depth
  std::vector<std::string> extensions;  // what follows the last dot of the name, without the dot
  std::optional<ByteCount> size_at_least;
  std::optional<ByteCount> size_below;
  // The owner on the host.
  std::optional<IdRange> owner_uid;
  std::optional<IdRange> owner_gid;
  std::optional<bool> executable;  // some execute bit of the mode is set
  std::optional<bool> dax_hint;    // the persistent DAX hint is set
  std::optional<bool> huge_pages;  // the host keeps the file in huge pages: hugetlbfs, or tmpfs mounted with huge=
  Outcome outcome = Outcome::kNoDax;

  bool operator==(const Rule&) const = default;
};

struct Policy {
  std::vector<Rule> rules;
  Outcome default_outcome = Outcome::kNoDax;
  Enforcement enforcement = Enforcement::kAdvisory;

  bool operator==(const Policy&) const = default;
};

inline constexpr size_t kMaxRules = 1000;

// OK, or INVALID_ARGUMENT that names the field at fault in the spelling of the API: "rules[3].size_below: ...".
absl::Status Validate(const Policy& policy);

// "never", "always", "size" (DAX from 32 KiB up), "size:SIZE" (from SIZE up) or "inode" (the persistent flag).
// INVALID_ARGUMENT that lists these for anything else.
absl::StatusOr<Policy> ParsePolicyName(absl::string_view text);
// The policy of a machine that was told nothing: "size".
Policy DefaultPolicy();

// Puts the rules of `share_policy` in front of those of `machine`, each bound to `share_tag`; its default outcome
// becomes one more rule. The names become "TAG/NAME", so that they stay unique.
Policy PrependForShare(const Policy& machine, absl::string_view share_tag, const Policy& share_policy);

// What is known of a file when a decision is due.
struct Facts {
  absl::string_view share_tag;
  bool regular_file = false;
  // Set-user-id, or set-group-id and executable by its group: what a write by an ordinary user would clear.
  bool set_id = false;
  ByteCount size;
  absl::FunctionRef<bool()> persistent_dax_flag;  // called only if a rule needs it
  // Whether the file carries security.capability. Called only if a rule says DAX.
  absl::FunctionRef<bool()> security_capability = NotSo;

  static bool NotSo() { return false; }
};

struct Decision {
  bool dax = false;
  // The rule's name, "default", or one of the builtin rules below, which no policy overrides.
  absl::string_view rule;  // points into the policy or to a literal

  bool operator==(const Decision&) const = default;
};

inline constexpr absl::string_view kDefaultRuleName = "default";
inline constexpr absl::string_view kRegularFilesOnlyRuleName = "builtin:regular-files-only";
// A store through a mapping clears neither set-id bits nor capabilities, as a write must (FUSE_HANDLE_KILLPRIV_V2).
inline constexpr absl::string_view kSetIdRuleName = "builtin:set-id";
inline constexpr absl::string_view kSecurityCapabilityRuleName = "builtin:security-capability";

Decision Decide(const Policy& policy, const Facts& facts);

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_H_
