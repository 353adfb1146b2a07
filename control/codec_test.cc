#include "control/codec.h"

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "control/field_codec.h"
#include "control/list_codec.h"
#include "control/policy_codec.h"
#include "control/text.h"
#include "control/window_codec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::StartsWith;

dax::Policy FullPolicy() {
  return {.rules = {{.name = "plain", .outcome = dax::Outcome::kFollowHint},
                    {.name = "all conditions",
                     .share_tag = "data",
                     .read_only_share = true,
                     .paths = {"lib/**"},
                     .subtrees = {"usr/share"},
                     .extensions = {"so"},
                     .size_at_least = KiB(64),
                     .size_below = MiB(2),
                     .owner_uid = dax::IdRange{1000, 2000},
                     .owner_gid = dax::IdRange{0, 0},
                     .executable = false,
                     .dax_hint = true,
                     .huge_pages = false,
                     .outcome = dax::Outcome::kDax},
                    {.name = "from zero", .size_at_least = ByteCount(0), .outcome = dax::Outcome::kNoDax}},
          .default_outcome = dax::Outcome::kAdaptive,
          .enforcement = dax::Enforcement::kDeny};
}

void EncodeFiles(const std::vector<LiveFile>& files, uint64_t generation, v1::ListFilesResponse* response) {
  FilePage page;
  for (const LiveFile& file : files) page.entries.push_back({FileQuery::Place(), file});
  EncodeFilePage(page, generation, ListFilesCommand(), response);
}

v1::SetPolicyRequest FullRequest() {
  v1::SetPolicyRequest request;
  EncodePolicy(FullPolicy(), request.mutable_policy());
  return request;
}

TEST(PolicyCodec, RequestsCarryThePolicyAndItsConditions) {
  v1::SetPolicyRequest request = FullRequest();
  request.set_expected_generation(0);
  request.set_force(true);
  const auto command = DecodeSetPolicy(request);
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->policy, FullPolicy());
  EXPECT_EQ(command->options.expected_generation, 0u) << "0 is not absence";
  EXPECT_TRUE(command->options.force);
  const auto plain = DecodeSetPolicy(FullRequest());
  EXPECT_FALSE(plain->options.expected_generation.has_value());
  EXPECT_FALSE(plain->options.force);
}

TEST(PolicyCodec, AMaskTakesPartsAndLooksAtNoOthers) {
  v1::SetPolicyRequest request;
  request.mutable_policy()->set_enforcement(v1::ENFORCEMENT_DENY);
  request.mutable_policy()->add_rules();  // no valid one
  request.mutable_update_mask()->add_paths("enforcement");
  request.set_etag("e");
  request.set_validate_only(true);
  auto command = DecodeSetPolicy(request);
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->policy.enforcement, dax::Enforcement::kDeny);
  EXPECT_FALSE(command->options.parts.rules);
  EXPECT_FALSE(command->options.parts.default_outcome);
  EXPECT_TRUE(command->options.parts.enforcement);
  EXPECT_EQ(command->options.expected_etag, "e");
  EXPECT_TRUE(command->validate_only);
  request.mutable_update_mask()->add_paths("rules");
  EXPECT_THAT(std::string(DecodeSetPolicy(request).status().message()), StartsWith("policy.rules[0]."));
  request = FullRequest();
  request.mutable_update_mask()->add_paths("*");
  command = DecodeSetPolicy(request);
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->policy, FullPolicy());
  EXPECT_TRUE(command->options.parts.rules && command->options.parts.default_outcome &&
              command->options.parts.enforcement);
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

struct BadFieldCase {
  const char* field;
  std::function<void(v1::SetPolicyRequest*)> spoil;
};

