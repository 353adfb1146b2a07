#include "control/codec.h"

#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::StartsWith;

dax::Policy FullPolicy() {
  return {.rules = {{.name = "plain", .outcome = dax::Outcome::kFollowHint},
                    {.name = "all conditions",
                     .share_tag = "data",
                     .size_at_least = KiB(64),
                     .size_below = MiB(2),
                     .outcome = dax::Outcome::kDax},
                    {.name = "from zero", .size_at_least = ByteCount(0), .outcome = dax::Outcome::kNoDax}},
          .default_outcome = dax::Outcome::kDax};
}

v1::SetPolicyRequest FullRequest() {
  v1::SetPolicyRequest request;
  EncodePolicy(FullPolicy(), request.mutable_policy());
  return request;
}

TEST(PolicyCodec, RoundTripKeepsEveryField) {
  const v1::SetPolicyRequest request = FullRequest();
  std::string wire;
  ASSERT_TRUE(request.SerializeToString(&wire));
  v1::SetPolicyRequest parsed;
  ASSERT_TRUE(parsed.ParseFromString(wire));
  const auto command = DecodeSetPolicy(parsed);
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->policy, FullPolicy());
  EXPECT_FALSE(command->expected_generation.has_value());
}

TEST(PolicyCodec, ExpectedGenerationZeroIsNotAbsence) {
  v1::SetPolicyRequest request = FullRequest();
  request.set_expected_generation(0);
  EXPECT_EQ(DecodeSetPolicy(request)->expected_generation, 0u);
}

TEST(PolicyCodec, NamedPolicies) {
  for (const char* name : {"never", "always", "size", "size:64K", "inode"}) {
    v1::SetPolicyRequest request;
    request.set_named_policy(name);
    const auto command = DecodeSetPolicy(request);
    ASSERT_TRUE(command.ok()) << command.status();
    EXPECT_EQ(command->policy, *dax::ParsePolicyName(name));
  }
}

struct BadField {
  const char* field;
  std::function<void(v1::SetPolicyRequest*)> spoil;
};

class BadFieldTest : public ::testing::TestWithParam<BadField> {};

TEST_P(BadFieldTest, IsNamed) {
  v1::SetPolicyRequest request = FullRequest();
  GetParam().spoil(&request);
  const auto command = DecodeSetPolicy(request);
  ASSERT_EQ(command.status().code(), absl::StatusCode::kInvalidArgument) << command.status();
  EXPECT_THAT(std::string(command.status().message()), StartsWith(std::string(GetParam().field) + ": "));
}

v1::Rule* RuleAt(v1::SetPolicyRequest* request, int i) { return request->mutable_policy()->mutable_rules(i); }

INSTANTIATE_TEST_SUITE_P(
    All, BadFieldTest,
    ::testing::Values(
        BadField{"source", [](auto* r) { r->clear_policy(); }},
        BadField{"policy.rules[2].outcome", [](auto* r) { RuleAt(r, 2)->set_outcome(v1::OUTCOME_UNSPECIFIED); }},
        BadField{"policy.rules[0].outcome", [](auto* r) { RuleAt(r, 0)->set_outcome(static_cast<v1::Outcome>(77)); }},
        BadField{"policy.rules[0].outcome", [](auto* r) { RuleAt(r, 0)->set_outcome(static_cast<v1::Outcome>(-1)); }},
        BadField{"policy.default_outcome", [](auto* r) { r->mutable_policy()->clear_default_outcome(); }},
        BadField{"policy.default_outcome",
                 [](auto* r) { r->mutable_policy()->set_default_outcome(static_cast<v1::Outcome>(4)); }},
        BadField{"policy.rules[1].name", [](auto* r) { RuleAt(r, 1)->clear_name(); }},
        BadField{"policy.rules[1].name", [](auto* r) { RuleAt(r, 1)->set_name(std::string(65, 'n')); }},
        BadField{"policy.rules[1].name", [](auto* r) { RuleAt(r, 1)->set_name("a\nb"); }},
        BadField{"policy.rules[1].name", [](auto* r) { RuleAt(r, 1)->set_name("caf\xc3\xa9"); }},
        BadField{"policy.rules[1].name", [](auto* r) { RuleAt(r, 1)->set_name("default"); }},
        BadField{"policy.rules[2].name", [](auto* r) { RuleAt(r, 2)->set_name("plain"); }},
        BadField{"policy.rules[0].share", [](auto* r) { RuleAt(r, 0)->set_share(""); }},
        BadField{"policy.rules[0].share", [](auto* r) { RuleAt(r, 0)->set_share(std::string(37, 't')); }},
        BadField{"policy.rules[1].size_below", [](auto* r) { RuleAt(r, 1)->set_size_below(65536); }},
        BadField{"policy.rules[0].size_below", [](auto* r) { RuleAt(r, 0)->set_size_below(0); }},
        BadField{"policy.rules",
                 [](auto* r) {
                   for (size_t i = 0; i <= dax::kMaxRules; ++i) r->mutable_policy()->add_rules();
                 }},
        BadField{"named_policy", [](auto* r) { r->set_named_policy("sometimes"); }},
        BadField{"named_policy", [](auto* r) { r->set_named_policy(""); }},
        BadField{"named_policy", [](auto* r) { r->set_named_policy("size:"); }},
        BadField{"named_policy", [](auto* r) { r->set_named_policy(std::string(100000, 'x')); }}));

TEST(PolicyCodec, AnErrorDoesNotRepeatALongName) {
  v1::SetPolicyRequest request;
  request.set_named_policy(std::string(100000, 'x'));
  EXPECT_LT(DecodeSetPolicy(request).status().message().size(), 200u);
}

