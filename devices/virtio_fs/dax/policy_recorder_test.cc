// A store whose changes are recorded before they are in force.
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "devices/virtio_fs/dax/policy_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Policy WithDefault(Outcome outcome) { return Policy{.rules = {}, .default_outcome = outcome}; }

Override OfPath(const std::string& path, std::optional<absl::Time> expires_at = std::nullopt) {
  return {.share_tag = "data", .file = path, .dax = true, .expires_at = expires_at};
}

class FakeRecorder final : public PolicyRecorder {
 public:
  absl::Status Record(const PolicyRecord& next) override {
    calls.push_back(absl::StrCat("record ", next.generation));
    in_force_then = store->generation();
    if (during) during();
    if (!answer.ok()) return answer;
    policy = next.policy;
    overrides = next.overrides;
    history = next.history;
    file_policy = next.file_policy != nullptr ? std::optional(*next.file_policy) : std::nullopt;
    return answer;
  }
  void Attempted(const PolicyAttempt& attempt) override {
    calls.push_back(absl::StrCat("attempted ", attempt.from_generation, "-", attempt.to_generation, " ",
                                 absl::StatusCodeToString(attempt.result.code()), ": ", attempt.change));
    in_force_at_attempt = store->generation();
  }

  PolicyStore* store = nullptr;
  absl::Status answer;
  std::function<void()> during;
  std::vector<std::string> calls;
  uint64_t in_force_then = 0;
  uint64_t in_force_at_attempt = 0;
  Policy policy;
  std::vector<Override> overrides;
  std::vector<PolicyHistoryEntry> history;
  std::optional<Policy> file_policy;
};

class PolicyRecorderTest : public testing::Test {
 protected:
  void SetUp() override {
    recorder_.store = &store_;
    ASSERT_TRUE(store_.StartRecording(&recorder_).ok());
    recorder_.calls.clear();
  }

  PolicyStore store_{WithDefault(Outcome::kNoDax)};
  FakeRecorder recorder_;
};

TEST(PolicyRecorderStartTest, TheFirstGenerationIsRecorded) {
  PolicyStore store(PolicyStart{
      .policy = WithDefault(Outcome::kDax),
      .overrides = {OfPath("a")},
      .source = {.kind = SourceKind::kState, .detail = "/d"},
      .change = "nothing",
      .last_generation = 41,
      .history = {{41, {SourceKind::kStart, ""}, absl::FromUnixSeconds(1), "0 rules", ""}},
  });
  EXPECT_EQ(store.generation(), 42u);
  EXPECT_EQ(store.Get()->source.kind, SourceKind::kState);
  EXPECT_THAT(store.Get()->compiled->overrides(), ElementsAre(OfPath("a")));
  FakeRecorder recorder;
  recorder.store = &store;
  ASSERT_TRUE(store.StartRecording(&recorder).ok());
  EXPECT_THAT(recorder.calls, ElementsAre("record 42", "attempted 41-42 OK: nothing"));
  ASSERT_EQ(recorder.history.size(), 2u);
  EXPECT_EQ(recorder.history[0].generation, 41u);
  EXPECT_EQ(recorder.history[1].generation, 42u);
  EXPECT_EQ(recorder.history[1].summary, "0 rules, default dax, 1 override");
}

TEST(PolicyRecorderStartTest, AStartThatCannotBeRecordedIsAnError) {
  PolicyStore store(WithDefault(Outcome::kDax));
  FakeRecorder recorder;
  recorder.store = &store;
  recorder.answer = absl::UnavailableError("full");
  EXPECT_EQ(store.StartRecording(&recorder).code(), absl::StatusCode::kUnavailable);
  recorder.calls.clear();
  EXPECT_TRUE(store.Set(WithDefault(Outcome::kNoDax)).ok());
  EXPECT_THAT(recorder.calls, ElementsAre());
}

TEST_F(PolicyRecorderTest, EachChangeIsRecordedBeforeItIsInForce) {
  ASSERT_EQ(*store_.Set(WithDefault(Outcome::kDax)), 2u);
  EXPECT_EQ(recorder_.in_force_then, 1u);
  EXPECT_EQ(recorder_.in_force_at_attempt, 1u) << "who wants to know of each change must know before it has an effect";
  EXPECT_EQ(recorder_.policy, WithDefault(Outcome::kDax));
  ASSERT_EQ(*store_.SetOverride(OfPath("a"), {}), 3u);
  EXPECT_THAT(recorder_.overrides, ElementsAre(OfPath("a")));
  ASSERT_EQ(*store_.ClearOverride("data", OverriddenFile("a"), {}), 4u);
  EXPECT_THAT(recorder_.calls, ElementsAre("record 2", "attempted 1-2 OK: default no-dax -> dax", "record 3",
                                           "attempted 2-3 OK: override of data:a: none -> dax", "record 4",
                                           "attempted 3-4 OK: override of data:a: dax -> none"));
  ASSERT_EQ(recorder_.history.size(), 4u);
  EXPECT_EQ(recorder_.history, store_.History());
}