class BadFieldTest : public ::testing::TestWithParam<BadFieldCase> {};

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
        BadFieldCase{"source", [](auto* r) { r->clear_policy(); }},
        BadFieldCase{"policy.rules[2].outcome", [](auto* r) { RuleAt(r, 2)->set_outcome(v1::OUTCOME_UNSPECIFIED); }},
        BadFieldCase{"policy.rules[0].outcome",
                     [](auto* r) { RuleAt(r, 0)->set_outcome(static_cast<v1::Outcome>(77)); }},
        BadFieldCase{"policy.rules[0].outcome",
                     [](auto* r) { RuleAt(r, 0)->set_outcome(static_cast<v1::Outcome>(-1)); }},
        BadFieldCase{"policy.default_outcome", [](auto* r) { r->mutable_policy()->clear_default_outcome(); }},
        BadFieldCase{"policy.default_outcome",
                     [](auto* r) { r->mutable_policy()->set_default_outcome(static_cast<v1::Outcome>(5)); }},
        BadFieldCase{"policy.rules[1].name", [](auto* r) { RuleAt(r, 1)->clear_name(); }},
        BadFieldCase{"policy.rules[1].name", [](auto* r) { RuleAt(r, 1)->set_name(std::string(65, 'n')); }},
        BadFieldCase{"policy.rules[1].name", [](auto* r) { RuleAt(r, 1)->set_name("a\nb"); }},
        BadFieldCase{"policy.rules[1].name", [](auto* r) { RuleAt(r, 1)->set_name("caf\xc3\xa9"); }},
        BadFieldCase{"policy.rules[1].name", [](auto* r) { RuleAt(r, 1)->set_name("default"); }},
        BadFieldCase{"policy.rules[2].name", [](auto* r) { RuleAt(r, 2)->set_name("plain"); }},
        BadFieldCase{"policy.rules[0].share", [](auto* r) { RuleAt(r, 0)->set_share(""); }},
        BadFieldCase{"policy.rules[0].share", [](auto* r) { RuleAt(r, 0)->set_share(std::string(37, 't')); }},
        BadFieldCase{"policy.rules[1].size_below", [](auto* r) { RuleAt(r, 1)->set_size_below(65536); }},
        BadFieldCase{"policy.rules[0].size_below", [](auto* r) { RuleAt(r, 0)->set_size_below(0); }},
        BadFieldCase{"policy.rules",
                     [](auto* r) {
                       for (size_t i = 0; i <= dax::kMaxRules; ++i) r->mutable_policy()->add_rules();
                     }},
        BadFieldCase{"policy.rules[1].paths[0]", [](auto* r) { RuleAt(r, 1)->set_paths(0, "["); }},
        BadFieldCase{"policy.rules[1].subtrees[1]", [](auto* r) { RuleAt(r, 1)->add_subtrees("/abs"); }},
        BadFieldCase{"policy.rules[1].extensions[1]", [](auto* r) { RuleAt(r, 1)->add_extensions("a.b"); }},
        BadFieldCase{"policy.rules[1].owner_uid", [](auto* r) { RuleAt(r, 1)->mutable_owner_uid()->set_last(999); }},
        BadFieldCase{"policy.rules[1].owner_gid", [](auto* r) { RuleAt(r, 1)->mutable_owner_gid()->set_first(1); }},
        BadFieldCase{"policy.enforcement",
                     [](auto* r) { r->mutable_policy()->set_enforcement(static_cast<v1::Enforcement>(3)); }},
        BadFieldCase{"update_mask", [](auto* r) { r->mutable_update_mask(); }},
        BadFieldCase{"update_mask", [](auto* r) { r->mutable_update_mask()->add_paths("rules.name"); }},
        BadFieldCase{"update_mask", [](auto* r) { r->mutable_update_mask()->add_paths(std::string(100000, 'x')); }},
        BadFieldCase{"update_mask",
                     [](auto* r) {
                       r->set_named_policy("never");
                       r->mutable_update_mask()->add_paths("rules");
                     }},
        BadFieldCase{"named_policy", [](auto* r) { r->set_named_policy("sometimes"); }},
        BadFieldCase{"named_policy", [](auto* r) { r->set_named_policy(""); }},
        BadFieldCase{"named_policy", [](auto* r) { r->set_named_policy("size:"); }},
        BadFieldCase{"named_policy", [](auto* r) { r->set_named_policy(std::string(100000, 'x')); }}));

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

