// The table of docs/policy_state.md.
#include "vmm/policy_start.h"

#include <string>
#include <utility>

#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::vmm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

dax::Policy WithDefault(dax::Outcome outcome) { return {.rules = {}, .default_outcome = outcome}; }
const dax::Policy kDax = WithDefault(dax::Outcome::kDax);
const dax::Policy kNoDax = WithDefault(dax::Outcome::kNoDax);
const dax::Policy kAdaptive = WithDefault(dax::Outcome::kAdaptive);

MachineConfig Config() {
  MachineConfig config;
  config.state_dir = "/state";
  ShareConfig share;
  share.tag = "data";
  config.shares.push_back(std::move(share));
  return config;
}

control::SavedPolicy Saved(dax::Policy policy) {
  control::SavedPolicy saved;
  saved.generation = 41;
  saved.policy = std::move(policy);
  saved.history = {{41, {dax::SourceKind::kRequest, "uid 0"}, kNow - absl::Hours(1), "s", "c"}};
  return saved;
}

std::string Notes(const ChosenStart& chosen) { return absl::StrJoin(chosen.notes, "\n"); }

TEST(PolicyStartTest, WithoutAStateTheFlagsCount) {
  MachineConfig config = Config();
  config.policy = kDax;
  config.shares[0].policy = kNoDax;
  const ChosenStart chosen = ChooseStart(config, std::nullopt, "", kNow);
  EXPECT_EQ(chosen.start.policy, ComposePolicy(config, kDax));
  EXPECT_EQ(chosen.start.policy.rules.size(), 1u) << "the share's rule stands in front";
  EXPECT_EQ(chosen.start.source, (dax::PolicySource{dax::SourceKind::kStart, ""}));
  EXPECT_EQ(chosen.start.last_generation, 0u);
  EXPECT_EQ(chosen.start.file_policy, nullptr);
  EXPECT_THAT(chosen.notes, IsEmpty());
}

TEST(PolicyStartTest, WithoutAStateTheFileCounts) {
  MachineConfig config = Config();
  config.policy = kDax;
  config.policy_file = "/p";
  const ChosenStart chosen = ChooseStart(config, std::nullopt, "", kNow);
  EXPECT_EQ(chosen.start.policy, kDax);
  EXPECT_EQ(chosen.start.source, (dax::PolicySource{dax::SourceKind::kFile, "/p"}));
  EXPECT_EQ(chosen.start.file_policy, &config.policy);
}

TEST(PolicyStartTest, TheStateBeatsTheFlags) {
  MachineConfig config = Config();
  config.policy = kNoDax;
  config.policy_given = true;
  const ChosenStart chosen = ChooseStart(config, Saved(kDax), "", kNow);
  EXPECT_EQ(chosen.start.policy, kDax);
  EXPECT_EQ(chosen.start.source, (dax::PolicySource{dax::SourceKind::kState, "/state"}));
  EXPECT_EQ(chosen.start.last_generation, 41u);
  EXPECT_EQ(chosen.start.history, Saved(kDax).history);
  EXPECT_EQ(chosen.start.change, "nothing");
  EXPECT_THAT(chosen.notes,
              ElementsAre("state-dir: /state: the policy kept in it (generation 41) is in force, not that "
                          "of the flags"));
}

TEST(PolicyStartTest, SaysNothingWhereBothSayTheSame) {
  MachineConfig config = Config();
  config.policy = kDax;
  config.policy_given = true;
  EXPECT_THAT(ChooseStart(config, Saved(kDax), "", kNow).notes, IsEmpty());
  config.policy = dax::DefaultPolicy();
  config.policy_given = false;  // nobody asked for it
  EXPECT_THAT(ChooseStart(config, Saved(kDax), "", kNow).notes, IsEmpty());
}

TEST(PolicyStartTest, RulesOfSharesAreNotPutInFrontTwice) {
  MachineConfig config = Config();
  config.policy = kDax;
  config.shares[0].policy = kNoDax;
  const dax::Policy composed = ComposePolicy(config, kDax);
  const ChosenStart chosen = ChooseStart(config, Saved(composed), "", kNow);
  EXPECT_EQ(chosen.start.policy, composed);
  EXPECT_THAT(chosen.notes, IsEmpty());
  // A share's flag that is new counts no more than any other flag.
  config.shares[0].policy = kAdaptive;
  const ChosenStart again = ChooseStart(config, Saved(composed), "", kNow);
  EXPECT_EQ(again.start.policy, composed);
  EXPECT_THAT(Notes(again), HasSubstr("not that of the flags"));
}

