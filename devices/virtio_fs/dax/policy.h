// Which files the guest may map: an ordered list of rules, first match wins, a default at the end. A policy is a plain
// value; compiled_policy.h decides by it.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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

// Bounds on what a policy makes the server hold, and on what it costs to ask for all its paths.
inline constexpr size_t kMaxRules = 1000;
inline constexpr size_t kMaxTagBytes = 36;     // virtio 1.2, 5.11.4: the field of the device's configuration
inline constexpr size_t kMaxListMembers = 64;  // of each list of a rule
// Of all globs, subtrees and extensions of a policy together. The worst that they allow takes half a second to compile,
// and as long to classify a file whose path has 4096 bytes.
inline constexpr size_t kMaxPathConditions = 4096;
inline constexpr size_t kMaxPathTextBytes = 64 << 10;

// OK, or INVALID_ARGUMENT that names the field at fault in the spelling of the API: "rules[3].paths[1]: ...".
absl::Status Validate(const Policy& policy);

// A ready-made policy; policy_names.h lists their names. INVALID_ARGUMENT that lists them as well for anything else.
absl::StatusOr<Policy> ParsePolicyName(absl::string_view text);
// The policy of a machine that was told nothing: "size".
Policy DefaultPolicy();

// Names of rules that no policy may use: of what decides if no rule does.
inline constexpr absl::string_view kDefaultRuleName = "default";
inline constexpr absl::string_view kOverrideRuleName = "override";
inline constexpr absl::string_view kBuiltinRulePrefix = "builtin:";

// Puts the rules of `share_policy` in front of those of `machine`, each bound to `share_tag`; its default outcome
// becomes one more rule. The names become "TAG/NAME", so that they stay unique. The enforcement is the machine's.
Policy PrependForShare(const Policy& machine, absl::string_view share_tag, const Policy& share_policy);

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_H_