TEST(FileCodec, ANameThatIsNotUtf8StillSerializes) {
  LiveFile file;
  file.path = "caf\xe9/\xff";
  v1::ListFilesResponse response;
  EncodeFiles({file}, 1, &response);
  std::string wire;
  ASSERT_TRUE(response.SerializeToString(&wire));
  v1::ListFilesResponse parsed;
  ASSERT_TRUE(parsed.ParseFromString(wire));
  EXPECT_EQ(FromPathText(parsed.files(0).path()), file.path);
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

// Each value differs from every other and from the default.
LiveFile FullFile() {
  return {.share_tag = "data",
          .node_id = 5,
          .path = "a/b",
          .size = ByteCount(6),
          .decision_dax = true,
          .decision_rule = "r",
          .reason = "hot",
          .overridden = true,
          .told_dax = true,
          .told_generation = 7,
          .convergence = Convergence::kAttributesCached,
          .attributes_left = absl::Milliseconds(1500),
          .open = true,
          .mapped_chunks = 8,
          .setup_mappings = 9,
          .unmaps = 10,
          .reads = 11,
          .writes = 12,
          .mapped_against_policy = 13};
}

WindowUse FullWindow() {
  return {.share_tag = "data",
          .capacity = MiB(2),
          .guest_base = GuestPhysAddr(4096),
          .read_only = true,
          .mount_mode = MountMode::kAlways,
          .mapped_chunks = 1,
          .mapped_chunks_max = 2,
          .maps = 3,
          .unmaps = 4,
          .rejected = 5,
          .dropped_stores = 6,
          .maps_per_second = {1.5, 2.5, 3.5},
          .unmaps_per_second = {4.5, 5.5, 6.5},
          .reused_soon = 7,
          .repairs = 8,
          .restores = 9,
          .stores_past_end = 10,
          .files_extended = 11,
          .against_policy = 12,
          .denied = 13,
          .quota = MiB(4),
          .quota_reached = true,
          .total_chunks = 16,
          .reclaim_threshold_chunks = 17};
}

Explanation FullExplanation() {
  return {.share_tag = "data",
          .path = "a",
          .node_id = 3,
          .live = true,
          .facts = {{"size", "4096"}},
          .steps = {{"big", false, "size 4096 is below 32768"}, {"small", true, "size"}},
          .dax = true,
          .rule = "small",
          .reason = "cold",
          .generation = 4,
          .told_dax = false,
          .told_generation = 5,
          .convergence = Convergence::kAttributesCached,
          .attributes_left = absl::Seconds(2),
          .open = true,
          .mapped_chunks = 6,
          .setup_mappings = 7,
          .unmaps = 8,
          .reads = 9,
          .writes = 10,
          .mapped_against_policy = 11,
          .override = dax::Override{.share_tag = "data",
                                    .file = NodeId(3),
                                    .dax = true,
                                    .expires_at = absl::FromUnixSeconds(12),
                                    .note = "n"},
          .adaptive = true,
          .enforcement = dax::Enforcement::kDeny,
          .mount_mode = MountMode::kPerFile};
}

PolicyState FullState() {
  return {
      .generation = 9,
      .policy = FullPolicy(),
      .overrides =
          {{.share_tag = "data", .file = NodeId(7), .dax = true, .expires_at = absl::FromUnixMillis(1500), .note = "n"},
           {.share_tag = "data", .file = std::string("a\xff"), .dax = false}},
      .source = {.kind = dax::SourceKind::kFile, .detail = "/p"},
      .since = absl::FromUnixMillis(2500),
      .watched_file = "/p",
      .watched_file_error = PolicyFileError{"/p:1: x", absl::FromUnixMillis(3500)},
      .etag = "e-9"};
}

PolicyPreview FullPreview() {
  return {.in_force = {.generation = 3, .etag = "e-3", .attribute_timeout = absl::Seconds(1)},
          .gaining = 4,
          .losing = 5,
          .live = 6,
          .files = {{.share_tag = "data", .path = "a\xff", .node_id = 7, .dax = true, .rule = "r"}}};
}

WindowMapping FullMapping() {
  return {.share_tag = "data",
          .at = WindowOffset(4096),
          .length = KiB(8),
          .guest_address = GuestPhysAddr(0x100001000),
          .node_id = 3,
          .path = "a\xff",
          .from = FileOffset(12288),
          .writable = true,
          .policy_generation = 4,
          .mapped_at = absl::FromUnixMillis(2500)};
}

TEST(ReplyCodec, CarriesEveryField) {
  v1::PolicyEffect effect;
  EncodeEffect(FullPreview(), &effect);
  EXPECT_EQ(effect.ShortDebugString(),
            "gaining: 4 losing: 5 live: 6 files { share: \"data\" path: \"a\\\\xff\" node_id: 7 decision_dax: true "
            "decision_rule: \"r\" }");
  v1::ListMappingsResponse mappings;
  EncodeMappingPage({.mappings = {FullMapping()}, .total = 1}, {}, &mappings);
  EXPECT_EQ(mappings.ShortDebugString(),
            "mappings { share: \"data\" window_offset: 4096 length_bytes: 8192 guest_address: 4294971392 node_id: 3 "
            "path: \"a\\\\xff\" file_offset: 12288 writable: true policy_generation: 4 "
            "map_time { seconds: 2 nanos: 500000000 } } total_size: 1");
  v1::WatchWindowResponse sample;
  EncodeWindowSample(absl::FromUnixSeconds(8), {WindowUse{.share_tag = "other"}, FullWindow()}, "data", 9, &sample);
  EXPECT_EQ(sample.sample_time().seconds(), 8);
  EXPECT_EQ(sample.dropped_samples(), 9u);
  ASSERT_EQ(sample.windows_size(), 1);
  EXPECT_EQ(sample.windows(0).share(), "data");
  EncodeWindowSample(absl::FromUnixSeconds(8), {WindowUse{.share_tag = "other"}, FullWindow()}, "", 9, &sample);
  EXPECT_EQ(sample.windows_size(), 2);
  v1::ListFilesResponse files;
  EncodeFiles({FullFile()}, 14, &files);
  EXPECT_EQ(files.ShortDebugString(),
            "files { share: \"data\" node_id: 5 path: \"a/b\" size_bytes: 6 decision_dax: true decision_rule: \"r\" "
            "decision_reason: \"hot\" overridden: true told_dax: true told_generation: 7 "
            "convergence: CONVERGENCE_ATTRIBUTES_CACHED attributes_left { seconds: 1 nanos: 500000000 } open: true "
            "mapped_chunks: 8 setup_mappings: 9 unmaps: 10 reads: 11 writes: 12 mapped_against_policy: 13 } "
            "generation: 14");
  v1::GetWindowResponse windows;
  EncodeWindows({FullWindow()}, &windows);
  EXPECT_EQ(windows.ShortDebugString(),
            "windows { share: \"data\" capacity_bytes: 2097152 guest_base: 4096 read_only: true "
            "mount_mode: MOUNT_MODE_ALWAYS mapped_chunks: 1 mapped_chunks_max: 2 maps: 3 unmaps: 4 rejected: 5 "
            "dropped_stores: 6 map_rate { over_1s: 1.5 over_10s: 2.5 over_60s: 3.5 } "
            "unmap_rate { over_1s: 4.5 over_10s: 5.5 over_60s: 6.5 } reused_soon: 7 repairs: 8 restores: 9 "
            "stores_past_end: 10 files_extended: 11 against_policy: 12 denied: 13 quota_bytes: 4194304 "
            "quota_reached: true total_chunks: 16 free_chunks: 15 reclaim_threshold_chunks: 17 "
            "below_reclaim_threshold: true }");
  v1::ExplainFileResponse explanation;
  EncodeExplanation(FullExplanation(), &explanation);
  EXPECT_EQ(explanation.ShortDebugString(),
            "share: \"data\" path: \"a\" node_id: 3 live: true facts { name: \"size\" value: \"4096\" } "
            "steps { rule: \"big\" why: \"size 4096 is below 32768\" } "
            "steps { rule: \"small\" matched: true why: \"size\" } decision_dax: true decision_rule: \"small\" "
            "decision_reason: \"cold\" generation: 4 told_dax: false convergence: CONVERGENCE_ATTRIBUTES_CACHED "
            "attributes_left { seconds: 2 } told_generation: 5 "
            "override { share: \"data\" node_id: 3 outcome: OUTCOME_DAX expire_time { seconds: 12 } note: \"n\" } "
            "adaptive: true enforcement: ENFORCEMENT_DENY mount_mode: MOUNT_MODE_PER_FILE open: true mapped_chunks: 6 "
            "setup_mappings: 7 unmaps: 8 reads: 9 writes: 10 mapped_against_policy: 11");
  v1::WatchConvergenceResponse counts;
  EncodeCounts({1, 2, 3, 4, 5, 6, 7, absl::Milliseconds(250)}, &counts);
  EXPECT_EQ(counts.ShortDebugString(),
            "generation: 7 converged: 1 attributes_cached: 2 changes_on_next_use: 3 noticed_held_open: 4 "
            "noticed_still_held: 5 unknown: 6 longest_wait { nanos: 250000000 }");
  v1::GetPolicyResponse state;
  EncodePolicyState(FullState(), &state);
  state.clear_policy();  // policy_text_test looks at that
  EXPECT_EQ(state.ShortDebugString(),
            "generation: 9 source { kind: KIND_FILE detail: \"/p\" effective_time { seconds: 2 nanos: 500000000 } } "
            "overrides { share: \"data\" node_id: 7 outcome: OUTCOME_DAX expire_time { seconds: 1 nanos: 500000000 } "
            "note: \"n\" } overrides { share: \"data\" path: \"a\\\\xff\" outcome: OUTCOME_NO_DAX } "
            "watched_file { path: \"/p\" load_error: \"/p:1: x\" load_error_time { seconds: 3 nanos: 500000000 } } "
            "etag: \"e-9\"");
  v1::ListPolicyHistoryResponse history;
  EncodeHistory({{3, {dax::SourceKind::kExpiry, "d"}, absl::FromUnixSeconds(5), "2 rules", "c\xff"}}, 0, &history);
  EXPECT_EQ(history.ShortDebugString(),
            "entries { generation: 3 source { kind: KIND_EXPIRY detail: \"d\" effective_time { seconds: 5 } } "
            "summary: \"2 rules\" change: \"c\\\\xff\" }");
}

void NoteFields(const google::protobuf::Message& message, std::set<std::string>* names) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  const auto* const reflection = message.GetReflection();
  reflection->ListFields(message, &fields);
  for (const auto* field : fields) {
    names->insert(field->full_name());
    if (field->message_type() == nullptr) continue;
    for (int i = 0; i < (field->is_repeated() ? reflection->FieldSize(message, field) : 1); ++i) {
      NoteFields(field->is_repeated() ? reflection->GetRepeatedMessage(message, field, i)
                                      : reflection->GetMessage(message, field),
                 names);
    }
  }
}

