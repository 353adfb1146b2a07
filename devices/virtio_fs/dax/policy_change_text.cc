#include "devices/virtio_fs/dax/policy_change_text.h"

#include <map>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "devices/virtio_fs/dax/policy_names.h"

namespace daxvmm::dax {
namespace {

constexpr size_t kNamesShown = 3;
constexpr size_t kPathShown = 256;

void AppendNames(absl::string_view what, const std::vector<std::string>& names, std::vector<std::string>* parts) {
  if (names.empty()) return;
  std::string part = absl::StrCat(what, " ");
  for (size_t i = 0; i < names.size() && i < kNamesShown; ++i) absl::StrAppend(&part, i == 0 ? "" : ", ", names[i]);
  if (names.size() > kNamesShown) absl::StrAppend(&part, " and ", names.size() - kNamesShown, " more");
  parts->push_back(std::move(part));
}

// "added big; changed size"; names are unique within a policy.
std::string RuleChanges(const std::vector<Rule>& from, const std::vector<Rule>& to) {
  std::map<std::string, const Rule*> old;
  for (const Rule& rule : from) old.emplace(rule.name, &rule);
  std::vector<std::string> added;
  std::vector<std::string> changed;
  for (const Rule& rule : to) {
    const auto before = old.find(rule.name);
    if (before == old.end()) {
      added.push_back(rule.name);
      continue;
    }
    if (*before->second != rule) changed.push_back(rule.name);
    old.erase(before);
  }
  std::vector<std::string> removed;
  for (const Rule& rule : from) {
    if (old.contains(rule.name)) removed.push_back(rule.name);
  }
  std::vector<std::string> parts;
  AppendNames("added", added, &parts);
  AppendNames("removed", removed, &parts);
  AppendNames("changed", changed, &parts);
  return parts.empty() ? "reordered" : absl::StrJoin(parts, "; ");
}

absl::string_view EnforcementName(Enforcement enforcement) {
  return enforcement == Enforcement::kDeny ? "deny" : "advisory";
}

std::string OverrideText(const Override* override) {
  if (override == nullptr) return "none";
  std::string text = override->dax ? "dax" : "no-dax";
  if (override->expires_at) {
    absl::StrAppend(&text, " until ",
                    absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", *override->expires_at, absl::UTCTimeZone()));
  }
  return text;
}

}  // namespace

std::string CountedText(size_t n, absl::string_view what) { return absl::StrCat(n, " ", what, n == 1 ? "" : "s"); }

std::string DescribePolicy(const Policy& policy, size_t overrides) {
  std::string text =
      absl::StrCat(CountedText(policy.rules.size(), "rule"), ", default ", OutcomeName(policy.default_outcome));
  if (overrides > 0) absl::StrAppend(&text, ", ", CountedText(overrides, "override"));
  return text;
}

std::string DescribePolicyChange(const Policy& from, const Policy& to) {
  std::vector<std::string> parts;
  if (from.rules != to.rules) {
    std::string counts = "rules";
    if (from.rules.size() != to.rules.size()) absl::StrAppend(&counts, " ", from.rules.size(), " -> ", to.rules.size());
    parts.push_back(absl::StrCat(counts, " (", RuleChanges(from.rules, to.rules), ")"));
  }
  if (from.default_outcome != to.default_outcome) {
    parts.push_back(
        absl::StrCat("default ", OutcomeName(from.default_outcome), " -> ", OutcomeName(to.default_outcome)));
  }
  if (from.enforcement != to.enforcement) {
    parts.push_back(
        absl::StrCat("enforcement ", EnforcementName(from.enforcement), " -> ", EnforcementName(to.enforcement)));
  }
  return parts.empty() ? "nothing" : absl::StrJoin(parts, ", ");
}

std::string DescribeOverrideChange(const Override* from, const Override* to) {
  const Override& one = to != nullptr ? *to : *from;
  std::string file;
  if (const auto* path = std::get_if<std::string>(&one.file)) {
    file = absl::StrCat(path->substr(0, kPathShown), path->size() > kPathShown ? "..." : "");
  } else {
    file = absl::StrCat("node ", std::get<NodeId>(one.file).raw());
  }
  return absl::StrCat("override of ", one.share_tag, ":", file, ": ", OverrideText(from), " -> ", OverrideText(to));
}

}  // namespace daxvmm::dax
