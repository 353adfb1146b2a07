#include "devices/virtio_fs/dax/policy.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "devices/virtio_fs/dax/path_pattern.h"

namespace daxvmm::dax {
namespace {

constexpr size_t kMaxNameBytes = 64;

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
  if (view == kDefaultRuleName || view == kOverrideRuleName || absl::StartsWith(view, kBuiltinRulePrefix)) {
    return FieldError(field, absl::StrCat("\"", name, "\" is reserved (\"", kDefaultRuleName, "\", \"",
                                          kOverrideRuleName, "\", \"", kBuiltinRulePrefix, "...\")"));
  }
  return absl::OkStatus();
}

absl::Status ValidateSizes(const Rule& rule, const std::string& field) {
  if (!rule.size_below) return absl::OkStatus();
  if (rule.size_at_least && *rule.size_below <= *rule.size_at_least) {
    return FieldError(field + ".size_below",
                      absl::StrCat("must be greater than size_at_least (", rule.size_at_least->raw(), ")"));
  }
  if (*rule.size_below == ByteCount(0)) return FieldError(field + ".size_below", "must be greater than 0");
  return absl::OkStatus();
}

absl::Status ValidateRange(const std::optional<IdRange>& range, const std::string& field) {
  if (!range || range->first <= range->last) return absl::OkStatus();
  return FieldError(field,
                    absl::StrCat("first (", range->first, ") must not be greater than last (", range->last, ")"));
}

using PatternTranslator = absl::StatusOr<std::string> (*)(absl::string_view);

// What the conditions on paths of a policy come to.
struct PathTotal {
  size_t members = 0;
  size_t bytes = 0;
};

absl::Status ValidatePatterns(const std::vector<std::string>& patterns, const std::string& field,
                              PatternTranslator translate, PathTotal* total) {
  if (patterns.size() > kMaxListMembers) return FieldError(field, absl::StrCat("at most ", kMaxListMembers));
  for (size_t i = 0; i < patterns.size(); ++i) {
    const std::string member = absl::StrCat(field, "[", i, "]");
    const absl::StatusOr<std::string> regex = translate(patterns[i]);
    if (!regex.ok()) return FieldError(member, regex.status().message());
    total->bytes += patterns[i].size();
    if (++total->members > kMaxPathConditions || total->bytes > kMaxPathTextBytes) {
      return FieldError(member, absl::StrCat("paths, subtrees and extensions of all rules must be at most ",
                                             kMaxPathConditions, ", and ", kMaxPathTextBytes, " bytes together"));
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateConditions(const Rule& rule, const std::string& field, PathTotal* paths) {
  if (rule.share_tag && (rule.share_tag->empty() || rule.share_tag->size() > kMaxTagBytes)) {
    return FieldError(field + ".share", absl::StrCat("must be 1 to ", kMaxTagBytes, " bytes"));
  }
  RETURN_IF_ERROR(ValidatePatterns(rule.paths, field + ".paths", GlobToRegex, paths));
  RETURN_IF_ERROR(ValidatePatterns(rule.subtrees, field + ".subtrees", SubtreeToRegex, paths));
  RETURN_IF_ERROR(ValidatePatterns(rule.extensions, field + ".extensions", ExtensionToRegex, paths));
  RETURN_IF_ERROR(ValidateSizes(rule, field));
  RETURN_IF_ERROR(ValidateRange(rule.owner_uid, field + ".owner_uid"));
  return ValidateRange(rule.owner_gid, field + ".owner_gid");
}

// A name that Validate accepts: a tag may hold any byte, and "TAG/NAME" may be longer than a name or be taken.
std::string FreshName(absl::string_view tag, absl::string_view name, std::unordered_set<std::string>& taken) {
  std::string wanted = absl::StrCat(tag, "/", name);
  for (char& c : wanted) {
    if (!IsPrintableAscii(c)) c = '_';
  }
  // A tag may itself begin with the reserved prefix.
  if (absl::StartsWith(wanted, kBuiltinRulePrefix)) wanted[kBuiltinRulePrefix.size() - 1] = '_';
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
  PathTotal paths;
  for (size_t i = 0; i < policy.rules.size(); ++i) {
    const Rule& rule = policy.rules[i];
    const std::string field = absl::StrCat("rules[", i, "]");
    RETURN_IF_ERROR(ValidateName(rule.name, field + ".name"));
    const auto [earlier, is_new] = first_use.emplace(rule.name, i);
    if (!is_new) {
      return FieldError(field + ".name",
                        absl::StrCat("\"", rule.name, "\" is the name of rules[", earlier->second, "] too"));
    }
    RETURN_IF_ERROR(ValidateConditions(rule, field, &paths));
    if (!IsKnown(rule.outcome)) return FieldError(field + ".outcome", "unknown outcome");
  }
  if (!IsKnown(policy.default_outcome)) return FieldError("default_outcome", "unknown outcome");
  if (policy.enforcement != Enforcement::kAdvisory && policy.enforcement != Enforcement::kDeny) {
    return FieldError("enforcement", "unknown enforcement");
  }
  return absl::OkStatus();
}

Policy PrependForShare(const Policy& machine, absl::string_view share_tag, const Policy& share_policy) {
  std::unordered_set<std::string> taken;
  for (const Rule& rule : machine.rules) taken.insert(rule.name);

  Policy result;
  result.default_outcome = machine.default_outcome;
  result.enforcement = machine.enforcement;
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

}  // namespace daxvmm::dax