void WantFields(const google::protobuf::Descriptor* type, std::set<std::string>* names) {
  if (type->file() != v1::Policy::descriptor()->file()) return;
  for (int i = 0; i < type->field_count(); ++i) {
    if (!names->insert(type->field(i)->full_name()).second) continue;
    if (type->field(i)->message_type() != nullptr) WantFields(type->field(i)->message_type(), names);
  }
}

// A field that the contract has and the codec does not fill.
TEST(ReplyCodec, NoFieldIsForgotten) {
  v1::ListFilesResponse files;
  EncodeFilePage({.entries = {{{}, FullFile()}}, .total = 3, .next_after = FileQuery::Place()}, 14, {}, &files);
  v1::ListMappingsResponse mappings;
  EncodeMappingPage({.mappings = {FullMapping()}, .total = 3, .more = true}, {}, &mappings);
  v1::WatchWindowResponse sample;
  EncodeWindowSample(absl::FromUnixSeconds(8), {FullWindow()}, "", 9, &sample);
  v1::GetWindowResponse windows;
  EncodeWindows({FullWindow()}, &windows);
  v1::ExplainFileResponse explanation;
  EncodeExplanation(FullExplanation(), &explanation);
  v1::WatchConvergenceResponse unsettled;
  EncodeCounts({1, 2, 3, 4, 5, 6, 7, absl::Seconds(1)}, &unsettled);
  v1::WatchConvergenceResponse settled;
  EncodeCounts({}, &settled);
  v1::GetPolicyResponse state;
  EncodePolicyState(FullState(), &state);
  v1::ListPolicyHistoryResponse history;
  EncodeHistory({{3, {dax::SourceKind::kStart, "d"}, absl::FromUnixSeconds(5), "s", "c"}}, 0, &history);
  v1::SetPolicyResponse set;
  set.set_generation(1);  // by the service, as is the etag
  set.set_etag("e-1");
  EncodeEffect(FullPreview(), set.mutable_effect());
  EncodeBound({.generation = 1, .attribute_timeout = absl::Seconds(1)}, set.mutable_bound());

  std::set<std::string> wanted = {"daxvmm.v1.FileOverride.ttl"};  // of requests only
  std::set<std::string> found = wanted;
  for (const google::protobuf::Message* message : std::initializer_list<const google::protobuf::Message*>{
           &files, &windows, &mappings, &sample, &explanation, &unsettled, &settled, &state, &history, &set}) {
    WantFields(message->GetDescriptor(), &wanted);
    NoteFields(*message, &found);
  }
  for (const std::string& name : wanted) EXPECT_TRUE(found.contains(name)) << name << " is never set";
}