TEST(ShareCodec, OnlyATagThatCanBe) {
  EXPECT_EQ(*DecodeShare(""), "");
  EXPECT_EQ(*DecodeShare(std::string(36, 't')), std::string(36, 't'));
  const auto refused = DecodeShare(std::string(37, 't'));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), StartsWith("share: "));
}

TEST(FileCodec, CarriesEveryField) {
  const LiveFile file = {.share_tag = "data",
                         .node_id = 5,
                         .path = "a/b",
                         .size = ByteCount(6),
                         .decision_dax = true,
                         .decision_rule = "r",
                         .told_dax = true,
                         .told_generation = 7,
                         .open = true,
                         .mapped_chunks = 8,
                         .setup_mappings = 9,
                         .reads = 10,
                         .writes = 11};
  v1::ListFilesResponse response;
  ASSERT_TRUE(EncodeFiles({file}, 12, &response).ok());
  EXPECT_EQ(response.ShortDebugString(),
            "files { share: \"data\" node_id: 5 path: \"a/b\" size_bytes: 6 decision_dax: true decision_rule: \"r\" "
            "told_dax: true told_generation: 7 open: true mapped_chunks: 8 setup_mappings: 9 reads: 10 writes: 11 } "
            "generation: 12");
}

TEST(FileCodec, ANameThatIsNotUtf8StillSerializes) {
  LiveFile file;
  file.path = "caf\xe9/\xff";
  v1::ListFilesResponse response;
  ASSERT_TRUE(EncodeFiles({file}, 1, &response).ok());
  std::string wire;
  ASSERT_TRUE(response.SerializeToString(&wire));
  v1::ListFilesResponse parsed;
  ASSERT_TRUE(parsed.ParseFromString(wire));
  EXPECT_EQ(parsed.files(0).path(), "caf\\xe9/\\xff");
}

TEST(FileCodec, AListThatIsTooLargeIsRefusedWhole) {
  LiveFile file;
  file.path = std::string(4000, 'p');
  v1::ListFilesResponse response;
  EXPECT_TRUE(EncodeFiles(std::vector<LiveFile>(255, file), 1, &response, 1 << 20).ok());
  EXPECT_LE(response.ByteSizeLong(), size_t{1} << 20);
  EXPECT_EQ(EncodeFiles(std::vector<LiveFile>(265, file), 1, &response, 1 << 20).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(response.files_size(), 0);
}

TEST(WindowCodec, CarriesEveryField) {
  const WindowUse window = {.share_tag = "data",
                            .capacity = MiB(2),
                            .guest_base = GuestPhysAddr(4096),
                            .read_only = true,
                            .mount_mode = MountMode::kAlways,
                            .mapped_chunks = 1,
                            .mapped_chunks_max = 2,
                            .maps = 3,
                            .unmaps = 4,
                            .rejected = 5,
                            .dropped_stores = 6};
  v1::GetWindowResponse response;
  EncodeWindows({window}, &response);
  EXPECT_EQ(response.ShortDebugString(),
            "windows { share: \"data\" capacity_bytes: 2097152 guest_base: 4096 read_only: true "
            "mount_mode: MOUNT_MODE_ALWAYS mapped_chunks: 1 mapped_chunks_max: 2 maps: 3 unmaps: 4 rejected: 5 "
            "dropped_stores: 6 }");
}

TEST(WindowCodec, EveryMountModeHasAName) {
  for (const auto& [mode, expected] :
       std::vector<std::pair<MountMode, v1::MountMode>>{{MountMode::kNotMounted, v1::MOUNT_MODE_NOT_MOUNTED},
                                                        {MountMode::kNever, v1::MOUNT_MODE_NEVER},
                                                        {MountMode::kAlways, v1::MOUNT_MODE_ALWAYS},
                                                        {MountMode::kPerFile, v1::MOUNT_MODE_PER_FILE}}) {
    v1::GetWindowResponse response;
    EncodeWindows({{.mount_mode = mode}}, &response);
    EXPECT_EQ(response.windows(0).mount_mode(), expected);
  }
}

TEST(EscapeNonUtf8, KeepsUtf8AndEscapesTheRest) {
  const auto same = [](const std::string& text) { EXPECT_EQ(EscapeNonUtf8(text), text); };
  same("");
  same("plain \\x41 \x01\x7f");
  same("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xed\x9f\xbf \xee\x80\x80 \xf4\x8f\xbf\xbf");
  EXPECT_EQ(EscapeNonUtf8("\x80"), "\\x80");
  EXPECT_EQ(EscapeNonUtf8("a\xc3"), "a\\xc3");                           // cut short
  EXPECT_EQ(EscapeNonUtf8("\xc0\xaf"), "\\xc0\\xaf");                    // overlong slash
  EXPECT_EQ(EscapeNonUtf8("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");           // overlong slash
  EXPECT_EQ(EscapeNonUtf8("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // surrogate
  EXPECT_EQ(EscapeNonUtf8("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond U+10FFFF
  EXPECT_EQ(EscapeNonUtf8("\xe2\x82z"), "\\xe2\\x82z");
}

TEST(EscapeNonUtf8, AnyBytesMakeAStringThatProtobufAccepts) {
  // Every pair of bytes in front of and behind valid text.
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      v1::GetWindowRequest request;
      request.set_share(EscapeNonUtf8(std::string("\xc3\xa9") + static_cast<char>(a) + static_cast<char>(b) + "z"));
      v1::GetWindowRequest parsed;
      ASSERT_TRUE(parsed.ParseFromString(request.SerializeAsString())) << a << " " << b;
    }
  }
}

}  // namespace
}  // namespace daxvmm::control
