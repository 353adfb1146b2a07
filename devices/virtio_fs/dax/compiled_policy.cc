#include "devices/virtio_fs/dax/compiled_policy.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "devices/virtio_fs/fuse/inode_observer.h"

namespace daxvmm::dax {
namespace {

uint64_t NextId() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

// The class that this thread found last and could not enter in a table.
struct UncachedClass {
  uint64_t policy = 0;
  FileClass file_class{RuleBits::None(0), std::nullopt};
};

UncachedClass& Uncached() {
  thread_local UncachedClass uncached;
  return uncached;
}

size_t ClassesNeeded(const CompiledRules& rules, const std::vector<Override>& overrides) {
  const bool few = overrides.empty() && !rules.paths().asking().Any();
  return few ? std::min(rules.classes_without_paths(), CompiledPolicy::kMaxClasses) : CompiledPolicy::kMaxClasses;
}

bool Yields(Outcome outcome, const Facts& facts, LazyHint& hint) {
  switch (outcome) {
    case Outcome::kDax:
      return true;
    case Outcome::kNoDax:
      return false;
    case Outcome::kFollowHint:
      return hint.Get();
    case Outcome::kAdaptive:
      return facts.adaptive();
  }
  return false;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const CompiledPolicy>> CompiledPolicy::Compile(Policy policy,
                                                                              std::vector<Override> overrides) {
  RETURN_IF_ERROR(Validate(policy));
  for (size_t i = 0; i < overrides.size(); ++i) {
    if (absl::Status valid = Validate(overrides[i]); !valid.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("overrides[", i, "].", valid.message()));
    }
  }
  return Make(std::make_shared<const CompiledRules>(std::move(policy)), std::move(overrides));
}

absl::StatusOr<std::shared_ptr<const CompiledPolicy>> CompiledPolicy::WithOverrides(
    std::vector<Override> overrides) const {
  return Make(rules_, std::move(overrides));
}

absl::StatusOr<std::shared_ptr<const CompiledPolicy>> CompiledPolicy::Make(std::shared_ptr<const CompiledRules> rules,
                                                                           std::vector<Override> overrides) {
  RETURN_IF_ERROR(ValidateTotal(overrides));
  return std::shared_ptr<const CompiledPolicy>(new CompiledPolicy(std::move(rules), std::move(overrides)));
}

CompiledPolicy::CompiledPolicy(std::shared_ptr<const CompiledRules> rules, std::vector<Override> overrides)
    : rules_(std::move(rules)),
      overrides_(std::move(overrides)),
      id_(NextId()),
      classes_(ClassesNeeded(*rules_, overrides_)) {
  for (size_t i = 0; i < overrides_.size(); ++i) {
    OfShare& of_share = by_share_[overrides_[i].share_tag];
    if (const auto* node = std::get_if<NodeId>(&overrides_[i].file)) {
      of_share.by_node[*node] = i;
    } else {
      of_share.by_path[std::get<std::string>(overrides_[i].file)] = i;
      overrides_paths_ = true;
    }
  }
}

const CompiledPolicy::OfShare* CompiledPolicy::OverridesOf(absl::string_view tag) const {
  if (by_share_.empty()) return nullptr;
  const auto found = by_share_.find(std::string(tag));
  return found != by_share_.end() ? &found->second : nullptr;
}

const Override* CompiledPolicy::OverrideOf(const OfShare* of_share, NodeId node,
                                           const std::optional<std::string>& path) const {
  if (of_share == nullptr) return nullptr;
  const auto by_node = of_share->by_node.find(node);
  if (by_node != of_share->by_node.end()) return &overrides_[by_node->second];
  if (!path.has_value()) return nullptr;
  const auto by_path = of_share->by_path.find(*path);
  return by_path != of_share->by_path.end() ? &overrides_[by_path->second] : nullptr;
}

std::optional<Override> CompiledPolicy::FindOverride(absl::string_view share_tag, NodeId node,
                                                     const std::optional<std::string>& path) const {
  const Override* const override = OverrideOf(OverridesOf(share_tag), node, path);
  if (override == nullptr || (override->expires_at && *override->expires_at <= absl::Now())) return std::nullopt;
  return *override;
}

FileClass CompiledPolicy::ClassOf(const Placement& placement) const {
  const OfShare* of_share = OverridesOf(placement.share_tag);
  FileClass file_class{rules_->OfShare(placement.share_tag, placement.read_only_share), std::nullopt};
  const bool asked_by_rules = file_class.rules.Intersects(rules_->paths().asking());
  std::optional<std::string> path;
  if (asked_by_rules || (of_share != nullptr && !of_share->by_path.empty())) path = placement.path();
  if (asked_by_rules) file_class.rules = rules_->paths().Holding(path, std::move(file_class.rules));
  if (const Override* override = OverrideOf(of_share, placement.node, path); override != nullptr) {
    file_class.overridden = {.dax = override->dax, .expires_at = override->expires_at};
  }
  return file_class;
}

RuleClass CompiledPolicy::Classify(const Placement& placement) const {
  FileClass file_class = ClassOf(placement);
  if (const std::optional<uint16_t> number = classes_.Intern(file_class)) return RuleClass(*number);
  UncachedClass& uncached = Uncached();
  uncached.file_class = std::move(file_class);
  uncached.policy = id_;
  return RuleClass::kUncached;
}

std::optional<Decision> CompiledPolicy::Refuse(const Facts& facts) {
  // The guest looks at the flag on any inode, and evicts one that cannot be DAX at each close (fs/fuse/inode.c).
  if (!facts.regular_file) return Decision{.rule = kRegularFilesOnlyRule};
  if (fuse::IsSetId(facts.mode)) return Decision{.rule = kSetIdRule};
  return std::nullopt;
}

Decision CompiledPolicy::Confirm(const Decision& decision, const Facts& facts) {
  if (!decision.dax) return decision;
  if (!facts.window_has_room) return {.rule = kWindowQuotaRule};
  if (facts.security_capability()) return {.rule = kSecurityCapabilityRule};
  return decision;
}

Decision CompiledPolicy::Decide(RuleClass rule_class, const Facts& facts) const {
  if (const std::optional<Decision> refused = Refuse(facts)) return *refused;
  const FileClass* file_class = classes_.Find(rule_class.raw());
  if (file_class == nullptr && rule_class == RuleClass::kUncached && Uncached().policy == id_) {
    file_class = &Uncached().file_class;
  }
  return Confirm(DecideByRules(file_class, facts), facts);
}

Decision CompiledPolicy::DecideByRules(const FileClass* file_class, const Facts& facts) const {
  if (file_class != nullptr && file_class->overridden) {
    const FileClass::Overridden& overridden = *file_class->overridden;
    if (!overridden.expires_at || facts.now() < *overridden.expires_at) {
      return {overridden.dax, kOverrideRule, overridden.dax ? Outcome::kDax : Outcome::kNoDax};
    }
  }
  LazyHint hint(facts.dax_hint);
  const uint16_t rule =
      file_class != nullptr ? rules_->First(file_class->rules.words().data(), facts, hint) : kDefaultRule;
  const Outcome outcome = rule == kDefaultRule ? policy().default_outcome : policy().rules[rule].outcome;
  return {Yields(outcome, facts, hint), rule, outcome};
}

absl::string_view CompiledPolicy::RuleName(const Decision& decision) const {
  switch (decision.rule) {
    case kDefaultRule:
      return kDefaultRuleName;
    case kOverrideRule:
      return kOverrideRuleName;
    case kRegularFilesOnlyRule:
      return kRegularFilesOnlyRuleName;
    case kSetIdRule:
      return kSetIdRuleName;
    case kSecurityCapabilityRule:
      return kSecurityCapabilityRuleName;
    case kWindowQuotaRule:
      return kWindowQuotaRuleName;
    default:
      return decision.rule < policy().rules.size() ? absl::string_view(policy().rules[decision.rule].name)
                                                   : kDefaultRuleName;
  }
}

size_t CompiledPolicy::KindOf(const Decision& decision) const {
  const size_t rules = policy().rules.size();
  const size_t rule = decision.rule < kFirstSpecialRule ? decision.rule : rules + (decision.rule - kFirstSpecialRule);
  return 2 * rule + (decision.dax ? 1 : 0);
}

Decision CompiledPolicy::DecisionOfKind(size_t kind) const {
  const size_t rules = policy().rules.size();
  const size_t rule = kind / 2 < rules ? kind / 2 : kFirstSpecialRule + (kind / 2 - rules);
  return {.dax = kind % 2 != 0, .rule = static_cast<uint16_t>(rule)};
}

}  // namespace daxvmm::dax