TEST(ReplyCodec, EveryConvergenceAndSourceHasAName) {
  for (int i = 1; i < v1::Convergence_descriptor()->value_count(); ++i) {
    LiveFile file;
    file.convergence = static_cast<Convergence>(i - 1);
    v1::ListFilesResponse response;
    EncodeFiles({file}, 1, &response);
    EXPECT_EQ(response.files(0).convergence(), i);
  }
  for (int i = 1; i < v1::PolicySource::Kind_descriptor()->value_count(); ++i) {
    v1::ListPolicyHistoryResponse history;
    EncodeHistory({{1, {static_cast<dax::SourceKind>(i - 1), ""}, absl::FromUnixSeconds(5), "", ""}}, 0, &history);
    EXPECT_EQ(history.entries(0).source().kind(), i);
  }
}

TEST(ReplyCodec, TheLastEntriesOfTheHistory) {
  const std::vector<dax::PolicyHistoryEntry> all = {
      {1, {dax::SourceKind::kStart, ""}, absl::FromUnixSeconds(5), "", ""},
      {2, {dax::SourceKind::kRequest, ""}, absl::FromUnixSeconds(6), "", ""},
      {3, {dax::SourceKind::kRequest, ""}, absl::FromUnixSeconds(7), "", ""}};
  v1::ListPolicyHistoryResponse history;
  EncodeHistory(all, 2, &history);
  ASSERT_EQ(history.entries_size(), 2);
  EXPECT_EQ(history.entries(0).generation(), 2u);
  EncodeHistory(all, 4, &history);
  EXPECT_EQ(history.entries_size(), 3);
  EncodeHistory(all, 0, &history);
  EXPECT_EQ(history.entries_size(), 3);
}