TEST_F(PolicyRecorderTest, WhatCannotBeRecordedIsRefused) {
  recorder_.answer = absl::UnavailableError("the disk is full");
  const auto refused = store_.Set(WithDefault(Outcome::kDax));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("the disk is full"));
  EXPECT_EQ(store_.SetOverride(OfPath("a"), {}).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(store_.generation(), 1u);
  EXPECT_EQ(store_.Get()->compiled->policy(), WithDefault(Outcome::kNoDax));
  EXPECT_TRUE(store_.Get()->compiled->overrides().empty());
  EXPECT_EQ(store_.History().size(), 1u);
  EXPECT_THAT(recorder_.calls[1], HasSubstr("attempted 1-0 UNAVAILABLE: default no-dax -> dax"));
  recorder_.answer = absl::OkStatus();
  EXPECT_EQ(*store_.Set(WithDefault(Outcome::kDax)), 2u);
}

TEST_F(PolicyRecorderTest, ANumberThatMayBeOnDiskIsNotUsedAgain) {
  recorder_.answer = absl::DataLossError("the disk failed");
  EXPECT_EQ(store_.Set(WithDefault(Outcome::kDax)).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(store_.generation(), 1u);
  recorder_.answer = absl::OkStatus();
  EXPECT_EQ(*store_.Set(WithDefault(Outcome::kAdaptive)), 3u);
}

TEST_F(PolicyRecorderTest, RefusalsAreToldOf) {
  EXPECT_FALSE(store_.Set(Policy{.rules = {Rule{}}}).ok());
  EXPECT_FALSE(store_.Set(WithDefault(Outcome::kDax), {.expected_generation = 7}).ok());
  EXPECT_FALSE(store_.SetOverride(OfPath("/a"), {}).ok());
  EXPECT_FALSE(store_.ClearOverride("data", OverriddenFile("a"), {}).ok());
  store_.SetWatchedFile("/p");
  EXPECT_FALSE(store_.Set(WithDefault(Outcome::kDax), {.source = {.kind = SourceKind::kRequest}}).ok());
  EXPECT_THAT(recorder_.calls, ElementsAre("attempted 1-0 INVALID_ARGUMENT: 1 rule, default no-dax",
                                           "attempted 1-0 ABORTED: 0 rules, default dax",
                                           "attempted 1-0 INVALID_ARGUMENT: override of data:/a: none -> dax",
                                           "attempted 1-0 NOT_FOUND: override of data:a: no-dax -> none",
                                           "attempted 1-0 FAILED_PRECONDITION: 0 rules, default dax"));
}

TEST_F(PolicyRecorderTest, WhatTheFileSaidGoesAlong) {
  const Policy of_file = WithDefault(Outcome::kAdaptive);
  ASSERT_TRUE(store_.Set(WithDefault(Outcome::kDax), {.file_policy = &of_file}).ok());
  EXPECT_EQ(recorder_.file_policy, of_file);
  ASSERT_TRUE(store_.Set(WithDefault(Outcome::kDax)).ok());
  EXPECT_EQ(recorder_.file_policy, std::nullopt);
}

// Readers, from other threads, while a change waits for the disk: none of these may return only afterwards.
TEST_F(PolicyRecorderTest, ReadersDoNotWaitForTheRecorder) {
  recorder_.during = [this] {
    std::mutex mu;
    std::condition_variable done;
    bool read = false;
    std::thread reader([&] {
      EXPECT_EQ(store_.Get()->generation, 1u);
      EXPECT_EQ(store_.Current().generation, 1u);
      EXPECT_EQ(store_.generation(), 1u);
      EXPECT_EQ(store_.History().size(), 1u);
      EXPECT_EQ(store_.watched_file(), "");
      const std::lock_guard lock(mu);
      read = true;
      done.notify_one();
    });
    {
      std::unique_lock lock(mu);
      ASSERT_TRUE(done.wait_for(lock, std::chrono::seconds(30), [&] { return read; }))
          << "a reader waited for the recorder";
    }
    reader.join();
  };
  EXPECT_EQ(*store_.Set(WithDefault(Outcome::kDax)), 2u);
}

TEST_F(PolicyRecorderTest, AnExpiryThatCannotBeRecordedWaits) {
  const absl::Time expiry = absl::Now() + absl::Hours(1);
  ASSERT_TRUE(store_.SetOverride(OfPath("a", expiry), {}).ok());
  recorder_.answer = absl::UnavailableError("full");
  const absl::Time later = expiry + absl::Seconds(1);
  EXPECT_EQ(store_.ExpireOverrides(later), later + PolicyStore::kRecordRetry);
  EXPECT_EQ(store_.generation(), 2u);
  EXPECT_EQ(store_.Get()->compiled->overrides().size(), 1u);
  recorder_.answer = absl::OkStatus();
  EXPECT_EQ(store_.ExpireOverrides(later), std::nullopt);
  EXPECT_EQ(store_.generation(), 3u);
  EXPECT_TRUE(recorder_.overrides.empty());
  EXPECT_EQ(recorder_.history.back().change, "1 override ran out");
}

}  // namespace
}  // namespace daxvmm::dax
