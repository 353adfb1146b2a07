#include "devices/virtio_fs/dax/policy.h"

#include <functional>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "devices/virtio_fs/dax/compiled_policy.h"
#include "devices/virtio_fs/dax/policy_names.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

Rule MakeRule(std::string name, Outcome outcome) {
  Rule rule;
  rule.name = std::move(name);
  rule.outcome = outcome;
  return rule;
}

struct File {
  std::string tag = "share";
  uint64_t size = 0;
  bool regular = true;
  bool flag = false;
};

// As a value that outlives the facts; `asked` counts the calls for the persistent flag.
struct Verdict {
  bool dax;
  std::string rule;
  int asked;

  bool operator==(const Verdict&) const = default;
};

Verdict Ask(const Policy& policy, const File& file) {
  int asked = 0;
  const auto flag = [&] {
    ++asked;
    return file.flag;
  };
  const auto compiled = CompiledPolicy::Compile(policy);
  EXPECT_TRUE(compiled.ok()) << compiled.status();
  if (!compiled.ok()) return {false, "invalid", 0};
  const Decision decision =
      (*compiled)->Decide((*compiled)->Classify({.share_tag = file.tag}),
                          {.regular_file = file.regular, .size = ByteCount(file.size), .dax_hint = flag});
  return {decision.dax, std::string((*compiled)->RuleName(decision)), asked};
}

Policy Named(absl::string_view name) {
  absl::StatusOr<Policy> policy = ParsePolicyName(name);
  EXPECT_TRUE(policy.ok()) << policy.status();
  return policy.ok() ? *policy : Policy();
}

