#include "devices/virtio_fs/dax/compiled_policy.h"

#include <sys/stat.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A regular file of a share, by default one that nothing stands against.
struct File {
  std::string tag = "share";
  bool read_only = false;
  NodeId node{7};
  std::optional<std::string> path = "lib/libc.so.6";
  mode_t mode = 0644;
  ByteCount size = MiB(1);
  uint32_t uid = 1000;
  uint32_t gid = 100;
  bool regular = true;
  bool huge_pages = false;
  bool room = true;
  bool hint = false;
  bool capability = false;
  bool adaptive = false;
  absl::Time now = absl::FromUnixSeconds(1000);
};

struct Asked {
  int paths = 0;
  int hints = 0;
  int capabilities = 0;
  int adaptive = 0;
  int clocks = 0;

  bool operator==(const Asked&) const = default;
};

template <typename T>
auto Counting(int& count, const T& value) {
  return [&count, &value] {
    ++count;
    return value;
  };
}

struct Answer {
  bool dax = false;
  std::string rule;

  bool operator==(const Answer&) const = default;
};

void PrintTo(const Answer& answer, std::ostream* out) {
  *out << (answer.dax ? "dax" : "no-dax") << " by " << answer.rule;
}

using Compiled = std::shared_ptr<const CompiledPolicy>;

Compiled Compile(Policy policy, std::vector<Override> overrides = {}) {
  auto compiled = CompiledPolicy::Compile(std::move(policy), std::move(overrides));
  EXPECT_TRUE(compiled.ok()) << compiled.status();
  return compiled.ok() ? *compiled : nullptr;
}

RuleClass Classify(const CompiledPolicy& policy, const File& file, Asked* asked) {
  const auto path = Counting(asked->paths, file.path);
  return policy.Classify({.share_tag = file.tag, .read_only_share = file.read_only, .node = file.node, .path = path});
}

template <typename F>
auto WithFacts(const File& file, Asked* asked, F use) {
  const auto hint = Counting(asked->hints, file.hint);
  const auto capability = Counting(asked->capabilities, file.capability);
  const auto adaptive = Counting(asked->adaptive, file.adaptive);
  const auto now = Counting(asked->clocks, file.now);
  return use(Facts{.regular_file = file.regular,
                   .mode = file.mode,
                   .size = file.size,
                   .uid = file.uid,
                   .gid = file.gid,
                   .huge_pages = file.huge_pages,
                   .window_has_room = file.room,
                   .dax_hint = hint,
                   .security_capability = capability,
                   .adaptive = adaptive,
                   .now = now});
}

Answer Ask(const CompiledPolicy& policy, const File& file, Asked* asked) {
  const RuleClass rule_class = Classify(policy, file, asked);
  return WithFacts(file, asked, [&](const Facts& facts) {
    const Decision decision = policy.Decide(rule_class, facts);
    return Answer{decision.dax, std::string(policy.RuleName(decision))};
  });
}

Answer Ask(const CompiledPolicy& policy, const File& file) {
  Asked asked;
  return Ask(policy, file, &asked);
}

// Each step as "RULE: WHY", with a mark in front of those that matched.
std::vector<std::string> Explain(const CompiledPolicy& policy, const File& file) {
  Asked asked;
  const auto path = Counting(asked.paths, file.path);
  return WithFacts(file, &asked, [&](const Facts& facts) {
    std::vector<std::string> lines;
    for (const CompiledPolicy::Step& step : policy.Explain(
             {.share_tag = file.tag, .read_only_share = file.read_only, .node = file.node, .path = path}, facts)) {
      lines.push_back(absl::StrCat(step.matched ? "=> " : "", step.rule, ": ", step.why));
    }
    return lines;
  });
}

Rule MakeRule(std::string name, Outcome outcome) {
  Rule rule;
  rule.name = std::move(name);
  rule.outcome = outcome;
  return rule;
}

