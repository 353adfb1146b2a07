// A policy made ready to decide: a few machine words per condition are intersected, however many rules there are, and
// the first rule that is left decides. Immutable but for the table of classes. Needs no KVM and no FUSE session.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_COMPILED_POLICY_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_COMPILED_POLICY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "devices/virtio_fs/dax/compiled_policy_classes.h"
#include "devices/virtio_fs/dax/compiled_policy_facts.h"
#include "devices/virtio_fs/dax/compiled_policy_rules.h"
#include "devices/virtio_fs/dax/policy.h"
#include "devices/virtio_fs/dax/policy_override.h"

namespace daxvmm::dax {

// Which rules can hold for a file as far as its share, its path and overrides say: what changes rarely, and costs to
// find out. Valid with the CompiledPolicy that gave it only. 16 bits, since a million inodes each remember one.
class RuleClass {
 public:
  static const RuleClass kNone;  // not classified
  // The table of classes is full: to be classified anew for each decision, and to be decided by the same thread before
  // it classifies another file.
  static const RuleClass kUncached;

  constexpr RuleClass() = default;  // kNone
  // For whoever keeps it in an atomic: the inverse of raw().
  constexpr explicit RuleClass(uint16_t raw) : raw_(raw) {}
  constexpr uint16_t raw() const { return raw_; }
  constexpr bool operator==(const RuleClass&) const = default;

 private:
  uint16_t raw_ = 0;
};

inline constexpr RuleClass RuleClass::kNone{0};
inline constexpr RuleClass RuleClass::kUncached{0xffff};

// Any thread may call any method.
class CompiledPolicy {
 public:
  // Classes that are remembered, at most; each holds a bit for every rule.
  static constexpr size_t kMaxClasses = 16384;

  // INVALID_ARGUMENT as Validate says of the policy or of an override, RESOURCE_EXHAUSTED if the overrides are too
  // many. Of two overrides for the same file the later one counts.
  static absl::StatusOr<std::shared_ptr<const CompiledPolicy>> Compile(Policy policy,
                                                                       std::vector<Override> overrides = {});
  // The same rules with other overrides, each of which must be valid, without compiling or checking anything again.
  // RESOURCE_EXHAUSTED as above.
  absl::StatusOr<std::shared_ptr<const CompiledPolicy>> WithOverrides(std::vector<Override> overrides) const;

  const Policy& policy() const { return rules_->policy(); }
  const std::vector<Override>& overrides() const { return overrides_; }

  // Takes a lock that only other classifiers take. Costs microseconds if paths are asked for: the result is to be kept,
  // for as long as the placement stays.
  RuleClass Classify(const Placement& placement) const;
  // No lock, no allocation, no system call but for those of `facts`. A class that is not of this policy, kNone
  // included, is answered as if no rule held.
  Decision Decide(RuleClass rule_class, const Facts& facts) const;
  // "default", "builtin:...", "override", or the rule's name; as long as this lives.
  absl::string_view RuleName(const Decision& decision) const;

  // The override that counts for such a file, if it has one that has not run out.
  std::optional<Override> FindOverride(absl::string_view share_tag, NodeId node,
                                       const std::optional<std::string>& path) const;

  // For who counts decisions: each rule and verdict that a decision can have is a kind, a number below
  // decision_kinds(). Kinds are the same in all policies of one rules_id(), which are those that differ in overrides
  // only.
  uint64_t rules_id() const { return rules_->id(); }
  size_t decision_kinds() const { return 2 * (policy().rules.size() + (kDefaultRule - kFirstSpecialRule + 1)); }
  size_t KindOf(const Decision& decision) const;
  // The inverse, but for the outcome.
  Decision DecisionOfKind(size_t kind) const;

  // Whether Classify may ask for the path of some file.
  bool asks_for_paths() const { return rules_->paths().asking().Any() || overrides_paths_; }
  // Whether some outcome, the default's included, is kAdaptive.
  bool has_adaptive() const { return rules_->has_adaptive(); }

  // What was looked at, in order, up to what decided, which comes last and matched. Rules that did not match say by
  // which condition, the first that fails ("size 4096 is below 32768"). A builtin rule that overrules DAX comes behind
  // what said so.
  struct Step {
    std::string rule;
    bool matched = false;
    std::string why;
  };
  // For one file; costs microseconds for each rule.
  std::vector<Step> Explain(const Placement& placement, const Facts& facts) const;

 private:
  struct OfShare {
    std::unordered_map<NodeId, size_t> by_node;
    std::unordered_map<std::string_view, size_t> by_path;  // points into overrides_
  };

  CompiledPolicy(std::shared_ptr<const CompiledRules> rules, std::vector<Override> overrides);
  static absl::StatusOr<std::shared_ptr<const CompiledPolicy>> Make(std::shared_ptr<const CompiledRules> rules,
                                                                    std::vector<Override> overrides);

  const OfShare* OverridesOf(absl::string_view tag) const;
  // The override that counts for the file, whether it ran out or not; null if there is none.
  const Override* OverrideOf(const OfShare* of_share, NodeId node, const std::optional<std::string>& path) const;
  FileClass ClassOf(const Placement& placement) const;
  // What builtin rules say before all others, and of what the others answered.
  static std::optional<Decision> Refuse(const Facts& facts);
  static Decision Confirm(const Decision& decision, const Facts& facts);
  Decision DecideByRules(const FileClass* file_class, const Facts& facts) const;

  const std::shared_ptr<const CompiledRules> rules_;
  const std::vector<Override> overrides_;
  std::unordered_map<std::string, OfShare> by_share_;
  bool overrides_paths_ = false;
  const uint64_t id_;  // of no other one, before or after
  mutable ClassTable classes_;
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_COMPILED_POLICY_H_
