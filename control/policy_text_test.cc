#include "control/policy_text.h"

#include <google/protobuf/util/message_differencer.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "control/policy_codec.h"
#include "control/policy_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr PolicyFormat kBoth[] = {PolicyFormat::kTextproto, PolicyFormat::kJson};

class RandomPolicy {
 public:
  explicit RandomPolicy(uint32_t seed) : random_(seed) {}

  dax::Policy Make() {
    dax::Policy policy;
    for (size_t i = Below(5); i > 0; --i) policy.rules.push_back(MakeRule(i));
    policy.default_outcome = MakeOutcome();
    policy.enforcement = Coin() ? dax::Enforcement::kDeny : dax::Enforcement::kAdvisory;
    return policy;
  }

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }
  bool Coin() { return Below(2) == 0; }
  dax::Outcome MakeOutcome() { return static_cast<dax::Outcome>(Below(4)); }
  std::optional<bool> MaybeBool() { return Coin() ? std::optional<bool>(Coin()) : std::nullopt; }

  // A name of a file: any bytes but those with a meaning in paths and globs, sometimes an escaped one.
  std::string Bytes(size_t most, bool glob) {
    std::string bytes;
    for (size_t n = 1 + Below(most); n > 0; --n) {
      const char c = static_cast<char>(1 + Below(255));
      if (std::string("/.[]{}*?\\,").find(c) != std::string::npos) {
        bytes += glob && c != '/' ? std::string("\\") + c : "x41";
      } else {
        bytes += c;
      }
    }
    return bytes;
  }

  std::optional<dax::IdRange> MaybeRange() {
    if (Coin()) return std::nullopt;
    const auto first = static_cast<uint32_t>(Below(uint64_t{1} << 32));
    return dax::IdRange{first, first + static_cast<uint32_t>(Below(~first + uint64_t{1}))};
  }

  dax::Rule MakeRule(size_t number) {
    dax::Rule rule;
    rule.name = "rule \\x41 \"'" + std::to_string(number);
    if (Coin()) rule.share_tag = Bytes(36, false).substr(0, 36);
    rule.read_only_share = MaybeBool();
    for (size_t n = Below(3); n > 0; --n) rule.paths.push_back("lib/**/" + Bytes(8, true));
    for (size_t n = Below(3); n > 0; --n) rule.subtrees.push_back(Bytes(8, false) + "/" + Bytes(8, false));
    for (size_t n = Below(3); n > 0; --n) rule.extensions.push_back(Bytes(8, false));
    if (Coin()) rule.size_at_least = ByteCount(random_() >> 1);
    if (Coin()) rule.size_below = ByteCount(rule.size_at_least.value_or(ByteCount(0)).raw() + 1 + (random_() >> 2));
    rule.owner_uid = MaybeRange();
    rule.owner_gid = MaybeRange();
    rule.executable = MaybeBool();
    rule.dax_hint = MaybeBool();
    rule.huge_pages = MaybeBool();
    rule.outcome = MakeOutcome();
    return rule;
  }

  std::mt19937_64 random_;
};

// Notes which fields of the message and of those within it are set.
void NoteFields(const google::protobuf::Message& message, std::set<std::string>* names) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  const auto* const reflection = message.GetReflection();
  reflection->ListFields(message, &fields);
  for (const auto* field : fields) {
    names->insert(field->full_name());
    if (field->message_type() == nullptr) continue;
    if (!field->is_repeated()) {
      NoteFields(reflection->GetMessage(message, field), names);
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      NoteFields(reflection->GetRepeatedMessage(message, field, i), names);
    }
  }
}