// DAX by "rule" where the condition holds; else "default" says no.
Policy OneCondition(const std::function<void(Rule*)>& condition) {
  Policy policy{.rules = {MakeRule("rule", Outcome::kDax)}};
  condition(&policy.rules[0]);
  return policy;
}

Policy Always() { return Policy{.default_outcome = Outcome::kDax}; }

// ---- Conditions

struct ConditionCase {
  const char* name;
  std::function<void(Rule*)> condition;
  std::vector<std::function<void(File*)>> holds;
  // What `explain` says of each.
  std::vector<std::pair<std::function<void(File*)>, const char*>> fails;
};

class ConditionTest : public ::testing::TestWithParam<ConditionCase> {};

TEST_P(ConditionTest, Decides) {
  const Compiled policy = Compile(OneCondition(GetParam().condition));
  for (const auto& change : GetParam().holds) {
    File file;
    change(&file);
    EXPECT_EQ(Ask(*policy, file), (Answer{true, "rule"}));
    EXPECT_THAT(Explain(*policy, file), ElementsAre("=> rule: outcome dax"));
  }
  for (const auto& [change, why] : GetParam().fails) {
    File file;
    change(&file);
    EXPECT_EQ(Ask(*policy, file), (Answer{false, "default"}));
    EXPECT_THAT(Explain(*policy, file), ElementsAre(absl::StrCat("rule: ", why), "=> default: outcome no-dax"));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ConditionTest,
    ::testing::Values(
        ConditionCase{"share",
                      [](Rule* r) { r->share_tag = "data"; },
                      {[](File* f) { f->tag = "data"; }},
                      {{[](File* f) { f->tag = "datas"; }, "the share is not \"data\""}}},
        ConditionCase{"read_only",
                      [](Rule* r) { r->read_only_share = true; },
                      {[](File* f) { f->read_only = true; }},
                      {{[](File* f) { f->read_only = false; }, "the share is not read-only"}}},
        ConditionCase{"writable",
                      [](Rule* r) { r->read_only_share = false; },
                      {[](File* f) { f->read_only = false; }},
                      {{[](File* f) { f->read_only = true; }, "the share is read-only"}}},
        ConditionCase{"paths",
                      [](Rule* r) { r->paths = {"bin/*", "lib/**/*.so{,.*}"}; },
                      {[](File* f) { f->path = "bin/sh"; }, [](File* f) { f->path = "lib/x/y.so.1"; }},
                      {{[](File* f) { f->path = "usr/bin/sh"; }, "the path matches none of its paths"},
                       {[](File* f) { f->path.reset(); }, "the path is not known"}}},
        ConditionCase{"subtrees",
                      [](Rule* r) { r->subtrees = {"lib", "usr/lib"}; },
                      {[](File* f) { f->path = "usr/lib/a"; }, [](File* f) { f->path = "lib/a/b/c"; }},
                      {{[](File* f) { f->path = "usr/libs/a"; }, "the path matches none of its subtrees"},
                       {[](File* f) { f->path = "lib"; }, "the path matches none of its subtrees"}}},
        ConditionCase{"extensions",
                      [](Rule* r) { r->extensions = {"so", "a"}; },
                      {[](File* f) { f->path = "x.so"; }, [](File* f) { f->path = "y/x.b.a"; }},
                      {{[](File* f) { f->path = "x.so.1"; }, "the path matches none of its extensions"}}},
        ConditionCase{"all_lists",
                      [](Rule* r) {
                        r->paths = {"**/lib*"};
                        r->subtrees = {"lib"};
                        r->extensions = {"so"};
                      },
                      {[](File* f) { f->path = "lib/libc.so"; }},
                      {{[](File* f) { f->path = "lib/c.so"; }, "the path matches none of its paths"},
                       {[](File* f) { f->path = "bin/libc.so"; }, "the path matches none of its subtrees"},
                       {[](File* f) { f->path = "lib/libc.a"; }, "the path matches none of its extensions"}}},
        ConditionCase{"sizes",
                      [](Rule* r) {
                        r->size_at_least = ByteCount(10);
                        r->size_below = ByteCount(20);
                      },
                      {[](File* f) { f->size = ByteCount(10); }, [](File* f) { f->size = ByteCount(19); }},
                      {{[](File* f) { f->size = ByteCount(9); }, "size 9 is below 10"},
                       {[](File* f) { f->size = ByteCount(20); }, "size 20 is not below 20"}}},
        ConditionCase{"uid",
                      [](Rule* r) { r->owner_uid = IdRange{5, 7}; },
                      {[](File* f) { f->uid = 5; }, [](File* f) { f->uid = 7; }},
                      {{[](File* f) { f->uid = 4; }, "owner uid 4 is not in 5 to 7"},
                       {[](File* f) { f->uid = 8; }, "owner uid 8 is not in 5 to 7"}}},
        ConditionCase{"gid",
                      [](Rule* r) { r->owner_gid = IdRange{5, 0xffffffff}; },
                      {[](File* f) { f->gid = 5; }, [](File* f) { f->gid = 0xffffffff; }},
                      {{[](File* f) { f->gid = 4; }, "owner gid 4 is not in 5 to 4294967295"}}},
        ConditionCase{"executable",
                      [](Rule* r) { r->executable = true; },
                      {[](File* f) { f->mode = 0645; }, [](File* f) { f->mode = 0744; }},
                      {{[](File* f) { f->mode = 0666; }, "the file is not executable"}}},
        ConditionCase{"not_executable",
                      [](Rule* r) { r->executable = false; },
                      {[](File* f) { f->mode = 0666; }},
                      {{[](File* f) { f->mode = 0654; }, "the file is executable"}}},
        ConditionCase{"hint",
                      [](Rule* r) { r->dax_hint = true; },
                      {[](File* f) { f->hint = true; }},
                      {{[](File* f) { f->hint = false; }, "the persistent DAX hint is not set"}}},
        ConditionCase{"no_hint",
                      [](Rule* r) { r->dax_hint = false; },
                      {[](File* f) { f->hint = false; }},
                      {{[](File* f) { f->hint = true; }, "the persistent DAX hint is set"}}},
        ConditionCase{"huge_pages",
                      [](Rule* r) { r->huge_pages = true; },
                      {[](File* f) { f->huge_pages = true; }},
                      {{[](File* f) { f->huge_pages = false; }, "the file is not kept in huge pages"}}},
        ConditionCase{"no_huge_pages",
                      [](Rule* r) { r->huge_pages = false; },
                      {[](File* f) { f->huge_pages = false; }},
                      {{[](File* f) { f->huge_pages = true; }, "the file is kept in huge pages"}}}),
    [](const auto& info) { return std::string(info.param.name); });

// ---- Outcomes

TEST(OutcomeTest, EachSaysWhatItIs) {
  const auto with = [](Outcome outcome) { return Compile({.rules = {MakeRule("rule", outcome)}}); };
  EXPECT_EQ(Ask(*with(Outcome::kDax), {}), (Answer{true, "rule"}));
  EXPECT_EQ(Ask(*with(Outcome::kNoDax), {}), (Answer{false, "rule"}));
  for (const bool yes : {false, true}) {
    Asked asked;
    EXPECT_EQ(Ask(*with(Outcome::kFollowHint), {.hint = yes}, &asked), (Answer{yes, "rule"}));
    EXPECT_EQ(asked, (Asked{.hints = 1, .capabilities = yes ? 1 : 0}));
    asked = {};
    EXPECT_EQ(Ask(*with(Outcome::kAdaptive), {.adaptive = yes}, &asked), (Answer{yes, "rule"}));
    EXPECT_EQ(asked, (Asked{.capabilities = yes ? 1 : 0, .adaptive = 1}));
  }
  EXPECT_THAT(Explain(*with(Outcome::kFollowHint), {.hint = true}), ElementsAre("=> rule: outcome follow-hint: yes"));
  EXPECT_THAT(Explain(*with(Outcome::kAdaptive), {}), ElementsAre("=> rule: outcome adaptive: no"));
}

TEST(OutcomeTest, OfTheRuleThatDecidedIsTold) {
  Policy policy{.rules = {MakeRule("rule", Outcome::kAdaptive)}, .default_outcome = Outcome::kFollowHint};
  policy.rules[0].share_tag = "data";
  const Compiled compiled = Compile(policy);
  const auto decide = [&](absl::string_view tag) {
    return compiled->Decide(compiled->Classify({.share_tag = tag}), {.regular_file = true});
  };
  EXPECT_EQ(decide("data"), (Decision{.dax = false, .rule = 0, .outcome = Outcome::kAdaptive}));
  EXPECT_EQ(decide("x"), (Decision{.dax = false, .rule = kDefaultRule, .outcome = Outcome::kFollowHint}));
}

TEST(CompiledPolicyTest, TellsWhatItAsksFor) {
  EXPECT_FALSE(Compile(Always())->asks_for_paths());
  EXPECT_FALSE(Compile(Always())->has_adaptive());
  EXPECT_TRUE(Compile({.default_outcome = Outcome::kAdaptive})->has_adaptive());
  EXPECT_TRUE(Compile({.rules = {MakeRule("r", Outcome::kAdaptive)}})->has_adaptive());
  for (const auto list : {&Rule::paths, &Rule::subtrees, &Rule::extensions}) {
    EXPECT_TRUE(Compile(OneCondition([list](Rule* r) { r->*list = {"a"}; }))->asks_for_paths());
  }
  EXPECT_TRUE(Compile(Always(), {{.share_tag = "share", .file = "a"}})->asks_for_paths());
  EXPECT_FALSE(Compile(Always(), {{.share_tag = "share", .file = NodeId(1)}})->asks_for_paths());
}

TEST(CompiledPolicyTest, AsksForPathsOnlyWhereARuleIsInQuestion) {
  Policy policy = OneCondition([](Rule* r) { r->paths = {"**"}; });
  policy.rules[0].share_tag = "data";
  const Compiled compiled = Compile(policy, {{.share_tag = "etc", .file = "a"}});
  for (const auto& [tag, paths] : {std::pair("data", 1), std::pair("etc", 1), std::pair("share", 0)}) {
    Asked asked;
    Classify(*compiled, {.tag = tag}, &asked);
    EXPECT_EQ(asked.paths, paths) << tag;
  }
}

TEST(CompiledPolicyTest, AsksForTheHintOnlyWhereItMatters) {
  Policy policy;
  policy.rules = {MakeRule("big", Outcome::kDax), MakeRule("hinted", Outcome::kNoDax),
                  MakeRule("also hinted", Outcome::kFollowHint)};
  policy.rules[0].size_at_least = ByteCount(100);
  policy.rules[1].dax_hint = false;
  policy.rules[2].dax_hint = true;
  const Compiled compiled = Compile(policy);
  Asked asked;
  EXPECT_EQ(Ask(*compiled, {.size = ByteCount(100)}, &asked), (Answer{true, "big"}));
  EXPECT_EQ(asked.hints, 0);
  EXPECT_EQ(Ask(*compiled, {.size = ByteCount(99)}, &asked), (Answer{false, "hinted"}));
  EXPECT_EQ(asked.hints, 1);
  asked = {};
  EXPECT_EQ(Ask(*compiled, {.size = ByteCount(99), .hint = true}, &asked), (Answer{true, "also hinted"}));
  EXPECT_EQ(asked.hints, 1) << "at most once for a decision";
}

// ---- Builtin rules

TEST(BuiltinRuleTest, NoPolicyAndNoOverrideStandsAboveThem) {
  const std::vector<Override> force = {{.share_tag = "share", .file = NodeId(7), .dax = true}};
  struct Builtin {
    const char* rule;
    std::function<void(File*)> change;
    const char* why;
  };
  const std::vector<Builtin> builtins = {
      {"builtin:regular-files-only", [](File* f) { f->regular = false; }, "it is not a regular file"},
      {"builtin:set-id", [](File* f) { f->mode = S_ISUID | 0644; }, "the file has a set-ID bit"},
      {"builtin:set-id", [](File* f) { f->mode = S_ISGID | 0654; }, "the file has a set-ID bit"},
      {"builtin:window-quota", [](File* f) { f->room = false; }, "the share's quota of the window is reached"},
      {"builtin:security-capability", [](File* f) { f->capability = true; }, "the file carries security.capability"},
  };
  for (const Compiled& policy : {Compile(Always()), Compile(Always(), force), Compile({}, force)}) {
    for (const Builtin& builtin : builtins) {
      File file;
      builtin.change(&file);
      EXPECT_EQ(Ask(*policy, file), (Answer{false, builtin.rule}));
      EXPECT_EQ(Explain(*policy, file).back(), absl::StrCat("=> ", builtin.rule, ": ", builtin.why));
    }
    EXPECT_TRUE(Ask(*policy, {}).dax);
    EXPECT_TRUE(Ask(*policy, {.mode = S_ISGID | 0644}).dax) << "without group execution it is no privilege";
  }
}

TEST(BuiltinRuleTest, AsksForCapabilitiesOnlyIfTheAnswerWouldBeDax) {
  Asked asked;
  EXPECT_EQ(Ask(*Compile({}), {.capability = true}, &asked), (Answer{false, "default"}));
  EXPECT_EQ(Ask(*Compile({}), {.room = false}, &asked), (Answer{false, "default"}));
  EXPECT_EQ(Ask(*Compile(Always()), {.room = false}, &asked), (Answer{false, "builtin:window-quota"}));
  EXPECT_EQ(asked.capabilities, 0);
  EXPECT_EQ(Ask(*Compile(Always()), {}, &asked), (Answer{true, "default"}));
  EXPECT_EQ(asked.capabilities, 1);
}

// ---- Overrides

TEST(OverrideTest, StandsAboveTheRules) {
  const Compiled on = Compile({}, {{.share_tag = "share", .file = NodeId(7), .dax = true}});
  EXPECT_EQ(Ask(*on, {}), (Answer{true, "override"}));
  EXPECT_THAT(Explain(*on, {}), ElementsAre("=> override: set to dax"));
  EXPECT_EQ(Ask(*on, {.node = NodeId(8)}), (Answer{false, "default"}));
  EXPECT_EQ(Ask(*on, {.tag = "other"}), (Answer{false, "default"}));
  Policy always = Always();
  always.rules = {MakeRule("rule", Outcome::kDax)};
  const Compiled off = Compile(always, {{.share_tag = "share", .file = "lib/libc.so.6", .dax = false}});
  EXPECT_EQ(Ask(*off, {}), (Answer{false, "override"}));
  EXPECT_EQ(Ask(*off, {.path = "lib/libc.so.5"}), (Answer{true, "rule"}));
  EXPECT_EQ(Ask(*off, {.path = std::nullopt}), (Answer{true, "rule"}));
}

TEST(OverrideTest, TheNodeCountsBeforeThePathAndTheLaterBeforeTheEarlier) {
  const Compiled policy = Compile({}, {{.share_tag = "share", .file = NodeId(7), .dax = true},
                                       {.share_tag = "share", .file = "a", .dax = false},
                                       {.share_tag = "share", .file = "b", .dax = false},
                                       {.share_tag = "share", .file = "b", .dax = true}});
  EXPECT_EQ(Ask(*policy, {.path = "a"}), (Answer{true, "override"}));
  EXPECT_EQ(Ask(*policy, {.node = NodeId(8), .path = "a"}), (Answer{false, "override"}));
  EXPECT_EQ(Ask(*policy, {.node = NodeId(8), .path = "b"}), (Answer{true, "override"}));
}

TEST(OverrideTest, RunsOutByTheClock) {
  const absl::Time end = absl::FromUnixSeconds(1000);
  const Compiled policy = Compile({}, {{.share_tag = "share", .file = NodeId(7), .dax = true, .expires_at = end},
                                       {.share_tag = "share", .file = NodeId(8), .dax = true}});
  EXPECT_EQ(Ask(*policy, {.now = end - absl::Nanoseconds(1)}), (Answer{true, "override"}));
  EXPECT_EQ(Ask(*policy, {.now = end}), (Answer{false, "default"}));
  EXPECT_THAT(Explain(*policy, {.now = end}), ElementsAre("override: it has run out", "=> default: outcome no-dax"));
  Asked asked;
  Ask(*policy, {.node = NodeId(8)}, &asked);
  EXPECT_EQ(asked.clocks, 0) << "the clock is asked only if something runs out";
  Ask(*policy, {.node = NodeId(7)}, &asked);
  EXPECT_EQ(asked.clocks, 1);
}

TEST(OverrideTest, SharesTheRulesWithThePolicyThatItCameFrom) {
  const Compiled before = Compile(Always());
  const auto after = before->WithOverrides({{.share_tag = "share", .file = NodeId(7)}});
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(&(*after)->policy(), &before->policy());
  EXPECT_EQ(Ask(**after, {}), (Answer{false, "override"}));
  EXPECT_EQ(Ask(*before, {}), (Answer{true, "default"}));
}

TEST(OverrideTest, RefusesWhatIsWrong) {
  const auto message = [](Override override) {
    return std::string(CompiledPolicy::Compile({}, {std::move(override)}).status().message());
  };
  EXPECT_EQ(message({.share_tag = "", .file = NodeId(1)}), "overrides[0].share: must be 1 to 36 bytes");
  EXPECT_THAT(message({.share_tag = std::string(37, 't'), .file = NodeId(1)}), HasSubstr("share: "));
  for (const char* path : {"", "/a", "a/../b", "a//b", "./a"}) {
    EXPECT_THAT(message({.share_tag = "s", .file = path}), HasSubstr("overrides[0].path: must not ")) << path;
  }
  EXPECT_THAT(message({.share_tag = "s", .file = std::string(4097, 'a')}), HasSubstr("path: "));
  EXPECT_THAT(message({.share_tag = "s", .file = "a", .note = std::string(257, 'n')}), HasSubstr("note: "));
  EXPECT_EQ(message({.share_tag = "s", .file = "a", .note = std::string(256, 'n')}), "");

  std::vector<Override> many(kMaxOverrides + 1, {.share_tag = "s", .file = NodeId(1)});
  EXPECT_EQ(CompiledPolicy::Compile({}, many).status().code(), absl::StatusCode::kResourceExhausted);
  many.pop_back();
  EXPECT_TRUE(CompiledPolicy::Compile({}, many).ok());
  many.assign(1025, {.share_tag = "s", .file = std::string(4096, 'a')});
  EXPECT_EQ(CompiledPolicy::Compile({}, many).status().code(), absl::StatusCode::kResourceExhausted);
}

// ---- Classes

TEST(RuleClassTest, FilesThatAreAlikeShareOne) {
  Policy policy = OneCondition([](Rule* r) { r->extensions = {"so"}; });
  const Compiled compiled =
      Compile(policy, {{.share_tag = "share", .file = NodeId(1)}, {.share_tag = "share", .file = NodeId(2)}});
  Asked asked;
  const auto of = [&](const File& file) { return Classify(*compiled, file, &asked); };
  EXPECT_EQ(of({.path = "a.so"}), of({.tag = "x", .read_only = true, .path = "b/c.so"}));
  EXPECT_NE(of({.path = "a.so"}), of({.path = "a"}));
  EXPECT_EQ(of({.node = NodeId(1)}), of({.node = NodeId(2)}));
  EXPECT_NE(of({.node = NodeId(1)}), of({.node = NodeId(3)}));
  EXPECT_EQ(RuleClass(of({}).raw()), of({}));
}

TEST(RuleClassTest, NoneAndForeignOnesAreAnsweredAsIfNoRuleHeld) {
  const Compiled policy = Compile({.rules = {MakeRule("rule", Outcome::kDax)}});
  for (const RuleClass rule_class : {RuleClass::kNone, RuleClass::kUncached, RuleClass(500)}) {
    const Decision decision = policy->Decide(rule_class, {.regular_file = true});
    EXPECT_EQ(decision, Decision()) << rule_class.raw();
    EXPECT_EQ(policy->RuleName(decision), "default");
  }
}

// A rule for each bit of a file's name: as many classes as names.
Policy ManyClasses() {
  Policy policy;
  for (int bit = 0; bit < 15; ++bit) {
    policy.rules.push_back(MakeRule(absl::StrCat("bit", bit), bit % 2 == 0 ? Outcome::kDax : Outcome::kNoDax));
    policy.rules.back().paths = {absl::StrCat(std::string(static_cast<size_t>(bit), '?'), "1*")};
  }
  return policy;
}

std::string NameOf(size_t number) {
  std::string name;
  for (int bit = 0; bit < 15; ++bit) name.push_back((number >> bit & 1) != 0 ? '1' : '0');
  return name;
}

TEST(RuleClassTest, AFullTableCostsTimeAndNothingElse) {
  const Compiled policy = Compile(ManyClasses());
  const Compiled other = Compile(ManyClasses());
  std::set<uint16_t> seen;
  size_t uncached = 0;
  for (size_t i = 0; i < CompiledPolicy::kMaxClasses + 100; ++i) {
    const File file{.path = NameOf(i)};
    Asked asked;
    const RuleClass rule_class = Classify(*policy, file, &asked);
    if (rule_class == RuleClass::kUncached) {
      ++uncached;
    } else {
      EXPECT_TRUE(seen.insert(rule_class.raw()).second);
    }
    const int first = i == 0 ? -1 : __builtin_ctzll(i);
    const Decision decision = policy->Decide(rule_class, {.regular_file = true});
    EXPECT_EQ(decision.dax, first >= 0 && first % 2 == 0) << i;
    EXPECT_EQ(policy->RuleName(decision), first < 0 ? "default" : absl::StrCat("bit", first)) << i;
    if (rule_class == RuleClass::kUncached) {
      EXPECT_EQ(other->Decide(rule_class, {.regular_file = true}), Decision()) << "it is of another policy";
    }
  }
  EXPECT_EQ(uncached, 100u);
  Asked asked;
  EXPECT_NE(Classify(*policy, {.path = NameOf(5)}, &asked), RuleClass::kUncached) << "what is known stays known";
}

TEST(RuleClassTest, ManyThreadsClassifyAndDecide) {
  const Compiled policy = Compile(ManyClasses());
  std::vector<std::thread> threads;
  std::atomic<int> faults{0};
  std::atomic<uint16_t> handed_over{0};
  for (size_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (size_t i = 1; i < 3000; ++i) {
        const size_t number = (i * (thread + 1)) % 4096 | 1;  // "bit0" decides
        const std::string name = NameOf(number);
        const auto path = [&] { return std::optional<std::string>(name); };
        const RuleClass mine = policy->Classify({.share_tag = "share", .path = path});
        if (policy->Decide(mine, {.regular_file = true}).rule != 0) ++faults;
        // A number may come from another thread with nothing that orders it.
        handed_over.store(mine.raw(), std::memory_order_relaxed);
        const RuleClass other(handed_over.load(std::memory_order_relaxed));
        if (policy->Decide(other, {.regular_file = true}).rule != 0) ++faults;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(faults.load(), 0);
}

TEST(CompiledPolicyTest, RefusesWhatValidateRefuses) {
  Policy policy = OneCondition([](Rule* r) { r->paths = {"a", "b["}; });
  const absl::Status status = CompiledPolicy::Compile(policy).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("rules[0].paths[1]: '[' without ']'"));
}

}  // namespace
}  // namespace daxvmm::dax
