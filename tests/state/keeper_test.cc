// A store with a state directory and an audit log, over several lives.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "control/saved_policy_codec.h"
#include "control/state_file.h"
#include "devices/virtio_fs/dax/policy_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "vmm/policy_keeper.h"

namespace daxvmm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

dax::Policy WithDefault(dax::Outcome outcome) { return {.rules = {}, .default_outcome = outcome}; }

// A machine, as far as its policy goes.
class Life {
 public:
  explicit Life(const vmm::MachineConfig& config) : config_(config) {
    auto keeper = vmm::PolicyKeeper::Open(config_);
    if (!keeper.ok()) {
      status_ = keeper.status();
      return;
    }
    keeper_ = *std::move(keeper);
    store_ = std::make_unique<dax::PolicyStore>(keeper_->Start(config_));
    status_ = store_->StartRecording(keeper_.get());
  }
  const absl::Status& status() const { return status_; }
  dax::PolicyStore* operator->() { return store_.get(); }
  vmm::PolicyKeeper* keeper() { return keeper_.get(); }
  const dax::Policy& policy() { return store_->Get()->compiled->policy(); }

 private:
  const vmm::MachineConfig config_;
  absl::Status status_;
  std::unique_ptr<vmm::PolicyKeeper> keeper_;
  std::unique_ptr<dax::PolicyStore> store_;
};

class KeeperTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/keeperXXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    outer_ = name;
    config_.state_dir = outer_ + "/state";
    config_.audit_log = outer_ + "/audit";
    config_.state_codec = control::LinkedStateCodec();
    config_.shares.resize(1);
    config_.shares[0].tag = "data";
  }
  void TearDown() override { std::filesystem::remove_all(outer_); }

  static dax::PolicyStore::SetOptions By(const std::string& who) {
    return {.source = {.kind = dax::SourceKind::kRequest, .detail = who}, .force = true};
  }
  std::string StateFile() const { return config_.state_dir + "/policy.state"; }
  static std::string ContentOf(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  std::vector<std::string> AuditLines() const {
    std::ifstream file(config_.audit_log);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  std::string outer_;
  vmm::MachineConfig config_;
};

TEST_F(KeeperTest, PolicyOverridesAndHistorySurvive) {
  const absl::Time expiry = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()) + 3600);
  const dax::Override until{
      .share_tag = "data", .file = "lib/a\xff", .dax = true, .expires_at = expiry, .note = "for the demo"};
  {
    Life first(config_);
    ASSERT_TRUE(first.status().ok()) << first.status();
    ASSERT_EQ(*first->Set(WithDefault(dax::Outcome::kDax), By("uid 7")), 2u);
    ASSERT_EQ(*first->SetOverride(until, By("uid 8")), 3u);
    ASSERT_EQ(*first->SetOverride({.share_tag = "data", .file = NodeId(5)}, By("uid 9")), 4u);
  }
  {
    Life second(config_);
    ASSERT_TRUE(second.status().ok()) << second.status();
    EXPECT_EQ(second->generation(), 5u);
    EXPECT_EQ(second->Get()->source.kind, dax::SourceKind::kState);
    EXPECT_EQ(second.policy(), WithDefault(dax::Outcome::kDax));
    EXPECT_THAT(second->Get()->compiled->overrides(), ElementsAre(until));
    const auto history = second->History();
    ASSERT_EQ(history.size(), 5u);
    EXPECT_EQ(history[1].source.detail, "uid 7");
    EXPECT_EQ(history[2].change, absl::StrCat("override of data:lib/a\xff: none -> dax until ",
                                              absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", expiry, absl::UTCTimeZone())));
    EXPECT_EQ(history[4].change, "1 override by node dropped: nodes do not outlive the guest");
  }
  Life third(config_);
  EXPECT_EQ(third->generation(), 6u) << "a start is a generation, whoever sees it";
  EXPECT_EQ(third->History().size(), 6u);
}

TEST_F(KeeperTest, TheHistoryStaysBounded) {
  {
    Life first(config_);
    for (size_t i = 0; i < dax::PolicyStore::kMaxHistory + 5; ++i) ASSERT_TRUE(first->Set(first.policy()).ok());
  }
  Life second(config_);
  const auto history = second->History();
  EXPECT_EQ(history.size(), dax::PolicyStore::kMaxHistory);
  EXPECT_EQ(history.back().generation, dax::PolicyStore::kMaxHistory + 7);
}

TEST_F(KeeperTest, AForcedPolicyStaysUntilTheFileSaysSomethingElse) {
  config_.policy_file = "/p";
  config_.policy = WithDefault(dax::Outcome::kNoDax);
  config_.shares[0].policy = WithDefault(dax::Outcome::kFollowHint);
  {
    Life life(config_);
    EXPECT_EQ(life.policy(), ComposePolicy(config_, config_.policy));
    ASSERT_TRUE(life->Set(WithDefault(dax::Outcome::kDax), By("uid 0")).ok());
  }
  for (int i = 0; i < 2; ++i) {
    Life life(config_);
    EXPECT_EQ(life.policy(), WithDefault(dax::Outcome::kDax)) << "start " << i;
  }
  config_.policy = WithDefault(dax::Outcome::kAdaptive);
  {
    Life life(config_);
    EXPECT_EQ(life.policy(), ComposePolicy(config_, config_.policy));
    EXPECT_EQ(life->Get()->source.kind, dax::SourceKind::kFile);
    // Read while it runs, and not composed when it is kept.
    const dax::Policy later = WithDefault(dax::Outcome::kNoDax);
    ASSERT_TRUE(life->Set(ComposePolicy(config_, later),
                          {.source = {.kind = dax::SourceKind::kFile, .detail = "/p"}, .file_policy = &later})
                    .ok());
    ASSERT_TRUE(life->Set(WithDefault(dax::Outcome::kDax), By("uid 0")).ok());
  }
  config_.policy = WithDefault(dax::Outcome::kNoDax);
  Life life(config_);
  EXPECT_EQ(life.policy(), WithDefault(dax::Outcome::kDax)) << "the file says what it said when it was read last";
}

TEST_F(KeeperTest, EveryBadStateStopsTheStartAndStays) {
  {
    Life first(config_);
  }
  const std::string good = ContentOf(StateFile());
  const std::string body(*control::UnframeState(good));
  std::string flipped = good;
  flipped[good.size() / 2] = static_cast<char>(flipped[good.size() / 2] ^ 1);
  for (const std::string& bad :
       {std::string(), good.substr(0, 10), good.substr(0, good.size() - 1), good + "x", flipped,
        std::string("[Unit]\n"), std::string("daxvmm-policy-state 2 x\n"), control::FrameState("generation: 3\n"),
        control::FrameState(body + "not_known: 1\n")}) {
    std::ofstream(StateFile(), std::ios::binary | std::ios::trunc) << bad;
    Life life(config_);
    ASSERT_FALSE(life.status().ok()) << bad;
    const std::string message(life.status().message());
    EXPECT_THAT(message, StartsWith("state-dir: " + config_.state_dir));
    EXPECT_THAT(message, HasSubstr("policy.state: "));
    EXPECT_THAT(message, HasSubstr("--reset-bad-state"));
    EXPECT_EQ(ContentOf(StateFile()), bad) << "it must stay as it is";
  }
  config_.reset_bad_state = true;
  const std::string last = ContentOf(StateFile());
  {
    Life life(config_);
    ASSERT_TRUE(life.status().ok()) << life.status();
    EXPECT_EQ(ContentOf(StateFile() + ".bad-1"), last);
    EXPECT_EQ(life.policy(), dax::DefaultPolicy());
    EXPECT_THAT(life->History().back().change, HasSubstr("policy.state.bad-1"));
    ASSERT_TRUE(life->Set(WithDefault(dax::Outcome::kDax)).ok());
  }
  // A flag that was forgotten in a unit's file does not touch a good state.
  Life life(config_);
  EXPECT_EQ(life.policy(), WithDefault(dax::Outcome::kDax));
  EXPECT_FALSE(std::filesystem::exists(StateFile() + ".bad-2"));
}

TEST_F(KeeperTest, NoOtherMachineMayHaveTheDirectory) {
  Life first(config_);
  Life second(config_);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use by another daxvmm, process"));
}

TEST_F(KeeperTest, WhatCannotBeKeptIsRefused) {
  Life life(config_);
  // What makes the next temporary file impossible, for root too.
  ASSERT_EQ(mkdir((StateFile() + ".new").c_str(), 0700), 0);
  const auto refused = life->Set(WithDefault(dax::Outcome::kDax), By("uid 7"));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr(config_.state_dir));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("Is a directory"));
  EXPECT_EQ(life.policy(), dax::DefaultPolicy());
  EXPECT_THAT(AuditLines().back(), HasSubstr("\"result\":\"UNAVAILABLE\""));
  ASSERT_EQ(rmdir((StateFile() + ".new").c_str()), 0);
  EXPECT_EQ(*life->Set(WithDefault(dax::Outcome::kDax), By("uid 7")), 2u);
}

