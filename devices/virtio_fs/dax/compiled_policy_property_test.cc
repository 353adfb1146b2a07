// The compiled policy against an oracle that knows nothing of it: one rule after the other, each condition as the
// documents say it, and a matcher of globs by recursion over all possibilities.
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "devices/virtio_fs/dax/compiled_policy.h"
#include "devices/virtio_fs/dax/path_pattern.h"
#include "devices/virtio_fs/dax/path_pattern_set.h"
#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

// ---- The oracle's globs

// The length of the element at the start of `p`: a class, an escape or a byte.
size_t ElementLength(std::string_view p) {
  if (p[0] == '\\') return 2;
  if (p[0] != '[') return 1;
  size_t at = 1;
  if (p[at] == '!' || p[at] == '^') ++at;
  for (bool first = true; first || p[at] != ']'; first = false) at += p[at] == '\\' ? 2 : 1;
  return at + 1;
}

std::vector<std::string> Expand(const std::string& glob) {
  size_t open = 0;
  while (open < glob.size() && glob[open] != '{') open += ElementLength(glob.substr(open));
  if (open >= glob.size()) return {glob};
  std::vector<std::string> alternatives(1);
  size_t at = open + 1;
  for (int depth = 1; depth > 0;) {
    const std::string element = glob.substr(at, ElementLength(glob.substr(at)));
    at += element.size();
    if (element == "{") ++depth;
    if (element == "}" && --depth == 0) break;
    if (element == "," && depth == 1) {
      alternatives.emplace_back();
    } else {
      alternatives.back() += element;
    }
  }
  std::vector<std::string> expanded;
  for (const std::string& alternative : alternatives) {
    for (std::string& one : Expand(glob.substr(0, open) + alternative + glob.substr(at))) {
      expanded.push_back(std::move(one));
    }
  }
  return expanded;
}

std::vector<std::string> Components(const std::string& glob) {
  std::vector<std::string> components(1);
  for (size_t at = 0; at < glob.size();) {
    const std::string element = glob.substr(at, ElementLength(glob.substr(at)));
    at += element.size();
    if (element == "/") {
      components.emplace_back();
    } else {
      components.back() += element;
    }
  }
  return components;
}

bool ClassHas(std::string inside, unsigned char byte) {
  const bool negated = inside[0] == '!' || inside[0] == '^';
  if (negated) inside.erase(0, 1);
  const auto take = [&inside] {
    if (inside[0] == '\\') inside.erase(0, 1);
    const auto taken = static_cast<unsigned char>(inside[0]);
    inside.erase(0, 1);
    return taken;
  };
  bool has = false;
  while (!inside.empty()) {
    const unsigned char low = take();
    unsigned char high = low;
    if (inside.size() > 1 && inside[0] == '-') {
      inside.erase(0, 1);
      high = take();
    }
    has = has || (low <= byte && byte <= high);
  }
  return has != negated;
}

bool NameMatches(std::string_view glob, std::string_view name) {
  if (glob.empty()) return name.empty();
  if (glob[0] == '*') {
    return NameMatches(glob.substr(1), name) || (!name.empty() && NameMatches(glob, name.substr(1)));
  }
  if (name.empty()) return false;
  const size_t length = ElementLength(glob);
  bool same = glob[0] == '?' || glob[length - 1] == name[0];
  if (glob[0] == '[') same = ClassHas(std::string(glob.substr(1, length - 2)), static_cast<unsigned char>(name[0]));
  return same && NameMatches(glob.substr(length), name.substr(1));
}

using Names = std::vector<std::string>;

constexpr char kDoubleStar[] = "\x01";

bool ComponentsMatch(const Names& globs, size_t glob, const Names& names, size_t name) {
  if (glob == globs.size()) return name == names.size();
  if (globs[glob] == kDoubleStar) {
    return ComponentsMatch(globs, glob + 1, names, name) ||
           (name < names.size() && ComponentsMatch(globs, glob, names, name + 1));
  }
  return name < names.size() && NameMatches(globs[glob], names[name]) &&
         ComponentsMatch(globs, glob + 1, names, name + 1);
}

Names Split(const std::string& path) {
  Names names(1);
  for (const char c : path) {
    if (c == '/') {
      names.emplace_back();
    } else {
      names.back().push_back(c);
    }
  }
  return names;
}