TEST(ReplyCodec, WhatIsNotKnownIsAbsent) {
  v1::ListFilesResponse files;
  EncodeFiles({LiveFile{}}, 1, &files);
  EXPECT_FALSE(files.files(0).has_told_dax());
  EXPECT_FALSE(files.files(0).has_attributes_left());
  v1::ExplainFileResponse explanation;
  Explanation not_live = FullExplanation();
  not_live.live = false;
  EncodeExplanation(not_live, &explanation);
  EXPECT_FALSE(explanation.has_told_dax());
  EXPECT_EQ(explanation.convergence(), v1::CONVERGENCE_UNSPECIFIED);
  v1::GetPolicyResponse state;
  PolicyState plain = FullState();
  plain.watched_file_error.reset();
  EncodePolicyState(plain, &state);
  EXPECT_FALSE(state.watched_file().has_load_error());
  plain.watched_file.clear();
  EncodePolicyState(plain, &state);
  EXPECT_FALSE(state.has_watched_file());
}

TEST(ReplyCodec, TimesBeyondTheContractAreClamped) {
  PolicyState state = FullState();
  state.since = absl::InfiniteFuture();
  state.overrides[0].expires_at = absl::InfinitePast();
  v1::GetPolicyResponse response;
  EncodePolicyState(state, &response);
  EXPECT_EQ(response.source().effective_time().seconds(), 253402300799);
  EXPECT_EQ(response.overrides(0).expire_time().seconds(), -62135596800);
  v1::ChangeBound bound;
  EncodeBound({.generation = 1, .attribute_timeout = absl::InfiniteDuration()}, &bound);
  EXPECT_EQ(bound.notice_delay().seconds(), 315576000000);
  EXPECT_THAT(bound.description(), StartsWith("a file in use need not notice; "));
  EncodeBound({.generation = 1, .attribute_timeout = absl::ZeroDuration()}, &bound);
  EXPECT_THAT(bound.description(), StartsWith("a file in use notices at its next request; "));
  EncodeBound({.generation = 1, .attribute_timeout = absl::Seconds(1)}, &bound);
  EXPECT_EQ(bound.description(),
            "a file in use notices within 1 s; an open file keeps its state until its last close; an idle one changes "
            "on next use");
}