TEST(PolicyStartTest, AForcedPolicyOutlivesARestartWhileTheFileIsTheSame) {
  MachineConfig config = Config();
  config.policy = kNoDax;
  config.policy_file = "/p";
  control::SavedPolicy saved = Saved(kDax);
  saved.file_policy = kNoDax;
  const ChosenStart chosen = ChooseStart(config, saved, "", kNow);
  EXPECT_EQ(chosen.start.policy, kDax);
  EXPECT_EQ(chosen.start.source.kind, dax::SourceKind::kState);
  EXPECT_EQ(chosen.start.file_policy, &config.policy) << "it is still what the file said last";
  EXPECT_THAT(Notes(chosen), HasSubstr("not that of the flags"));
}

TEST(PolicyStartTest, AFileThatChangedMeanwhileWins) {
  MachineConfig config = Config();
  config.policy = kAdaptive;
  config.policy_file = "/p";
  config.shares[0].policy = kNoDax;
  control::SavedPolicy saved = Saved(kDax);
  saved.file_policy = kNoDax;
  saved.overrides = {{.share_tag = "data", .file = "a", .dax = true}};
  const ChosenStart chosen = ChooseStart(config, saved, "", kNow);
  EXPECT_EQ(chosen.start.policy, ComposePolicy(config, kAdaptive));
  EXPECT_EQ(chosen.start.source, (dax::PolicySource{dax::SourceKind::kFile, "/p"}));
  EXPECT_EQ(chosen.start.last_generation, 41u) << "numbers go on";
  EXPECT_EQ(chosen.start.overrides.size(), 1u) << "overrides are no part of a file";
  EXPECT_THAT(chosen.start.change, HasSubstr("default dax -> adaptive"));
  EXPECT_THAT(Notes(chosen), HasSubstr("gives way to the policy file /p"));
}

TEST(PolicyStartTest, AFileThatIsWatchedForTheFirstTimeWins) {
  MachineConfig config = Config();
  config.policy = kNoDax;
  config.policy_file = "/p";
  EXPECT_EQ(ChooseStart(config, Saved(kDax), "", kNow).start.policy, kNoDax);
}

TEST(PolicyStartTest, AFileThatIsNoLongerWatchedIsForgotten) {
  control::SavedPolicy saved = Saved(kDax);
  saved.file_policy = kNoDax;
  const ChosenStart chosen = ChooseStart(Config(), saved, "", kNow);
  EXPECT_EQ(chosen.start.policy, kDax);
  EXPECT_EQ(chosen.start.file_policy, nullptr);
}

TEST(PolicyStartTest, OverridesOfPathsAreKept) {
  control::SavedPolicy saved = Saved(kDax);
  const dax::Override kept{.share_tag = "data", .file = "a", .dax = true, .note = "n"};
  const dax::Override until{.share_tag = "data", .file = "b", .expires_at = kNow + absl::Seconds(1)};
  saved.overrides = {kept,
                     {.share_tag = "data", .file = NodeId(7)},
                     until,
                     {.share_tag = "data", .file = NodeId(8)},
                     {.share_tag = "data", .file = "c", .expires_at = kNow}};
  const ChosenStart chosen = ChooseStart(Config(), saved, "", kNow);
  EXPECT_THAT(chosen.start.overrides, ElementsAre(kept, until));
  EXPECT_EQ(chosen.start.change,
            "2 overrides by node dropped: nodes do not outlive the guest, 1 override ran out meanwhile");
  EXPECT_THAT(Notes(chosen), HasSubstr("2 overrides by node dropped"));
}

TEST(PolicyStartTest, WhatNamesOtherSharesIsKept) {
  dax::Policy policy = kDax;
  policy.rules = {{.name = "r", .share_tag = "gone"}, {.name = "s", .share_tag = "data"}};
  control::SavedPolicy saved = Saved(policy);
  saved.overrides = {{.share_tag = "lost", .file = "a"}};
  const ChosenStart chosen = ChooseStart(Config(), saved, "", kNow);
  EXPECT_EQ(chosen.start.policy, policy);
  EXPECT_EQ(chosen.start.overrides.size(), 1u);
  EXPECT_THAT(Notes(chosen), HasSubstr("shares that this machine does not have: gone, lost"));
}

TEST(PolicyStartTest, AStateThatWasSetAsideIsSaid) {
  const ChosenStart chosen = ChooseStart(Config(), std::nullopt, "/state/policy.state.bad-1", kNow);
  EXPECT_EQ(chosen.start.policy, dax::DefaultPolicy());
  EXPECT_EQ(chosen.start.last_generation, 0u);
  EXPECT_THAT(chosen.start.change, HasSubstr("bad-1"));
  EXPECT_THAT(Notes(chosen), HasSubstr("/state/policy.state.bad-1"));
}

}  // namespace
}  // namespace daxvmm::vmm