// The brace-free globs that `glob` stands for, in components.
std::vector<Names> Understand(const std::string& glob) {
  // Before alternatives are put in, where two stars may meet that are no double star.
  std::string marked;
  Names components = Components(glob);
  for (std::string& component : components) {
    if (component == "**") component = kDoubleStar;
    marked += (marked.empty() ? "" : "/") + component;
  }
  std::vector<Names> understood;
  for (const std::string& one : Expand(marked)) understood.push_back(Components(one));
  return understood;
}

bool GlobMatches(const std::string& glob, const std::string& path) {
  static std::map<std::string, std::vector<Names>>* const known = new std::map<std::string, std::vector<Names>>();
  const auto [at, is_new] = known->try_emplace(glob);
  if (is_new) at->second = Understand(glob);
  const Names names = Split(path);
  return std::any_of(at->second.begin(), at->second.end(),
                     [&](const Names& globs) { return ComponentsMatch(globs, 0, names, 0); });
}

// ---- The oracle's decisions

struct File {
  std::string tag;
  bool read_only = false;
  NodeId node;
  std::optional<std::string> path;
  mode_t mode = 0;
  uint64_t size = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  bool regular = true;
  bool huge = false;
  bool room = true;
  bool hint = false;
  bool capability = false;
  bool adaptive = false;
};

constexpr int64_t kNow = 1000;

struct Verdict {
  bool dax = false;
  std::string rule;
  int hints_asked = 0;
  int capabilities_asked = 0;
  int adaptive_asked = 0;

  bool operator==(const Verdict&) const = default;
};

void PrintTo(const Verdict& verdict, std::ostream* out) {
  *out << (verdict.dax ? "dax" : "no-dax") << " by " << verdict.rule << ", asked " << verdict.hints_asked << " "
       << verdict.capabilities_asked << " " << verdict.adaptive_asked;
}

bool AnyOf(const std::vector<std::string>& list, const std::function<bool(const std::string&)>& holds) {
  if (list.empty()) return true;
  return std::any_of(list.begin(), list.end(), holds);
}

