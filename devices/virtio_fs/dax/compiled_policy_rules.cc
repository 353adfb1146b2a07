#include "devices/virtio_fs/dax/compiled_policy_rules.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <utility>

#include "base/log.h"
#include "devices/virtio_fs/dax/path_pattern.h"

namespace daxvmm::dax {
namespace {

constexpr mode_t kAnyExecute = 0111;

uint64_t NextId() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

using PatternTranslator = absl::StatusOr<std::string> (*)(absl::string_view);

std::vector<std::string> Translate(const std::vector<std::string>& patterns, PatternTranslator translate) {
  std::vector<std::string> regexes;
  for (const std::string& pattern : patterns) {
    absl::StatusOr<std::string> regex = translate(pattern);
    CHECK(regex.ok()) << regex.status().ToString();  // Validate has seen it
    regexes.push_back(*std::move(regex));
  }
  return regexes;
}

// The rules whose condition `of`, if they have it, is `value`.
RuleBits Allowing(const std::vector<Rule>& rules, std::optional<bool> Rule::* of, bool value) {
  RuleBits allowing = RuleBits::All(rules.size());
  for (size_t i = 0; i < rules.size(); ++i) {
    if ((rules[i].*of).value_or(value) != value) allowing.Reset(i);
  }
  return allowing;
}

RuleBits AllowingFlags(const std::vector<Rule>& rules, bool executable, bool huge_pages) {
  RuleBits allowing = Allowing(rules, &Rule::executable, executable);
  return allowing &= Allowing(rules, &Rule::huge_pages, huge_pages);
}

IntervalBits BySize(const std::vector<Rule>& rules) {
  std::vector<IntervalBits::Interval> intervals;
  for (size_t i = 0; i < rules.size(); ++i) {
    if (!rules[i].size_at_least && !rules[i].size_below) continue;
    IntervalBits::Interval interval{.rule = i};
    if (rules[i].size_at_least) interval.first = rules[i].size_at_least->raw();
    if (rules[i].size_below) interval.last = rules[i].size_below->raw() - 1;
    intervals.push_back(interval);
  }
  return {rules.size(), intervals};
}

IntervalBits ById(const std::vector<Rule>& rules, std::optional<IdRange> Rule::* of) {
  std::vector<IntervalBits::Interval> intervals;
  for (size_t i = 0; i < rules.size(); ++i) {
    const std::optional<IdRange>& range = rules[i].*of;
    if (range) intervals.push_back({.rule = i, .first = range->first, .last = range->last});
  }
  return {rules.size(), intervals};
}

}  // namespace

ConditionsOnPaths::ConditionsOnPaths(const std::vector<Rule>& rules)
    : asking_(RuleBits::None(rules.size())),
      not_asking_{RuleBits::All(rules.size()), RuleBits::All(rules.size()), RuleBits::All(rules.size())} {
  std::unordered_map<std::string, size_t> known;
  std::vector<std::string> all;
  for (size_t i = 0; i < rules.size(); ++i) {
    const auto rule = static_cast<uint16_t>(i);
    Add(Translate(rules[i].paths, GlobToRegex), {rule, kPaths}, &known, &all);
    Add(Translate(rules[i].subtrees, SubtreeToRegex), {rule, kSubtrees}, &known, &all);
    Add(Translate(rules[i].extensions, ExtensionToRegex), {rule, kExtensions}, &known, &all);
  }
  if (!all.empty()) patterns_.emplace(std::move(all));
}

void ConditionsOnPaths::Add(const std::vector<std::string>& regexes, Use use,
                            std::unordered_map<std::string, size_t>* known, std::vector<std::string>* all) {
  if (regexes.empty()) return;
  asking_.Set(use.rule);
  not_asking_[use.list].Reset(use.rule);
  for (const std::string& regex : regexes) {
    // Many rules may name the same pattern, each with other conditions.
    const auto [at, is_new] = known->emplace(regex, all->size());
    if (is_new) {
      all->push_back(regex);
      uses_.emplace_back();
    }
    uses_[at->second].push_back(use);
  }
}

std::array<RuleBits, ConditionsOnPaths::kLists> ConditionsOnPaths::ByList(
    const std::optional<std::string>& path) const {
  std::array<RuleBits, kLists> by_list = not_asking_;
  if (!path.has_value() || !patterns_.has_value()) return by_list;
  for (const int pattern : patterns_->Match(*path)) {
    for (const Use& use : uses_[static_cast<size_t>(pattern)]) by_list[use.list].Set(use.rule);
  }
  return by_list;
}

RuleBits ConditionsOnPaths::Holding(const std::optional<std::string>& path, RuleBits rules) const {
  for (const RuleBits& of_list : ByList(path)) rules &= of_list;
  return rules;
}

CompiledRules::CompiledRules(Policy policy)
    : policy_(std::move(policy)),
      id_(NextId()),
      words_(RuleBits::WordsFor(policy_.rules.size())),
      paths_(policy_.rules),
      any_tag_(RuleBits::All(policy_.rules.size())),
      by_read_only_{Allowing(policy_.rules, &Rule::read_only_share, false),
                    Allowing(policy_.rules, &Rule::read_only_share, true)},
      by_size_(BySize(policy_.rules)),
      by_uid_(ById(policy_.rules, &Rule::owner_uid)),
      by_gid_(ById(policy_.rules, &Rule::owner_gid)),
      by_flags_{AllowingFlags(policy_.rules, false, false), AllowingFlags(policy_.rules, true, false),
                AllowingFlags(policy_.rules, false, true), AllowingFlags(policy_.rules, true, true)},
      needs_hint_(RuleBits::None(policy_.rules.size())),
      by_hint_{Allowing(policy_.rules, &Rule::dax_hint, false), Allowing(policy_.rules, &Rule::dax_hint, true)} {
  const std::vector<Rule>& rules = policy_.rules;
  for (size_t i = 0; i < rules.size(); ++i) {
    if (rules[i].share_tag) any_tag_.Reset(i);
    if (rules[i].dax_hint) needs_hint_.Set(i);
    asks_for_flags_ = asks_for_flags_ || rules[i].executable || rules[i].huge_pages;
  }
  asks_for_hint_ = needs_hint_.Any();
  for (size_t i = 0; i < rules.size(); ++i) {
    if (rules[i].share_tag) by_tag_.try_emplace(*rules[i].share_tag, any_tag_).first->second.Set(i);
  }
  has_adaptive_ = policy_.default_outcome == Outcome::kAdaptive ||
                  std::ranges::any_of(rules, [](const Rule& rule) { return rule.outcome == Outcome::kAdaptive; });
}

RuleBits CompiledRules::OfShare(absl::string_view tag, bool read_only) const {
  const auto named = by_tag_.find(std::string(tag));
  RuleBits rules = named != by_tag_.end() ? named->second : any_tag_;
  return rules &= by_read_only_[read_only ? 1 : 0];
}

uint16_t CompiledRules::First(const uint64_t* candidates, const Facts& facts, LazyHint& hint) const {
  // A condition that no rule has costs nothing.
  std::array<const uint64_t*, 5> rows{candidates};
  size_t used = 1;
  if (by_size_.used()) rows[used++] = by_size_.RowOf(facts.size.raw());
  if (by_uid_.used()) rows[used++] = by_uid_.RowOf(facts.uid);
  if (by_gid_.used()) rows[used++] = by_gid_.RowOf(facts.gid);
  if (asks_for_flags_) {
    const size_t flags = ((facts.mode & kAnyExecute) != 0 ? 1 : 0) + (facts.huge_pages ? 2 : 0);
    rows[used++] = by_flags_[flags].words().data();
  }
  for (size_t word = 0; word < words_; ++word) {
    uint64_t left = rows[0][word];
    for (size_t i = 1; i < used; ++i) left &= rows[i][word];
    if (left == 0) continue;
    // The hint costs a system call, and is asked for when the first rule left needs it.
    if (asks_for_hint_ && (needs_hint_.words()[word] & (left & -left)) != 0) {
      left &= by_hint_[hint.Get() ? 1 : 0].words()[word];
      if (left == 0) continue;
    }
    return static_cast<uint16_t>(word * RuleBits::kBitsPerWord + static_cast<size_t>(std::countr_zero(left)));
  }
  return kDefaultRule;
}

}  // namespace daxvmm::dax
