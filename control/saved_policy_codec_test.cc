#include "control/saved_policy_codec.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::HasSubstr;

const absl::Time kWhen = absl::FromUnixSeconds(1'700'000'000) + absl::Nanoseconds(123'456'789);

SavedPolicy Full() {
  SavedPolicy state;
  state.generation = 9;
  dax::Rule rule;
  rule.name = "big";
  rule.share_tag = "caf\xe9";
  rule.paths = {"lib/**/*.so", "odd\\x41\xff*"};
  rule.size_at_least = ByteCount(1 << 20);
  rule.owner_uid = dax::IdRange{1, 2};
  rule.outcome = dax::Outcome::kFollowHint;
  state.policy = {.rules = {rule}, .default_outcome = dax::Outcome::kAdaptive, .enforcement = dax::Enforcement::kDeny};
  state.overrides = {
      {.share_tag = "data", .file = "a\xff\"\n b", .dax = true, .expires_at = kWhen, .note = "why \xe9 \\"},
      {.share_tag = "data", .file = NodeId(7), .dax = false}};
  state.file_policy = dax::Policy{.default_outcome = dax::Outcome::kDax};
  for (int kind = 0; kind <= static_cast<int>(dax::SourceKind::kState); ++kind) {
    state.history.push_back({static_cast<uint64_t>(kind + 1),
                             {static_cast<dax::SourceKind>(kind), "who\xff\x01"},
                             kWhen + absl::Seconds(kind),
                             "1 rule",
                             "override of data:\xff: none -> dax"});
  }
  state.history.back().generation = 9;
  return state;
}

std::string WhyBad(absl::string_view text) {
  const auto state = DecodeSavedPolicy(text);
  EXPECT_EQ(state.status().code(), absl::StatusCode::kInvalidArgument) << text;
  const std::string why(state.status().message());
  EXPECT_EQ(why.find('\n'), std::string::npos) << why;
  return why;
}

TEST(SavedPolicyCodecTest, LosesNothing) {
  const auto text = EncodeSavedPolicy(Full());
  ASSERT_TRUE(text.ok()) << text.status();
  const auto back = DecodeSavedPolicy(*text);
  ASSERT_TRUE(back.ok()) << back.status() << *text;
  EXPECT_EQ(*back, Full());
  EXPECT_EQ(*EncodeSavedPolicy(*back), *text);
  SavedPolicy plain = Full();
  plain.file_policy.reset();
  plain.overrides.clear();
  EXPECT_EQ(*DecodeSavedPolicy(*EncodeSavedPolicy(plain)), plain);
}

TEST(SavedPolicyCodecTest, IsForHumansToo) {
  const std::string text = *EncodeSavedPolicy(Full());
  EXPECT_THAT(text, HasSubstr("generation: 9\npolicy {\n  rules {\n    name: \"big\"\n"));
  EXPECT_THAT(text, HasSubstr("default_outcome: OUTCOME_ADAPTIVE"));
}

TEST(SavedPolicyCodecTest, SaysWhatIsWrong) {
  const std::string tail = "history { generation: 1 kind: KIND_START effective_time {} }\n";
  const std::string good = "generation: 1\npolicy { default_outcome: OUTCOME_DAX }\n" + tail;
  ASSERT_TRUE(DecodeSavedPolicy(good).ok()) << DecodeSavedPolicy(good).status();
  EXPECT_THAT(WhyBad(""), HasSubstr("generation: "));
  EXPECT_THAT(WhyBad(good + "from_the_future: 3\n"), HasSubstr("line 4: "));
  EXPECT_THAT(WhyBad("generation: 1\n" + tail), HasSubstr("policy.default_outcome: missing"));
  EXPECT_THAT(WhyBad("generation: 1\npolicy { rules {} default_outcome: OUTCOME_DAX }\n" + tail),
              HasSubstr("policy.rules[0]"));
  EXPECT_THAT(WhyBad(good + "file_policy {}"), HasSubstr("file_policy.default_outcome"));
  EXPECT_THAT(WhyBad(good + "overrides { share: \"a\" dax: true }"), HasSubstr("overrides[0]: path or node_id"));
  EXPECT_THAT(WhyBad(good + "overrides { share: \"a\" path: \"/x\" }"), HasSubstr("overrides[0].path: "));
  EXPECT_THAT(WhyBad(good + "overrides { share: \"a\" path: \"x\" expire_time { nanos: -1 } }"),
              HasSubstr("overrides[0].expire_time"));
  EXPECT_THAT(WhyBad("generation: 2\npolicy { default_outcome: OUTCOME_DAX }\n" + tail), HasSubstr("history: "));
  EXPECT_THAT(WhyBad(good + tail), HasSubstr("history[1].generation: does not count up"));
  EXPECT_THAT(WhyBad("generation: 18446744073709551615 policy { default_outcome: OUTCOME_DAX }" + tail),
              HasSubstr("generation: "));
  EXPECT_THAT(WhyBad(good + "history { generation: 2 kind: 77 }"), HasSubstr("history[1].kind"));
  std::string many = good;
  for (size_t i = 0; i <= dax::kMaxOverrides; ++i) many += "overrides {}\n";
  EXPECT_THAT(WhyBad(many), HasSubstr("overrides: too many"));
}

TEST(SavedPolicyCodecTest, TheLinkedCodecIsTheSame) {
  const auto codec = LinkedStateCodec();
  EXPECT_EQ(*codec->Decode(*codec->Encode(Full())), Full());
}

}  // namespace
}  // namespace daxvmm::control