TEST_F(KeeperTest, TheAuditLogTellsWhoDidWhat) {
  config_.state_dir.clear();
  Life life(config_);
  ASSERT_TRUE(life.status().ok()) << life.status();
  EXPECT_TRUE(life->Set(WithDefault(dax::Outcome::kDax), By("uid 7")).ok());
  EXPECT_FALSE(life->ClearOverride("data", dax::OverriddenFile("a\n"), By("uid 8")).ok());
  life.keeper()->AuditRefusal("load-policy-file", {.kind = dax::SourceKind::kFile, .detail = "/p"}, "",
                              absl::InvalidArgumentError("/p:1: bad"));
  EXPECT_THAT(AuditLines(),
              ElementsAre(AllOf(HasSubstr("\"action\":\"start\",\"result\":\"OK\""), HasSubstr("\"to_generation\":1")),
                          AllOf(HasSubstr(
                              "\"action\":\"set-policy\",\"result\":\"OK\",\"who\":\"uid 7\",\"source\":\"request\","
                              "\"from_generation\":1,\"to_generation\":2,\"change\":\"rules 1 -> 0 (removed size), "
                              "default no-dax -> dax\"")),
                          AllOf(HasSubstr("\"action\":\"clear-override\",\"result\":\"NOT_FOUND\",\"who\":\"uid 8\""),
                                HasSubstr("override of data:a\\u000a")),
                          HasSubstr("\"action\":\"load-policy-file\",\"result\":\"INVALID_ARGUMENT\",\"who\":\"/p\"")));
}

}  // namespace
}  // namespace daxvmm
