// Explanations: the rules one by one, each condition in words.
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "devices/virtio_fs/dax/compiled_policy.h"
#include "devices/virtio_fs/dax/policy_names.h"

namespace daxvmm::dax {
namespace {

std::string IdWhy(absl::string_view what, uint32_t id, const IdRange& range) {
  return absl::StrCat(what, " ", id, " is not in ", range.first, " to ", range.last);
}

std::string OutcomeWhy(const Decision& decision) {
  const bool asked = decision.outcome == Outcome::kFollowHint || decision.outcome == Outcome::kAdaptive;
  return absl::StrCat("outcome ", OutcomeName(decision.outcome), asked ? (decision.dax ? ": yes" : ": no") : "");
}

constexpr std::array<absl::string_view, ConditionsOnPaths::kLists> kListNames = {"paths", "subtrees", "extensions"};

// What is found out about one file once, for all rules.
class Explainer {
 public:
  using ByList = std::array<RuleBits, ConditionsOnPaths::kLists>;

  Explainer(const Placement& placement, const Facts& facts, bool path_known, ByList by_list, LazyHint* hint)
      : placement_(placement), facts_(facts), path_known_(path_known), by_list_(std::move(by_list)), hint_(hint) {}

  // The first condition of the rule at `index` that does not hold; nullopt if all do.
  std::optional<std::string> Mismatch(const Rule& rule, size_t index) const {
    if (rule.share_tag && absl::string_view(*rule.share_tag) != placement_.share_tag) {
      return absl::StrCat("the share is not \"", *rule.share_tag, "\"");
    }
    if (rule.read_only_share && *rule.read_only_share != placement_.read_only_share) {
      return placement_.read_only_share ? "the share is read-only" : "the share is not read-only";
    }
    for (size_t list = 0; list < by_list_.size(); ++list) {
      if (by_list_[list].Test(index)) continue;
      return path_known_ ? absl::StrCat("the path matches none of its ", kListNames[list]) : "the path is not known";
    }
    if (rule.size_at_least && facts_.size < *rule.size_at_least) {
      return absl::StrCat("size ", facts_.size.raw(), " is below ", rule.size_at_least->raw());
    }
    if (rule.size_below && facts_.size >= *rule.size_below) {
      return absl::StrCat("size ", facts_.size.raw(), " is not below ", rule.size_below->raw());
    }
    if (rule.owner_uid && (facts_.uid < rule.owner_uid->first || facts_.uid > rule.owner_uid->last)) {
      return IdWhy("owner uid", facts_.uid, *rule.owner_uid);
    }
    if (rule.owner_gid && (facts_.gid < rule.owner_gid->first || facts_.gid > rule.owner_gid->last)) {
      return IdWhy("owner gid", facts_.gid, *rule.owner_gid);
    }
    const bool executable = (facts_.mode & 0111) != 0;
    if (rule.executable && *rule.executable != executable) {
      return executable ? "the file is executable" : "the file is not executable";
    }
    if (rule.huge_pages && *rule.huge_pages != facts_.huge_pages) {
      return facts_.huge_pages ? "the file is kept in huge pages" : "the file is not kept in huge pages";
    }
    // Last, as in a decision: it costs a system call.
    if (rule.dax_hint && *rule.dax_hint != hint_->Get()) {
      return hint_->Get() ? "the persistent DAX hint is set" : "the persistent DAX hint is not set";
    }
    return std::nullopt;
  }

 private:
  const Placement& placement_;
  const Facts& facts_;
  const bool path_known_;
  const ByList by_list_;
  LazyHint* const hint_;
};

}  // namespace

std::vector<CompiledPolicy::Step> CompiledPolicy::Explain(const Placement& placement, const Facts& facts) const {
  std::optional<std::string> path;
  if (asks_for_paths()) path = placement.path();
  LazyHint hint(facts.dax_hint);
  const auto ask_hint = [&hint] { return hint.Get(); };
  const auto known_path = [&path] { return path; };
  const Facts once{.regular_file = facts.regular_file,
                   .mode = facts.mode,
                   .size = facts.size,
                   .uid = facts.uid,
                   .gid = facts.gid,
                   .huge_pages = facts.huge_pages,
                   .window_has_room = facts.window_has_room,
                   .dax_hint = ask_hint,
                   .security_capability = facts.security_capability,
                   .adaptive = facts.adaptive,
                   .now = facts.now};
  const Placement known{.share_tag = placement.share_tag,
                        .read_only_share = placement.read_only_share,
                        .node = placement.node,
                        .path = known_path};

  if (const std::optional<Decision> refused = Refuse(facts)) {
    return {{std::string(RuleName(*refused)), true,
             refused->rule == kSetIdRule ? "the file has a set-ID bit" : "it is not a regular file"}};
  }
  const FileClass file_class = ClassOf(known);
  const Decision by_rules = DecideByRules(&file_class, once);
  std::vector<Step> steps;
  if (by_rules.rule == kOverrideRule) {
    steps.push_back({std::string(kOverrideRuleName), true, by_rules.dax ? "set to dax" : "set to no-dax"});
  } else {
    if (file_class.overridden) steps.push_back({std::string(kOverrideRuleName), false, "it has run out"});
    const Explainer explainer(placement, once, path.has_value(), rules_->paths().ByList(path), &hint);
    const size_t last = by_rules.rule == kDefaultRule ? policy().rules.size() : by_rules.rule;
    for (size_t i = 0; i < last; ++i) {
      const Rule& rule = policy().rules[i];
      steps.push_back({rule.name, false, explainer.Mismatch(rule, i).value_or("")});
    }
    steps.push_back({std::string(RuleName(by_rules)), true, OutcomeWhy(by_rules)});
  }
  const Decision decision = Confirm(by_rules, facts);
  if (decision.rule == kWindowQuotaRule) {
    steps.push_back({std::string(RuleName(decision)), true, "the share's quota of the window is reached"});
  } else if (decision.rule == kSecurityCapabilityRule) {
    steps.push_back({std::string(RuleName(decision)), true, "the file carries security.capability"});
  }
  return steps;
}

}  // namespace daxvmm::dax