v1::SetFileOverrideRequest FullOverride() {
  v1::SetFileOverrideRequest request;
  request.mutable_override()->set_share("data");
  request.mutable_override()->set_path("a\\xff");
  request.mutable_override()->set_outcome(v1::OUTCOME_DAX);
  request.mutable_override()->mutable_ttl()->set_seconds(90);
  request.mutable_override()->set_note("note");
  request.set_expected_generation(4);
  return request;
}

const absl::Time kNow = absl::FromUnixSeconds(1'000'000);

TEST(OverrideCodec, CarriesEveryField) {
  v1::SetFileOverrideRequest request = FullOverride();
  auto command = DecodeSetOverride(request, kNow);
  ASSERT_TRUE(command.ok()) << command.status();
  const dax::Override expected = {.share_tag = "data",
                                  .file = std::string("a\xff"),
                                  .dax = true,
                                  .expires_at = kNow + absl::Seconds(90),
                                  .note = "note"};
  EXPECT_EQ(command->override, expected);
  EXPECT_EQ(command->options.expected_generation, 4u);
  request.mutable_override()->set_node_id(7);
  request.mutable_override()->set_outcome(v1::OUTCOME_NO_DAX);
  request.mutable_override()->mutable_expire_time()->set_seconds(1'000'001);
  command = DecodeSetOverride(request, kNow);
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->override.file, dax::OverriddenFile(NodeId(7)));
  EXPECT_FALSE(command->override.dax);
  EXPECT_EQ(command->override.expires_at, kNow + absl::Seconds(1));
  request.mutable_override()->clear_expiration();
  EXPECT_FALSE(DecodeSetOverride(request, kNow)->override.expires_at.has_value());
}

TEST(OverrideCodec, NoFieldIsForgotten) {
  // Taking any one field away changes the command, or is refused.
  const auto full = DecodeSetOverride(FullOverride(), kNow);
  ASSERT_TRUE(full.ok());
  const auto* const type = v1::FileOverride::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    v1::SetFileOverrideRequest request = FullOverride();
    v1::FileOverride* const one = request.mutable_override();
    if (!one->GetReflection()->HasField(*one, type->field(i))) continue;
    one->GetReflection()->ClearField(one, type->field(i));
    const auto less = DecodeSetOverride(request, kNow);
    EXPECT_TRUE(!less.ok() || !(less->override == full->override)) << type->field(i)->full_name();
  }
}