TEST(PolicyTextTest, ARoundTripThroughEitherFormLosesNothing) {
  std::set<std::string> fields;
  for (uint32_t seed = 0; seed < 2000; ++seed) {
    const dax::Policy policy = RandomPolicy(seed).Make();
    ASSERT_TRUE(dax::Validate(policy).ok()) << dax::Validate(policy) << ", seed " << seed;
    v1::Policy message;
    EncodePolicy(policy, &message);
    v1::Policy wired;
    ASSERT_TRUE(wired.ParseFromString(message.SerializeAsString()));
    const auto decoded = DecodePolicy(wired, "policy");
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    ASSERT_EQ(*decoded, policy) << message.DebugString();
    for (const PolicyFormat format : kBoth) {
      const std::string text = FormatPolicyText(message, format);
      EXPECT_EQ(RecognizePolicyFormat(text), format) << text;
      const auto parsed = ParsePolicyText(text, "f");
      ASSERT_TRUE(parsed.ok()) << parsed.status() << text;
      ASSERT_EQ(*parsed, policy) << text;
    }
    NoteFields(message, &fields);
  }
  // A field that the contract has and the codec has not: none of the messages above would have had it.
  for (const auto* type : {v1::Policy::descriptor(), v1::Rule::descriptor(), v1::IdRange::descriptor()}) {
    for (int i = 0; i < type->field_count(); ++i) {
      EXPECT_TRUE(fields.contains(type->field(i)->full_name())) << type->field(i)->full_name() << " is never encoded";
    }
  }
}

TEST(PolicyTextTest, EveryEnumValueIsDecodedAndEncoded) {
  for (int i = 0; i < v1::Outcome_descriptor()->value_count(); ++i) {
    const auto outcome = static_cast<v1::Outcome>(v1::Outcome_descriptor()->value(i)->number());
    const auto decoded = DecodeOutcome(outcome, "f");
    EXPECT_EQ(decoded.ok(), outcome != v1::OUTCOME_UNSPECIFIED) << v1::Outcome_Name(outcome);
    if (!decoded.ok()) continue;
    EXPECT_EQ(EncodeOutcome(*decoded), outcome);
  }
  for (int i = 0; i < v1::Enforcement_descriptor()->value_count(); ++i) {
    v1::Policy message;
    message.set_default_outcome(v1::OUTCOME_DAX);
    message.set_enforcement(static_cast<v1::Enforcement>(v1::Enforcement_descriptor()->value(i)->number()));
    const auto decoded = DecodePolicy(message, "");
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    v1::Policy again;
    EncodePolicy(*decoded, &again);
    const bool absent = message.enforcement() == v1::ENFORCEMENT_UNSPECIFIED;
    EXPECT_EQ(again.enforcement(), absent ? v1::ENFORCEMENT_ADVISORY : message.enforcement());
  }
}