bool HoldsButForTheHint(const Rule& rule, const File& file) {
  if (rule.share_tag && *rule.share_tag != file.tag) return false;
  if (rule.read_only_share && *rule.read_only_share != file.read_only) return false;
  const bool about_path = !rule.paths.empty() || !rule.subtrees.empty() || !rule.extensions.empty();
  if (about_path && !file.path) return false;
  if (about_path) {
    const std::string& path = *file.path;
    if (!AnyOf(rule.paths, [&](const std::string& glob) { return GlobMatches(glob, path); })) return false;
    if (!AnyOf(rule.subtrees, [&](const std::string& dir) { return path.rfind(dir + "/", 0) == 0; })) return false;
    const std::string name = Split(path).back();
    const size_t dot = name.rfind('.');
    if (!AnyOf(rule.extensions, [&](const std::string& extension) {
          return dot != std::string::npos && name.substr(dot + 1) == extension;
        })) {
      return false;
    }
  }
  if (rule.size_at_least && file.size < rule.size_at_least->raw()) return false;
  if (rule.size_below && file.size >= rule.size_below->raw()) return false;
  if (rule.owner_uid && (file.uid < rule.owner_uid->first || file.uid > rule.owner_uid->last)) return false;
  if (rule.owner_gid && (file.gid < rule.owner_gid->first || file.gid > rule.owner_gid->last)) return false;
  if (rule.executable && *rule.executable != ((file.mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0)) return false;
  return !rule.huge_pages || *rule.huge_pages == file.huge;
}

// Whether the last matching override of its kind is for this file; by node before by path.
const Override* OverrideFor(const std::vector<Override>& overrides, const File& file) {
  const Override* by_node = nullptr;
  const Override* by_path = nullptr;
  for (const Override& one : overrides) {
    if (one.share_tag != file.tag) continue;
    if (one.file == OverriddenFile(file.node)) by_node = &one;
    if (file.path && one.file == OverriddenFile(*file.path)) by_path = &one;
  }
  return by_node != nullptr ? by_node : by_path;
}

Verdict Expected(const Policy& policy, const std::vector<Override>& overrides, const File& file) {
  if (!file.regular) return {false, "builtin:regular-files-only"};
  const bool set_gid = (file.mode & S_ISGID) != 0 && (file.mode & S_IXGRP) != 0;
  if ((file.mode & S_ISUID) != 0 || set_gid) return {false, "builtin:set-id"};
  Verdict verdict{false, "default"};
  const Override* override = OverrideFor(overrides, file);
  if (override != nullptr && (!override->expires_at || absl::ToUnixSeconds(*override->expires_at) > kNow)) {
    verdict = {override->dax, "override"};
  } else {
    Outcome outcome = policy.default_outcome;
    for (const Rule& rule : policy.rules) {
      if (!HoldsButForTheHint(rule, file)) continue;
      if (rule.dax_hint) verdict.hints_asked = 1;
      if (rule.dax_hint && *rule.dax_hint != file.hint) continue;
      outcome = rule.outcome;
      verdict.rule = rule.name;
      break;
    }
    if (outcome == Outcome::kFollowHint) verdict.hints_asked = 1;
    if (outcome == Outcome::kAdaptive) verdict.adaptive_asked = 1;
    verdict.dax = outcome == Outcome::kDax || (outcome == Outcome::kFollowHint && file.hint) ||
                  (outcome == Outcome::kAdaptive && file.adaptive);
  }
  if (!verdict.dax) return verdict;
  if (!file.room) return {false, "builtin:window-quota", verdict.hints_asked, 0, verdict.adaptive_asked};
  verdict.capabilities_asked = 1;
  if (file.capability) {
    verdict.dax = false;
    verdict.rule = "builtin:security-capability";
  }
  return verdict;
}

// ---- What is tested

class Asked {
 public:
  explicit Asked(const File& file) : file_(file) {}

  RuleClass Classify(const CompiledPolicy& policy) {
    int paths = 0;
    const auto path = [&] {
      ++paths;
      return file_.path;
    };
    const RuleClass found =
        policy.Classify({.share_tag = file_.tag, .read_only_share = file_.read_only, .node = file_.node, .path = path});
    EXPECT_LE(paths, policy.asks_for_paths() ? 1 : 0);
    return found;
  }

  Verdict Decide(const CompiledPolicy& policy, RuleClass rule_class) {
    return WithFacts([&](const Facts& facts) {
      const Decision decision = policy.Decide(rule_class, facts);
      return std::pair(decision.dax, std::string(policy.RuleName(decision)));
    });
  }

  // By way of an explanation: the last step is what decided.
  Verdict Explain(const CompiledPolicy& policy) {
    const auto path = [&] { return file_.path; };
    return WithFacts([&](const Facts& facts) {
      const std::vector<CompiledPolicy::Step> steps = policy.Explain(
          {.share_tag = file_.tag, .read_only_share = file_.read_only, .node = file_.node, .path = path}, facts);
      for (size_t i = 0; i < steps.size(); ++i) {
        EXPECT_FALSE(steps[i].why.empty()) << steps[i].rule;
        // A builtin rule may come behind what it overrules.
        const bool decided = i + 1 == steps.size() || steps.back().rule.rfind("builtin:", 0) == 0;
        EXPECT_TRUE(decided || !steps[i].matched) << steps[i].rule;
      }
      EXPECT_TRUE(steps.back().matched);
      return std::pair(false, steps.back().rule);
    });
  }

 private:
  template <typename F>
  Verdict WithFacts(F ask) {
    Verdict verdict;
    const auto hint = [&] {
      ++verdict.hints_asked;
      return file_.hint;
    };
    const auto capability = [&] {
      ++verdict.capabilities_asked;
      return file_.capability;
    };
    const auto adaptive = [&] {
      ++verdict.adaptive_asked;
      return file_.adaptive;
    };
    const auto now = [] { return absl::FromUnixSeconds(kNow); };
    std::tie(verdict.dax, verdict.rule) = ask(Facts{.regular_file = file_.regular,
                                                    .mode = file_.mode,
                                                    .size = ByteCount(file_.size),
                                                    .uid = file_.uid,
                                                    .gid = file_.gid,
                                                    .huge_pages = file_.huge,
                                                    .window_has_room = file_.room,
                                                    .dax_hint = hint,
                                                    .security_capability = capability,
                                                    .adaptive = adaptive,
                                                    .now = now});
    return verdict;
  }

  const File& file_;
};

// Small alphabets, so that conditions hold often enough.
class Random {
 public:
  explicit Random(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random_); }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

  std::string Path() {
    std::string path = Name();
    for (uint64_t i = Below(4); i > 0; --i) path += "/" + Name();
    return path;
  }

  std::string Glob() {
    std::string glob;
    for (uint64_t i = 1 + Below(4); i > 0; --i) {
      glob += OneIn(3) ? "**" : Component(0);
      if (i > 1) glob += "/";
    }
    return glob;
  }

  Policy NextPolicy(size_t rules) {
    Policy policy{.default_outcome = NextOutcome()};
    for (size_t i = 0; i < rules; ++i) policy.rules.push_back(NextRule(i));
    return policy;
  }

  std::vector<Override> NextOverrides() {
    std::vector<Override> overrides(Below(4));
    for (Override& one : overrides) {
      one.share_tag = Tag();
      if (OneIn(2)) {
        one.file = NodeId(1 + Below(4));
      } else {
        one.file = Name();
      }
      one.dax = OneIn(2);
      if (OneIn(2)) one.expires_at = absl::FromUnixSeconds(kNow - 1 + static_cast<int64_t>(Below(3)));
    }
    return overrides;
  }

  File NextFile() {
    File file{.tag = Tag(), .read_only = OneIn(2), .node = NodeId(1 + Below(6))};
    if (!OneIn(8)) file.path = Path();
    file.mode = static_cast<mode_t>(Below(0x200));
    if (OneIn(3)) file.mode &= ~static_cast<mode_t>(0111);
    if (OneIn(10)) file.mode |= OneIn(2) ? S_ISUID : S_ISGID;
    file.size = Size();
    file.uid = IdValue();
    file.gid = IdValue();
    file.regular = !OneIn(16);
    file.huge = OneIn(2);
    file.room = !OneIn(8);
    file.hint = OneIn(2);
    file.capability = OneIn(8);
    file.adaptive = OneIn(2);
    return file;
  }

 private:
  Outcome NextOutcome() { return static_cast<Outcome>(Below(4)); }
  std::string Tag() { return std::string(1, static_cast<char>('a' + Below(3))); }
  uint64_t Size() { return OneIn(20) ? ~uint64_t{0} - Below(2) : Below(12); }
  uint32_t IdValue() {
    return OneIn(10) ? 0xffffffffu - static_cast<uint32_t>(Below(2)) : static_cast<uint32_t>(Below(6));
  }

  std::string Name() {
    std::string name;
    for (uint64_t i = 1 + Below(3); i > 0; --i) name.push_back("aab.-\n\xe9"[Below(7)]);
    return name == "." || name == ".." ? "a" : name;
  }

  std::string Component(int depth) {
    std::string text;
    for (uint64_t i = 1 + Below(3); i > 0; --i) {
      switch (Below(8)) {
        case 0:
          if (text.empty() || text.back() != '*') text += "*";  // but over the edge of an alternative two may meet
          break;
        case 1:
          text += "?";
          break;
        case 2:
          text += Pick({"[ab]", "[!a]", "[^b.]", "[a-c]", "[+-9]", "[]a]", "[\x80-\xff]", "[\\.a-]"});
          break;
        case 3:
          if (depth < 2) text += "{" + Component(depth + 1) + "," + (OneIn(4) ? "" : Component(depth + 1)) + "}";
          break;
        case 4:
          text += Pick({"\\a", "\\.", "\\*", "\\{"});
          break;
        default:
          text += Name();
      }
    }
    return text.empty() || text == "." || text == ".." ? "a" : text;
  }

  const char* Pick(const std::vector<const char*>& of) { return of[Below(of.size())]; }

  template <typename T>
  std::optional<T> Maybe(uint64_t one_in, T value) {
    return OneIn(one_in) ? std::optional<T>(value) : std::nullopt;
  }

  std::optional<IdRange> MaybeRange() {
    if (!OneIn(4)) return std::nullopt;
    const uint32_t a = IdValue();
    const uint32_t b = IdValue();
    return IdRange{std::min(a, b), std::max(a, b)};
  }

  Rule NextRule(size_t i) {
    Rule rule;
    rule.name = "rule" + std::to_string(i);
    rule.share_tag = Maybe(4, Tag());
    rule.read_only_share = Maybe(6, OneIn(2));
    if (OneIn(3)) {
      for (uint64_t n = 1 + Below(3); n > 0; --n) rule.paths.push_back(Glob());
    }
    if (OneIn(6)) rule.subtrees = {Name(), Name() + "/" + Name()};
    if (OneIn(6)) rule.extensions = {"a", "b\n"};
    if (OneIn(3)) rule.size_at_least = ByteCount(Below(8));
    if (OneIn(3)) {
      const uint64_t low = rule.size_at_least ? rule.size_at_least->raw() : 0;
      rule.size_below = ByteCount(OneIn(10) ? ~uint64_t{0} : low + 1 + Below(6));
    }
    rule.owner_uid = MaybeRange();
    rule.owner_gid = MaybeRange();
    rule.executable = Maybe(5, OneIn(2));
    rule.dax_hint = Maybe(5, OneIn(2));
    rule.huge_pages = Maybe(5, OneIn(2));
    rule.outcome = NextOutcome();
    return rule;
  }

  std::mt19937_64 random_;
};

