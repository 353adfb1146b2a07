#include "devices/virtio_fs/dax/policy.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/size_text.h"
#include "base/status.h"

namespace daxvmm::dax {
namespace {

constexpr size_t kMaxNameBytes = 64;
constexpr size_t kMaxTagBytes = 36;  // virtio 1.2, 5.11.4: the field of the device's configuration
constexpr absl::string_view kBuiltinPrefix = "builtin:";

bool IsPrintableAscii(char c) { return c >= 0x20 && c <= 0x7e; }

bool IsKnown(Outcome outcome) {
  switch (outcome) {
    case Outcome::kDax:
    case Outcome::kNoDax:
    case Outcome::kFollowHint:
    case Outcome::kAdaptive:
      return true;
  }
  return false;
}

absl::Status FieldError(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

absl::Status ValidateName(const std::string& name, const std::string& field) {
  if (name.empty() || name.size() > kMaxNameBytes || !std::all_of(name.begin(), name.end(), IsPrintableAscii)) {
    return FieldError(field, absl::StrCat("must be 1 to ", kMaxNameBytes, " bytes of printable ASCII"));
  }
  const absl::string_view view(name);
  if (view == kDefaultRuleName || absl::StartsWith(view, kBuiltinPrefix)) {
    return FieldError(
        field, absl::StrCat("\"", name, "\" is reserved (\"", kDefaultRuleName, "\", \"", kBuiltinPrefix, "...\")"));
  }
  return absl::OkStatus();
}

absl::Status ValidateConditions(const Rule& rule, const std::string& field) {
  if (rule.share_tag && (rule.share_tag->empty() || rule.share_tag->size() > kMaxTagBytes)) {
    return FieldError(field + ".share", absl::StrCat("must be 1 to ", kMaxTagBytes, " bytes"));
  }
  if (!rule.size_below) return absl::OkStatus();
  if (rule.size_at_least && *rule.size_below <= *rule.size_at_least) {
    return FieldError(field + ".size_below",
                      absl::StrCat("must be greater than size_at_least (", rule.size_at_least->raw(), ")"));
  }
  if (*rule.size_below == ByteCount(0)) return FieldError(field + ".size_below", "must be greater than 0");
  return absl::OkStatus();
}

bool Matches(const Rule& rule, const Facts& facts) {
  if (rule.size_at_least && facts.size < *rule.size_at_least) return false;
  if (rule.size_below && facts.size >= *rule.size_below) return false;
  return !rule.share_tag || absl::string_view(*rule.share_tag) == facts.share_tag;
}

bool Yields(Outcome outcome, const Facts& facts) {
  switch (outcome) {
    case Outcome::kDax:
      return true;
    case Outcome::kFollowHint:
      return facts.persistent_dax_flag();
    case Outcome::kAdaptive:
    case Outcome::kNoDax:
      break;
  }
  return false;
}

Policy SizePolicy(ByteCount threshold) {
  Rule rule;
  rule.name = "size";
  rule.size_at_least = threshold;
  rule.outcome = Outcome::kDax;
  return Policy{.rules = {std::move(rule)}, .default_outcome = Outcome::kNoDax};
}

// A name that Validate accepts: a tag may hold any byte, and "TAG/NAME" may be longer than a name or be taken.
std::string FreshName(absl::string_view tag, absl::string_view name, std::unordered_set<std::string>& taken) {
  std::string wanted = absl::StrCat(tag, "/", name);
  for (char& c : wanted) {
    if (!IsPrintableAscii(c)) c = '_';
  }
  // A tag may itself begin with the reserved prefix.
  if (absl::StartsWith(wanted, kBuiltinPrefix)) wanted[kBuiltinPrefix.size() - 1] = '_';
  std::string fresh = wanted.substr(0, kMaxNameBytes);
  for (size_t n = 2; !taken.insert(fresh).second; ++n) {
    const std::string suffix = absl::StrCat("~", n);
    fresh = absl::StrCat(wanted.substr(0, kMaxNameBytes - suffix.size()), suffix);
  }
  return fresh;
}

}  // namespace

absl::Status Validate(const Policy& policy) {
  if (policy.rules.size() > kMaxRules) return FieldError("rules", absl::StrCat("at most ", kMaxRules));
  std::unordered_map<std::string, size_t> first_use;
  for (size_t i = 0; i < policy.rules.size(); ++i) {
    const Rule& rule = policy.rules[i];
    const std::string field = absl::StrCat("rules[", i, "]");
    RETURN_IF_ERROR(ValidateName(rule.name, field + ".name"));
    const auto [earlier, is_new] = first_use.emplace(rule.name, i);
    if (!is_new) {
      return FieldError(field + ".name",
                        absl::StrCat("\"", rule.name, "\" is the name of rules[", earlier->second, "] too"));
    }
    RETURN_IF_ERROR(ValidateConditions(rule, field));
    if (!IsKnown(rule.outcome)) return FieldError(field + ".outcome", "unknown outcome");
  }
  if (!IsKnown(policy.default_outcome)) return FieldError("default_outcome", "unknown outcome");
  return absl::OkStatus();
}

absl::StatusOr<Policy> ParsePolicyName(absl::string_view text) {
  constexpr absl::string_view kSizePrefix = "size:";
  if (text == "never") return Policy{.rules = {}, .default_outcome = Outcome::kNoDax};
  if (text == "always") return Policy{.rules = {}, .default_outcome = Outcome::kDax};
  if (text == "inode") return Policy{.rules = {}, .default_outcome = Outcome::kFollowHint};
  if (text == "size") return SizePolicy(kDefaultSizeThreshold);
  if (absl::StartsWith(text, kSizePrefix)) {
    const absl::StatusOr<ByteCount> threshold = ParseSize(text.substr(kSizePrefix.size()));
    if (threshold.ok()) return SizePolicy(*threshold);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown policy \"", text, "\": must be never, always, size, size:SIZE (as in size:64K) or inode"));
}

Policy DefaultPolicy() { return SizePolicy(kDefaultSizeThreshold); }

Policy PrependForShare(const Policy& machine, absl::string_view share_tag, const Policy& share_policy) {
  std::unordered_set<std::string> taken;
  for (const Rule& rule : machine.rules) taken.insert(rule.name);

  Policy result;
  result.default_outcome = machine.default_outcome;
  for (const Rule& rule : share_policy.rules) {
    // Bound to another share already: it can never hold for a file of this one.
    if (rule.share_tag && absl::string_view(*rule.share_tag) != share_tag) continue;
    Rule bound = rule;
    bound.name = FreshName(share_tag, rule.name, taken);
    bound.share_tag = std::string(share_tag);
    result.rules.push_back(std::move(bound));
  }
  Rule rest;
  rest.name = FreshName(share_tag, kDefaultRuleName, taken);
  rest.share_tag = std::string(share_tag);
  rest.outcome = share_policy.default_outcome;
  result.rules.push_back(std::move(rest));
  result.rules.insert(result.rules.end(), machine.rules.begin(), machine.rules.end());
  return result;
}

Decision Decide(const Policy& policy, const Facts& facts) {
  // The guest looks at the flag on any inode, and evicts one that cannot be DAX at each close (fs/fuse/inode.c).
  if (!facts.regular_file) return {.dax = false, .rule = kRegularFilesOnlyRuleName};
  if (facts.set_id) return {.dax = false, .rule = kSetIdRuleName};
  const auto first = std::ranges::find_if(policy.rules, [&facts](const Rule& rule) { return Matches(rule, facts); });
  const Decision decision = first != policy.rules.end()
                                ? Decision{.dax = Yields(first->outcome, facts), .rule = first->name}
                                : Decision{.dax = Yields(policy.default_outcome, facts), .rule = kDefaultRuleName};
  if (decision.dax && facts.security_capability()) return {.dax = false, .rule = kSecurityCapabilityRuleName};
  return decision;
}

}  // namespace daxvmm::dax