TEST(PolicyTextTest, PeoplesWaysOfWritingAreUnderstood) {
  const dax::Policy expected = {.rules = {{.name = "r",
                                           .share_tag = "data",
                                           .paths = {"caf\xe9/*"},
                                           .size_at_least = KiB(64),
                                           .outcome = dax::Outcome::kDax}},
                                .default_outcome = dax::Outcome::kNoDax,
                                .enforcement = dax::Enforcement::kDeny};
  for (const char* text : {
           "# a comment\nrules { name: 'r' share: \"data\", paths: \"caf\\\\xe9/*\" size_at_least: 0x10000\n"
           "  outcome: OUTCOME_DAX };\ndefault_outcome: 2 enforcement: ENFORCEMENT_DENY",
           R"({"rules": [{"name": "r", "share": "data", "paths": ["caf\\xe9/*"], "sizeAtLeast": 65536,
               "size_below": null, "outcome": 1}], "defaultOutcome": "OUTCOME_NO_DAX", "enforcement": 2})",
           R"(  {"rules": [{"name": "r", "share": "data", "paths": ["caf\u005cxe9/*"], "size_at_least": "65536",
               "outcome": "OUTCOME_DAX"}], "default_outcome": 2, "enforcement": "ENFORCEMENT_DENY"})",
       }) {
    const auto policy = ParsePolicyText(text, "f");
    ASSERT_TRUE(policy.ok()) << policy.status() << text;
    EXPECT_EQ(*policy, expected) << text;
  }
}

std::string Error(const std::string& text, std::optional<PolicyFormat> format = std::nullopt) {
  const auto policy = ParsePolicyText(text, "p.file", format);
  EXPECT_EQ(policy.status().code(), absl::StatusCode::kInvalidArgument) << text;
  const std::string message(policy.status().message());
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return message;
}

TEST(PolicyTextTest, TextprotoErrorsNameLineAndField) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"default_outcome: OUTCOME_DAX\nrulez {}", "p.file:2: Message type \"daxvmm.v1.Policy\" has no field named"},
      {"rules {\n  name: 3\n}", "p.file:2: "},
      {"rules {\n  name: \"a\"\n", "p.file:3: "},
      {"\n\ndefault_outcome: OUTCOME_MAYBE", "p.file:3: "},
      {"rules {\n  name: \"a\"\n  outcome: OUTCOME_DAX\n}\nrules {\n  name: \"b\"\n  size_at_least: 9\n"
       "  size_below: 4\n  outcome: OUTCOME_DAX\n}\ndefault_outcome: OUTCOME_DAX",
       "p.file:8: rules[1].size_below: must be greater than size_at_least (9)"},
      {"rules {\n  outcome: OUTCOME_DAX\n  name:\n  \"\"\n}\ndefault_outcome: OUTCOME_DAX",
       "p.file:3: rules[0].name: "},
      {"rules {\n  name: \"a\"\n}\ndefault_outcome: OUTCOME_DAX", "p.file:1: rules[0].outcome: missing"},
      {"rules {\n  name: \"a\"\n  outcome: 77\n}\ndefault_outcome: OUTCOME_DAX", "p.file:3: rules[0].outcome: "},
      {"rules {\n  name: \"a\" outcome: OUTCOME_DAX\n  paths: \"fine\"\n  paths: \"[\"\n}\ndefault_outcome: "
       "OUTCOME_DAX",
       "p.file:4: rules[0].paths[1]: "},
      {"rules {\n  name: \"a\" outcome: OUTCOME_DAX\n  owner_uid {\n first: 2\n last: 1\n }\n}\n"
       "default_outcome: OUTCOME_DAX",
       "p.file:3: rules[0].owner_uid: first (2) must not be greater than last (1)"},
      {"default_outcome: OUTCOME_DAX\nenforcement: 9", "p.file:2: enforcement: "},
      {"# nothing\n", "p.file: default_outcome: missing"},
      {"", "p.file: default_outcome: missing"},
      {std::string(5000, '<'), "p.file:1: "},
  };
  for (const auto& [text, start] : cases) EXPECT_THAT(Error(text), StartsWith(start)) << text;
}

TEST(PolicyTextTest, JsonErrorsNameLineAndField) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{", "p.file:1: the end of the text where a name"},
      {"{\n\"rules\": 3}", "p.file:2: rules: an array is needed, not a number"},
      {"{\"rules\": [\n{\"name\": true}]}", "p.file:2: rules[0].name: a string is needed, not true or false"},
      {"{\"rules\": [{},\n{\n\"nam\": \"x\"}]}", "p.file:3: rules[1].nam: unknown field of daxvmm.v1.Rule"},
      {"{\"rules\": [{\"name\": \"a\",\n\"name\": \"b\"}]}", "p.file:2: rules[0].name: is there twice"},
      {"{\"rules\": [{\"size_below\": 1,\n\"sizeBelow\": 2}]}", "p.file:2: rules[0].size_below: is there twice"},
      {"{\n\"default_outcome\": \"OUTCOME_MAYBE\"}",
       "p.file:2: default_outcome: \"OUTCOME_MAYBE\" is none of "
       "OUTCOME_DAX, OUTCOME_NO_DAX, "},
      {"{\"rules\": [{\n\"size_below\": -1}]}", "p.file:2: rules[0].size_below: \"-1\" is not a whole number"},
      {"{\"rules\": [{\n\"size_below\": 1.5}]}", "p.file:2: rules[0].size_below: "},
      {"{\"rules\": [{\n\"owner_uid\": {\n\"last\": 4294967296}}]}", "p.file:3: rules[0].owner_uid.last: "},
      {"{\"rules\": [\nnull]}", "p.file:2: rules[0]: an object is needed, not null"},
      {"{\"rules\": [{\"name\": \"a\", \"outcome\": 1},\n{\"name\": \"b\", \"size_at_least\": 9,\n\"size_below\": 4, "
       "\"outcome\": 1}],\n\"default_outcome\": 1}",
       "p.file:3: rules[1].size_below: must be greater than size_at_least (9)"},
      {"{\"rules\": [{\"name\": \"a\", \"outcome\": 1,\n\"paths\": [\"fine\",\n\"[\"]}],\"default_outcome\": 1}",
       "p.file:3: rules[0].paths[1]: "},
      {"{\"rules\": [\n{\"name\": \"a\"}], \"default_outcome\": 1}", "p.file:2: rules[0].outcome: missing"},
      {"\n{}", "p.file:2: default_outcome: missing"},
      {"[]", "p.file:1: an object is needed, not an array"},
  };
  for (const auto& [text, start] : cases) EXPECT_THAT(Error(text), StartsWith(start)) << text;
  EXPECT_THAT(Error("{\"policy\": {}, \"generation\": 1}"), HasSubstr("--policy-only"));
}

TEST(PolicyTextTest, TheFormatCanBeForced) {
  EXPECT_THAT(Error("{}", PolicyFormat::kTextproto), StartsWith("p.file:1: "));
  EXPECT_THAT(Error("default_outcome: OUTCOME_DAX", PolicyFormat::kJson), StartsWith("p.file:1: "));
}

TEST(PolicyTextTest, HostileTextIsRefusedInShort) {
  EXPECT_EQ(Error(std::string(kMaxPolicyFileBytes + 1, ' ')), "p.file: larger than 1 MiB");
  std::string deep = "default_outcome: OUTCOME_DAX ";
  for (int i = 0; i < 100000; ++i) deep += "rules {";
  EXPECT_THAT(Error(deep), StartsWith("p.file:1: "));
  for (const std::string& text : {"{\"" + std::string(100000, 'x') + "\": 1}", "rules { " + std::string(100000, 'y'),
                                  "rules { name: \"" + std::string(100000, 'z') +
                                      "\" outcome: OUTCOME_DAX }"
                                      "default_outcome: OUTCOME_DAX"}) {
    EXPECT_LT(Error(text).size(), 500u);
  }
  std::string many = "default_outcome: OUTCOME_DAX\n";
  for (size_t i = 0; i <= dax::kMaxRules; ++i) many += "rules { outcome: OUTCOME_DAX }\n";
  EXPECT_THAT(Error(many), HasSubstr("rules: 1001 rules, but at most 1000"));
  EXPECT_THAT(Error("rules { name: \"\xff\" outcome: OUTCOME_DAX } default_outcome: OUTCOME_DAX"),
              StartsWith("p.file"));
}

TEST(PolicyTextTest, TheLargestPolicyFitsAFile) {
  dax::Policy policy;
  for (size_t i = 0; i < dax::kMaxRules; ++i) {
    std::string name = std::to_string(i);
    name.resize(64, '.');
    dax::Rule rule = {.name = name,
                      .share_tag = std::string(36, '\xff'),
                      .read_only_share = false,
                      .size_at_least = ByteCount(0),
                      .size_below = ByteCount(~uint64_t{0}),
                      .owner_uid = dax::IdRange{4294967294, 4294967295},
                      .owner_gid = dax::IdRange{4294967294, 4294967295},
                      .executable = false,
                      .dax_hint = false,
                      .huge_pages = false,
                      .outcome = dax::Outcome::kFollowHint};
    rule.paths = {std::string(dax::kMaxPathTextBytes / dax::kMaxRules, '\xff')};
    policy.rules.push_back(std::move(rule));
  }
  ASSERT_TRUE(dax::Validate(policy).ok()) << dax::Validate(policy);
  v1::Policy message;
  EncodePolicy(policy, &message);
  for (const PolicyFormat format : kBoth) {
    const std::string text = FormatPolicyText(message, format);
    const auto parsed = ParsePolicyText(text, "f");
    ASSERT_TRUE(parsed.ok()) << parsed.status() << ", " << text.size() << " bytes";
    EXPECT_EQ(*parsed, policy);
  }
}

}  // namespace
}  // namespace daxvmm::control