TEST(OverrideCodec, ABadFieldIsNamed) {
  const std::vector<std::pair<std::string, std::function<void(v1::SetFileOverrideRequest*)>>> cases = {
      {"override", [](auto* r) { r->clear_override(); }},
      {"override.share", [](auto* r) { r->mutable_override()->clear_share(); }},
      {"override.share", [](auto* r) { r->mutable_override()->set_share(std::string(37, 't')); }},
      {"override.file", [](auto* r) { r->mutable_override()->clear_file(); }},
      {"override.path", [](auto* r) { r->mutable_override()->set_path(""); }},
      {"override.path", [](auto* r) { r->mutable_override()->set_path(std::string(5000, 'p')); }},
      {"override.node_id", [](auto* r) { r->mutable_override()->set_node_id(0); }},
      {"override.outcome", [](auto* r) { r->mutable_override()->clear_outcome(); }},
      {"override.outcome", [](auto* r) { r->mutable_override()->set_outcome(v1::OUTCOME_FOLLOW_HINT); }},
      {"override.ttl", [](auto* r) { r->mutable_override()->mutable_ttl()->set_seconds(0); }},
      {"override.ttl", [](auto* r) { r->mutable_override()->mutable_ttl()->set_seconds(-1); }},
      {"override.ttl", [](auto* r) { r->mutable_override()->mutable_ttl()->set_nanos(1'000'000'000); }},
      {"override.ttl", [](auto* r) { r->mutable_override()->mutable_ttl()->set_seconds(INT64_MAX); }},
      {"override.expire_time", [](auto* r) { r->mutable_override()->mutable_expire_time()->set_seconds(1'000'000); }},
      {"override.expire_time", [](auto* r) { r->mutable_override()->mutable_expire_time()->set_seconds(INT64_MAX); }},
      {"override.note", [](auto* r) { r->mutable_override()->set_note(std::string(257, 'n')); }},
  };
  for (const auto& [field, spoil] : cases) {
    v1::SetFileOverrideRequest request = FullOverride();
    spoil(&request);
    const auto command = DecodeSetOverride(request, kNow);
    ASSERT_EQ(command.status().code(), absl::StatusCode::kInvalidArgument) << field;
    EXPECT_THAT(std::string(command.status().message()), StartsWith(field + ": "));
  }
}

TEST(FileRefCodec, ClearAndExplainNameAFile) {
  v1::ClearFileOverrideRequest clear;
  clear.set_share("data");
  clear.set_path("a\\xff");
  clear.set_expected_generation(3);
  const auto cleared = DecodeClearOverride(clear);
  ASSERT_TRUE(cleared.ok()) << cleared.status();
  EXPECT_EQ(cleared->file.share_tag, "data");
  EXPECT_EQ(std::get<std::string>(cleared->file.file), "a\xff");
  EXPECT_EQ(cleared->options.expected_generation, 3u);
  v1::ExplainFileRequest explain;
  explain.set_share("da\\xffta");
  explain.set_node_id(9);
  const auto explained = DecodeExplain(explain);
  ASSERT_TRUE(explained.ok()) << explained.status();
  EXPECT_EQ(explained->share_tag, "da\xffta");
  EXPECT_EQ(std::get<uint64_t>(explained->file), 9u);
  explain.clear_file();
  EXPECT_THAT(std::string(DecodeExplain(explain).status().message()), StartsWith("file: "));
}

TEST(WatchCodec, DefaultsAndBounds) {
  v1::WatchConvergenceRequest request;
  auto command = DecodeWatch(request);
  ASSERT_TRUE(command.ok());
  EXPECT_EQ(command->share_tag, "");
  EXPECT_EQ(command->interval, absl::Seconds(1));
  EXPECT_TRUE(command->until_settled);
  request.set_share("data");
  request.mutable_interval()->set_nanos(100'000'000);
  request.set_until_settled(false);
  command = DecodeWatch(request);
  ASSERT_TRUE(command.ok());
  EXPECT_EQ(command->share_tag, "data");
  EXPECT_EQ(command->interval, absl::Milliseconds(100));
  EXPECT_FALSE(command->until_settled);
  for (const auto& [seconds, nanos] :
       std::vector<std::pair<int64_t, int32_t>>{{0, 99'999'999}, {60, 1}, {0, 0}, {-1, 0}, {1, -1}, {INT64_MAX, 0}}) {
    request.mutable_interval()->set_seconds(seconds);
    request.mutable_interval()->set_nanos(nanos);
    EXPECT_THAT(std::string(DecodeWatch(request).status().message()), StartsWith("interval: ")) << seconds;
  }
}

}  // namespace
}  // namespace daxvmm::control