// So much that the rules at the end of a long list have something left to decide.
void Narrow(Random& random, Policy* policy) {
  for (Rule& rule : policy->rules) {
    const auto uid = static_cast<uint32_t>(random.Below(6));
    const auto gid = static_cast<uint32_t>(random.Below(6));
    rule.owner_uid = {uid, uid};
    rule.owner_gid = {gid, gid};
    rule.size_at_least = ByteCount(random.Below(12));
    rule.size_below = *rule.size_at_least + ByteCount(1);
  }
}

// Each file is decided with a class found for it, and again with the class remembered.
void CheckPolicy(Random& random, const Policy& policy, int files) {
  const std::vector<Override> overrides = random.NextOverrides();
  const auto compiled = CompiledPolicy::Compile(policy, overrides);
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  const CompiledPolicy& subject = **compiled;
  std::vector<std::pair<File, RuleClass>> remembered;
  for (int i = 0; i < files; ++i) {
    const File file = random.NextFile();
    Asked asked(file);
    const RuleClass rule_class = asked.Classify(subject);
    ASSERT_NE(rule_class, RuleClass::kNone);
    ASSERT_NE(rule_class, RuleClass::kUncached);
    ASSERT_EQ(asked.Decide(subject, rule_class), Expected(policy, overrides, file));
    remembered.emplace_back(file, rule_class);
  }
  for (const auto& [file, rule_class] : remembered) {
    Verdict expected = Expected(policy, overrides, file);
    // What the class does not stand for may change.
    File changed = random.NextFile();
    changed.tag = file.tag;
    changed.read_only = file.read_only;
    changed.node = file.node;
    changed.path = file.path;
    ASSERT_EQ(Asked(changed).Classify(subject), rule_class) << "the class follows from the placement alone";
    ASSERT_EQ(Asked(changed).Decide(subject, rule_class), Expected(policy, overrides, changed));
    ASSERT_EQ(Asked(file).Decide(subject, rule_class), expected);
    expected.dax = false;
    ASSERT_EQ(Asked(file).Explain(subject), expected);
  }
}