std::string ErrorOf(const Policy& policy) {
  const absl::Status status = Validate(policy);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

TEST(DecideTest, DefaultPolicyTurnsAt32KiB) {
  const Policy policy = DefaultPolicy();
  EXPECT_EQ(Ask(policy, {.size = 32767}), (Verdict{false, "default", 0}));
  EXPECT_EQ(Ask(policy, {.size = 32768}), (Verdict{true, "size", 0}));
  EXPECT_EQ(Ask(policy, {.size = 32769}), (Verdict{true, "size", 0}));
}

TEST(DecideTest, FirstMatchWins) {
  Policy policy;
  policy.rules = {MakeRule("first", Outcome::kNoDax), MakeRule("second", Outcome::kDax)};
  policy.default_outcome = Outcome::kDax;
  EXPECT_EQ(Ask(policy, {}), (Verdict{false, "first", 0}));
  std::swap(policy.rules[0], policy.rules[1]);
  EXPECT_EQ(Ask(policy, {}), (Verdict{true, "second", 0}));
}

TEST(DecideTest, AllConditionsOfARuleMustHold) {
  Rule rule = MakeRule("all", Outcome::kDax);
  rule.share_tag = "data";
  rule.size_at_least = ByteCount(10);
  rule.size_below = ByteCount(20);
  const Policy policy{.rules = {rule}, .default_outcome = Outcome::kNoDax};
  EXPECT_TRUE(Ask(policy, {.tag = "data", .size = 10}).dax);
  EXPECT_TRUE(Ask(policy, {.tag = "data", .size = 19}).dax);
  EXPECT_FALSE(Ask(policy, {.tag = "data", .size = 9}).dax);
  EXPECT_FALSE(Ask(policy, {.tag = "data", .size = 20}).dax);
  EXPECT_FALSE(Ask(policy, {.tag = "datas", .size = 10}).dax);
}

TEST(DecideTest, NothingButRegularFilesIsEverDax) {
  for (const char* name : {"never", "always", "size", "inode"}) {
    EXPECT_EQ(Ask(Named(name), {.size = 1 << 20, .regular = false, .flag = true}),
              (Verdict{false, "builtin:regular-files-only", 0}))
        << name;
  }
}

TEST(DecideTest, AsksForTheFlagOnlyWhereARuleFollowsIt) {
  Policy policy;
  policy.rules = {MakeRule("big", Outcome::kDax), MakeRule("flag", Outcome::kFollowHint)};
  policy.rules[0].size_at_least = ByteCount(100);
  EXPECT_EQ(Ask(policy, {.size = 100}), (Verdict{true, "big", 0}));
  EXPECT_EQ(Ask(policy, {.size = 99, .flag = true}), (Verdict{true, "flag", 1}));
  EXPECT_EQ(Ask(policy, {.size = 99, .flag = false}), (Verdict{false, "flag", 1}));
}

TEST(PolicyNameTest, EachNameMeansWhatItSays) {
  EXPECT_EQ(Ask(Named("never"), {.size = 1 << 20, .flag = true}), (Verdict{false, "default", 0}));
  EXPECT_EQ(Ask(Named("always"), {.size = 0}), (Verdict{true, "default", 0}));
  EXPECT_EQ(Ask(Named("inode"), {.flag = true}), (Verdict{true, "default", 1}));
  EXPECT_EQ(Ask(Named("inode"), {.flag = false}), (Verdict{false, "default", 1}));
  EXPECT_EQ(Named("size"), DefaultPolicy());
  EXPECT_FALSE(Ask(Named("size:1M"), {.size = (1 << 20) - 1}).dax);
  EXPECT_TRUE(Ask(Named("size:1M"), {.size = 1 << 20}).dax);
  EXPECT_TRUE(Ask(Named("size:4096"), {.size = 4096}).dax);
  EXPECT_TRUE(Ask(Named("size:0"), {.size = 0}).dax);
}

TEST(PolicyNameTest, ExecutablesAndLibraries) {
  const Policy policy = Named("executables-and-libraries");
  const auto compiled = CompiledPolicy::Compile(policy);
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  const auto rule = [&](std::string path, mode_t mode, ByteCount size) {
    const auto get_path = [&path] { return std::optional<std::string>(path); };
    const RuleClass rule_class = (*compiled)->Classify({.share_tag = "share", .path = get_path});
    return std::string(
        (*compiled)->RuleName((*compiled)->Decide(rule_class, {.regular_file = true, .mode = mode, .size = size})));
  };
  EXPECT_EQ(rule("usr/bin/vi", 0755, KiB(32)), "executables");
  EXPECT_EQ(rule("usr/bin/vi", 0755, KiB(32) - ByteCount(1)), "default");
  EXPECT_EQ(rule("usr/bin/vi", 0644, KiB(32)), "default");
  for (const char* path : {"a.so", "lib/libc.so.6", "usr/lib/x/libstdc++.so.6.0.30"}) {
    EXPECT_EQ(rule(path, 0644, KiB(32)), "libraries") << path;
    EXPECT_EQ(rule(path, 0644, KiB(31)), "default") << path;
  }
  for (const char* path : {"so", "a.sock", "lib.so.d/x", "a.so~"}) EXPECT_EQ(rule(path, 0644, MiB(1)), "default");
}

TEST(PolicyNameTest, Adaptive) { EXPECT_EQ(Named("adaptive"), (Policy{.default_outcome = Outcome::kAdaptive})); }

TEST(PolicyNameTest, RefusesEverythingElseAndListsTheNames) {
  for (const char* text : {"", "Always", "sometimes", "size:", "size:x", "size:-1", "size: 64K", "sizes", "inode ",
                           "size:99999999999999999999", "always:1"}) {
    const absl::StatusOr<Policy> policy = ParsePolicyName(text);
    EXPECT_EQ(policy.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(policy.status().message()), HasSubstr("never, always, size, size:SIZE"));
  }
}

TEST(ValidateTest, NamesTheFieldAtFault) {
  Policy policy;
  policy.rules = {MakeRule("a", Outcome::kDax), MakeRule("b", Outcome::kDax), MakeRule("c", Outcome::kDax)};
  policy.rules[2].size_at_least = ByteCount(32768);
  policy.rules[2].size_below = ByteCount(32768);
  EXPECT_EQ(ErrorOf(policy), "rules[2].size_below: must be greater than size_at_least (32768)");
  policy.rules[2].size_below = ByteCount(32769);
  EXPECT_TRUE(Validate(policy).ok());

  policy.rules[2].size_at_least.reset();
  policy.rules[2].size_below = ByteCount(0);
  EXPECT_EQ(ErrorOf(policy), "rules[2].size_below: must be greater than 0");
  policy.rules[2].size_below.reset();

  policy.rules[1].share_tag = "";
  EXPECT_THAT(ErrorOf(policy), HasSubstr("rules[1].share: must be 1 to 36 bytes"));
  policy.rules[1].share_tag = std::string(37, 't');
  EXPECT_THAT(ErrorOf(policy), HasSubstr("rules[1].share: "));
  policy.rules[1].share_tag = std::string(36, 't');
  EXPECT_TRUE(Validate(policy).ok());

  policy.rules[1].outcome = static_cast<Outcome>(7);
  EXPECT_THAT(ErrorOf(policy), HasSubstr("rules[1].outcome: "));
  policy.rules[1].outcome = Outcome::kDax;
  policy.default_outcome = static_cast<Outcome>(-1);
  EXPECT_THAT(ErrorOf(policy), HasSubstr("default_outcome: "));
  policy.default_outcome = Outcome::kDax;
  policy.enforcement = static_cast<Enforcement>(2);
  EXPECT_THAT(ErrorOf(policy), HasSubstr("enforcement: "));
}

TEST(ValidateTest, Names) {
  Policy policy;
  policy.rules = {MakeRule("x", Outcome::kDax), MakeRule("y", Outcome::kDax)};
  for (const std::string& good :
       {std::string(64, 'n'), std::string("a b"), std::string("~"), std::string("defaults")}) {
    policy.rules[1].name = good;
    EXPECT_TRUE(Validate(policy).ok()) << good;
  }
  for (const std::string& bad :
       {std::string(), std::string(65, 'n'), std::string("a\nb"), std::string("\x7f"), std::string("n\xc3\xa4me"),
        std::string("default"), std::string("builtin:"), std::string("override"), std::string("builtin:mine"),
        std::string("x"), std::string("a\0b", 3)}) {
    policy.rules[1].name = bad;
    EXPECT_THAT(ErrorOf(policy), HasSubstr("rules[1].name: ")) << bad;
  }
}

// What Validate says of a rule that is the second of two.
std::string ErrorOfRule(const std::function<void(Rule*)>& spoil) {
  Policy policy{.rules = {MakeRule("a", Outcome::kDax), MakeRule("b", Outcome::kDax)}};
  spoil(&policy.rules[1]);
  const absl::Status status = Validate(policy);
  return std::string(status.message());
}

TEST(ValidateTest, ConditionsOnPaths) {
  struct List {
    std::vector<std::string> Rule::* member;
    std::string field;
  };
  for (const List& list :
       {List{&Rule::paths, "paths"}, List{&Rule::subtrees, "subtrees"}, List{&Rule::extensions, "extensions"}}) {
    const auto error = [&list](std::vector<std::string> members) {
      return ErrorOfRule([&](Rule* rule) { rule->*list.member = members; });
    };
    EXPECT_EQ(error({"a", "b"}), "");
    EXPECT_EQ(error(std::vector<std::string>(64, "a")), "");
    EXPECT_EQ(error(std::vector<std::string>(65, "a")), "rules[1]." + list.field + ": at most 64");
    EXPECT_EQ(error({std::string(1024, 'a')}), "");
    EXPECT_EQ(error({"a", std::string(1025, 'a')}), "rules[1]." + list.field + "[1]: must be at most 1024 bytes");
    EXPECT_EQ(error({""}), "rules[1]." + list.field + "[0]: must not be empty");
    EXPECT_THAT(error({"a", "b", "/c"}), HasSubstr("rules[1]." + list.field + "[2]: must not "));
    EXPECT_THAT(error({std::string("a\0b", 3)}), HasSubstr("rules[1]." + list.field + "[0]: must not contain a NUL"));
  }
  EXPECT_EQ(ErrorOfRule([](Rule* rule) { rule->paths = {"a", "lib/[z-a]"}; }),
            "rules[1].paths[1]: a range of a class must not run backwards");
  EXPECT_THAT(ErrorOfRule([](Rule* rule) { rule->subtrees = {"a/.."}; }), HasSubstr("rules[1].subtrees[0]: "));
  EXPECT_THAT(ErrorOfRule([](Rule* rule) { rule->extensions = {".so"}; }), HasSubstr("rules[1].extensions[0]: "));
}

TEST(ValidateTest, ConditionsOnOwners) {
  EXPECT_EQ(ErrorOfRule([](Rule* rule) { rule->owner_uid = IdRange{2, 1}; }),
            "rules[1].owner_uid: first (2) must not be greater than last (1)");
  EXPECT_EQ(ErrorOfRule([](Rule* rule) { rule->owner_gid = IdRange{1, 0}; }),
            "rules[1].owner_gid: first (1) must not be greater than last (0)");
  EXPECT_EQ(ErrorOfRule([](Rule* rule) { rule->owner_uid = rule->owner_gid = IdRange{0, 0xffffffff}; }), "");
  EXPECT_EQ(ErrorOfRule([](Rule* rule) { rule->owner_uid = IdRange{5, 5}; }), "");
}

TEST(ValidateTest, BoundsTheNumberOfAllPathConditionsTogether) {
  Policy policy;
  for (size_t i = 0; i < 64; ++i) {
    policy.rules.push_back(MakeRule("r" + std::to_string(i), Outcome::kDax));
    policy.rules.back().paths.assign(32, "*");
    policy.rules.back().extensions.assign(32, "a");
  }
  EXPECT_TRUE(Validate(policy).ok()) << Validate(policy);
  policy.rules[63].subtrees = {"a"};
  EXPECT_THAT(ErrorOf(policy), HasSubstr("rules[63].extensions[31]: "));
  EXPECT_THAT(ErrorOf(policy), HasSubstr("at most 4096, "));
}

TEST(ValidateTest, BoundsTheTextOfAllPathConditionsTogether) {
  Policy policy;
  for (size_t i = 0; i < 64; ++i) {
    policy.rules.push_back(MakeRule("r" + std::to_string(i), Outcome::kDax));
    policy.rules.back().paths = {std::string(512, 'a')};
    policy.rules.back().subtrees = {std::string(512, 'a')};
  }
  EXPECT_TRUE(Validate(policy).ok()) << Validate(policy);
  policy.rules.push_back(MakeRule("more", Outcome::kDax));
  policy.rules.back().extensions = {"a"};
  EXPECT_THAT(ErrorOf(policy), HasSubstr("rules[64].extensions[0]: "));
  EXPECT_THAT(ErrorOf(policy), HasSubstr("65536 bytes together"));
}

TEST(ValidateTest, AtMost1000Rules) {
  Policy policy;
  for (size_t i = 0; i < 1000; ++i) policy.rules.push_back(MakeRule("r" + std::to_string(i), Outcome::kDax));
  EXPECT_TRUE(Validate(policy).ok());
  policy.rules.push_back(MakeRule("one more", Outcome::kDax));
  EXPECT_EQ(ErrorOf(policy), "rules: at most 1000");
}

TEST(PrependForShareTest, BindsThePolicyToTheShare) {
  const Policy policy = PrependForShare(Named("never"), "data", Named("size"));
  EXPECT_TRUE(Validate(policy).ok()) << Validate(policy);
  EXPECT_EQ(Ask(policy, {.tag = "data", .size = 32768}), (Verdict{true, "data/size", 0}));
  EXPECT_EQ(Ask(policy, {.tag = "data", .size = 32767}), (Verdict{false, "data/default", 0}));
  EXPECT_EQ(Ask(policy, {.tag = "other", .size = 32768}), (Verdict{false, "default", 0}));

  const Policy both = PrependForShare(policy, "other", Named("inode"));
  EXPECT_TRUE(Validate(both).ok()) << Validate(both);
  EXPECT_EQ(Ask(both, {.tag = "other", .flag = true}), (Verdict{true, "other/default", 1}));
  EXPECT_EQ(Ask(both, {.tag = "data", .size = 32768}), (Verdict{true, "data/size", 0}));
}

TEST(PrependForShareTest, KeepsEveryCondition) {
  Policy share;
  share.rules = {MakeRule("all", Outcome::kAdaptive)};
  Rule& rule = share.rules[0];
  rule.read_only_share = true;
  rule.paths = {"*"};
  rule.subtrees = {"lib"};
  rule.extensions = {"so"};
  rule.size_at_least = KiB(4);
  rule.size_below = KiB(8);
  rule.owner_uid = IdRange{1, 2};
  rule.owner_gid = IdRange{3, 4};
  rule.executable = true;
  rule.dax_hint = false;
  rule.huge_pages = true;
  Rule expected = rule;
  expected.name = "data/all";
  expected.share_tag = "data";
  EXPECT_EQ(PrependForShare({}, "data", share).rules.at(0), expected);
}

TEST(PrependForShareTest, TheEnforcementIsTheMachines) {
  for (const Enforcement machine : {Enforcement::kAdvisory, Enforcement::kDeny}) {
    const Policy share{.enforcement = machine == Enforcement::kDeny ? Enforcement::kAdvisory : Enforcement::kDeny};
    EXPECT_EQ(PrependForShare({.enforcement = machine}, "data", share).enforcement, machine);
  }
}

TEST(PrependForShareTest, NamesStayValidAndUnique) {
  const std::string long_name(64, 'n');
  Policy share;
  // Cut to a name's length behind the longest tag, these two are the same.
  share.rules = {MakeRule(long_name, Outcome::kDax), MakeRule(long_name.substr(1), Outcome::kDax)};
  Policy machine;
  const std::string long_tag(36, 't');
  machine.rules = {MakeRule(long_tag + "/default", Outcome::kDax)};
  const Policy policy = PrependForShare(machine, long_tag, share);
  EXPECT_THAT(policy.rules, SizeIs(4));
  EXPECT_TRUE(Validate(policy).ok()) << Validate(policy);
  EXPECT_EQ(policy.rules[0].name, long_tag + "/" + std::string(27, 'n'));
  EXPECT_EQ(policy.rules[1].name, long_tag + "/" + std::string(25, 'n') + "~2");
  EXPECT_EQ(policy.rules[2].name, long_tag + "/default~2");

  for (const char* tag : {"builtin:x", "d\xc3\xa4ta", "a\nb"}) {
    const Policy odd = PrependForShare(policy, tag, share);
    EXPECT_TRUE(Validate(odd).ok()) << tag << ": " << Validate(odd);
  }
}

TEST(PrependForShareTest, LeavesOutRulesOfOtherShares) {
  Policy share;
  share.rules = {MakeRule("elsewhere", Outcome::kNoDax)};
  share.rules[0].share_tag = "other";
  share.default_outcome = Outcome::kDax;
  const Policy policy = PrependForShare(Named("never"), "data", share);
  EXPECT_EQ(Ask(policy, {.tag = "data"}), (Verdict{true, "data/default", 0}));
  EXPECT_EQ(Ask(policy, {.tag = "other"}), (Verdict{false, "default", 0}));
}

// Written from the description alone, in the other direction: the last rule first, each later match overwriting.
Verdict SlowDecide(const Policy& policy, const File& file) {
  if (!file.regular) return {false, "builtin:regular-files-only", 0};
  Outcome outcome = policy.default_outcome;
  std::string rule = "default";
  for (size_t left = policy.rules.size(); left > 0; --left) {
    const Rule& candidate = policy.rules[left - 1];
    const uint64_t low = candidate.size_at_least ? candidate.size_at_least->raw() : 0;
    const bool above = candidate.size_below && file.size >= candidate.size_below->raw();
    const bool elsewhere = candidate.share_tag && *candidate.share_tag != file.tag;
    if (file.size < low || above || elsewhere) continue;
    outcome = candidate.outcome;
    rule = candidate.name;
  }
  if (outcome == Outcome::kFollowHint) return {file.flag, rule, 1};
  return {outcome == Outcome::kDax, rule, 0};
}

class RandomPolicies {
 public:
  Policy Next(size_t max_rules) {
    Policy policy;
    for (size_t i = Below(max_rules + 1); i > 0; --i) {
      Rule rule = MakeRule("rule" + std::to_string(i), RandomOutcome());
      if (Below(3) == 0) rule.share_tag = RandomTag();
      if (Below(2) == 0) rule.size_at_least = ByteCount(Below(8));
      if (Below(2) == 0) {
        const uint64_t low = rule.size_at_least ? rule.size_at_least->raw() : 0;
        rule.size_below = ByteCount(low + 1 + Below(4));
      }
      policy.rules.push_back(std::move(rule));
    }
    policy.default_outcome = RandomOutcome();
    return policy;
  }
  File NextFile() { return {.tag = RandomTag(), .size = Below(12), .regular = Below(8) != 0, .flag = Below(2) == 0}; }

 private:
  uint64_t Below(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random_); }
  Outcome RandomOutcome() { return static_cast<Outcome>(Below(3)); }
  std::string RandomTag() { return std::string(1, static_cast<char>('a' + Below(3))); }

  std::mt19937_64 random_{20240607};
};

TEST(DecidePropertyTest, AgreesWithTheSlowOracle) {
  RandomPolicies random;
  for (int round = 0; round < 500; ++round) {
    const Policy policy = random.Next(8);
    ASSERT_TRUE(Validate(policy).ok()) << Validate(policy);
    for (int i = 0; i < 8; ++i) {
      const File file = random.NextFile();
      ASSERT_EQ(Ask(policy, file), SlowDecide(policy, file)) << "round " << round;
    }
  }
}

TEST(DecidePropertyTest, PrependingChangesExactlyThatShare) {
  RandomPolicies random;
  for (int round = 0; round < 500; ++round) {
    const Policy machine = random.Next(5);
    const Policy share = random.Next(5);
    const Policy joined = PrependForShare(machine, "a", share);
    ASSERT_TRUE(Validate(joined).ok()) << Validate(joined);
    for (int i = 0; i < 8; ++i) {
      const File file = random.NextFile();
      ASSERT_EQ(Ask(joined, file).dax, SlowDecide(file.tag == "a" ? share : machine, file).dax) << "round " << round;
    }
  }
}

}  // namespace
}  // namespace daxvmm::dax