// By seeds, so that shards of the test have something to share out.
class ShortPoliciesTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(ShortPoliciesTest, AgreeWithTheOracle) {
  Random random(GetParam());
  for (int round = 0; round < 400 && !HasFatalFailure(); ++round) {
    SCOPED_TRACE(round);
    CheckPolicy(random, random.NextPolicy(random.Below(12)), 10);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ShortPoliciesTest, ::testing::Range(uint64_t{1}, uint64_t{7}));

TEST(LongPoliciesTest, AgreeWithTheOracleAtTheEdgesOfWords) {
  Random random(7);
  for (const size_t rules : {63, 64, 65, 127, 128, 129}) {
    for (int round = 0; round < 4 && !::testing::Test::HasFatalFailure(); ++round) {
      SCOPED_TRACE(rules);
      Policy policy = random.NextPolicy(rules);
      if (round % 2 == 0) Narrow(random, &policy);
      CheckPolicy(random, policy, 20);
    }
  }
}

class ThousandRulesTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(ThousandRulesTest, AgreeWithTheOracle) {
  Random random(GetParam());
  CheckPolicy(random, random.NextPolicy(kMaxRules), 20);
  Policy policy = random.NextPolicy(kMaxRules);
  Narrow(random, &policy);
  CheckPolicy(random, policy, 30);
  int late = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string rule = Expected(policy, {}, random.NextFile()).rule;
    late += rule.size() >= std::string("rule100").size() && rule.rfind("rule", 0) == 0 ? 1 : 0;
  }
  EXPECT_GT(late, 10) << "decisions by early rules show little";
}

INSTANTIATE_TEST_SUITE_P(Seeds, ThousandRulesTest, ::testing::Range(uint64_t{1}, uint64_t{4}));

TEST(GlobPropertyTest, AgreesWithTheOracle) {
  Random random(9);
  int matching = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::string glob = random.Glob();
    const absl::StatusOr<std::string> regex = GlobToRegex(glob);
    ASSERT_TRUE(regex.ok()) << regex.status() << ": " << glob;
    const PathPatternSet set({*regex});
    for (int i = 0; i < 10; ++i) {
      const std::string path = random.Path();
      const bool matches = !set.Match(path).empty();
      ASSERT_EQ(matches, GlobMatches(glob, path)) << glob << " on " << path;
      matching += matches ? 1 : 0;
    }
  }
  EXPECT_GT(matching, 3000) << "paths that match too seldom show little";
}

}  // namespace
}  // namespace daxvmm::dax
