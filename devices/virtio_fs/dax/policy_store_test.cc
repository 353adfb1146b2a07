#include "devices/virtio_fs/dax/policy_store.h"

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "base/error_reason.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

using ::testing::HasSubstr;

Policy WithDefault(Outcome outcome) { return Policy{.rules = {}, .default_outcome = outcome}; }

PolicyStore::SetOptions Expecting(uint64_t generation) { return {.expected_generation = generation}; }

TEST(PolicyStoreTest, GenerationsCountFromOne) {
  PolicyStore store(WithDefault(Outcome::kNoDax));
  EXPECT_EQ(store.generation(), 1u);
  EXPECT_EQ(store.Get()->generation, 1u);
  const auto before = store.Get();
  const absl::StatusOr<uint64_t> set = store.Set(WithDefault(Outcome::kDax), {});
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(*set, 2u);
  EXPECT_EQ(store.generation(), 2u);
  EXPECT_EQ(store.Get()->compiled->policy(), WithDefault(Outcome::kDax));
  EXPECT_EQ(before->compiled->policy(), WithDefault(Outcome::kNoDax)) << "a snapshot must not change";
}

TEST(PolicyStoreTest, SettingTheSamePolicyIsANewGeneration) {
  PolicyStore store(DefaultPolicy());
  EXPECT_EQ(*store.Set(DefaultPolicy(), {}), 2u);
}

TEST(PolicyStoreTest, ExpectedGeneration) {
  PolicyStore store(WithDefault(Outcome::kNoDax));
  EXPECT_EQ(*store.Set(WithDefault(Outcome::kDax), Expecting(1)), 2u);
  const absl::StatusOr<uint64_t> stale = store.Set(WithDefault(Outcome::kNoDax), Expecting(1));
  EXPECT_EQ(stale.status().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(stale.status().message()), HasSubstr("generation 2 is in force"));
  EXPECT_EQ(store.Get()->compiled->policy(), WithDefault(Outcome::kDax)) << "the old policy must stay";
  EXPECT_EQ(store.generation(), 2u);
}

TEST(PolicyStoreTest, AnEtagNamesOneGenerationOfOneStore) {
  PolicyStore store(WithDefault(Outcome::kNoDax));
  PolicyStore other(WithDefault(Outcome::kNoDax));
  EXPECT_NE(store.EtagOf(1), other.EtagOf(1));
  EXPECT_NE(store.EtagOf(1), store.EtagOf(2));
  EXPECT_EQ(*store.Set(WithDefault(Outcome::kDax), {.expected_etag = store.EtagOf(1)}), 2u);
  for (const std::string& etag : {store.EtagOf(1), store.EtagOf(3), other.EtagOf(2), std::string("2"), std::string()}) {
    const absl::Status set = store.Set(WithDefault(Outcome::kNoDax), {.expected_etag = etag}).status();
    if (etag.empty()) {
      EXPECT_TRUE(set.ok()) << set;
      continue;
    }
    EXPECT_EQ(set.code(), absl::StatusCode::kAborted) << etag;
    EXPECT_EQ(ReasonOf(set), "STALE_ETAG");
    EXPECT_EQ(FactsOfReason(set)["etag"], store.EtagOf(2));
  }
  const Override one = {.share_tag = "data", .file = std::string("f"), .dax = true};
  EXPECT_EQ(ReasonOf(store.SetOverride(one, {.expected_etag = store.EtagOf(2)}).status()), "STALE_ETAG");
  EXPECT_EQ(*store.SetOverride(one, {.expected_etag = store.EtagOf(3)}), 4u);
  EXPECT_EQ(ReasonOf(store.ClearOverride("data", one.file, {.expected_etag = store.EtagOf(3)}).status()), "STALE_ETAG");
  // Both must hold.
  EXPECT_EQ(ReasonOf(store.Set({}, {.expected_generation = 3, .expected_etag = store.EtagOf(4)}).status()),
            "STALE_GENERATION");
}

TEST(PolicyStoreTest, PartsAreTakenOfThePolicyAndTheRestStays) {
  const Policy first = {.rules = {{.name = "a", .outcome = Outcome::kDax}},
                        .default_outcome = Outcome::kNoDax,
                        .enforcement = Enforcement::kAdvisory};
  const Policy second = {.rules = {{.name = "b", .outcome = Outcome::kNoDax}},
                         .default_outcome = Outcome::kDax,
                         .enforcement = Enforcement::kDeny};
  PolicyStore store(first);
  ASSERT_TRUE(store.Set(second, {.parts = {.rules = false, .default_outcome = true, .enforcement = false}}).ok());
  Policy expected = first;
  expected.default_outcome = Outcome::kDax;
  EXPECT_EQ(store.Get()->compiled->policy(), expected);
  ASSERT_TRUE(store.Set(second, {.parts = {.rules = true, .default_outcome = false, .enforcement = true}}).ok());
  EXPECT_EQ(store.Get()->compiled->policy(), second);
}

TEST(PolicyStoreTest, WhatWouldBeSetIsCheckedAndNotSet) {
  PolicyStore store(WithDefault(Outcome::kNoDax));
  const Override one = {.share_tag = "data", .file = std::string("f"), .dax = true};
  ASSERT_TRUE(store.SetOverride(one, {}).ok());
  const auto would = store.WouldSet(WithDefault(Outcome::kDax), Expecting(2));
  ASSERT_TRUE(would.ok()) << would.status();
  EXPECT_EQ((*would)->compiled->policy(), WithDefault(Outcome::kDax));
  EXPECT_EQ((*would)->compiled->overrides().size(), 1u) << "overrides stay";
  EXPECT_EQ((*would)->generation, 3u);
  EXPECT_EQ(store.generation(), 2u);
  EXPECT_EQ(store.Get()->compiled->policy(), WithDefault(Outcome::kNoDax));
  EXPECT_EQ(store.WouldSet(WithDefault(Outcome::kDax), Expecting(1)).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(store.WouldSet({.rules = {{}}}, {}).status().code(), absl::StatusCode::kInvalidArgument);
  store.SetWatchedFile("/p");
  const PolicyStore::SetOptions request = {.source = {.kind = SourceKind::kRequest}};
  EXPECT_EQ(ReasonOf(store.WouldSet(WithDefault(Outcome::kDax), request).status()), "POLICY_FILE_WATCHED");
}

TEST(PolicyStoreTest, RefusesAnInvalidPolicyAndKeepsTheOldOne) {
  PolicyStore store(DefaultPolicy());
  Policy bad;
  bad.rules.emplace_back();
  EXPECT_EQ(store.Set(bad, {}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store.Get()->compiled->policy(), DefaultPolicy());
  EXPECT_EQ(store.generation(), 1u);
}

TEST(PolicyStoreDeathTest, StartsWithAValidPolicyOnly) {
  Policy bad;
  bad.rules.emplace_back();
  EXPECT_DEATH(PolicyStore store(bad), "rules\\[0\\].name");
}

// Each policy carries its generation in its one rule's threshold, so a torn or stale pair shows.
Policy Marked(uint64_t generation) {
  Rule rule;
  rule.name = "g" + std::to_string(generation);
  rule.size_at_least = ByteCount(generation);
  return Policy{.rules = {rule}, .default_outcome = Outcome::kNoDax};
}

TEST(PolicyStoreTest, ReadersSeeWholePoliciesInOrder) {
  constexpr uint64_t kLast = 2000;
  PolicyStore store(Marked(1));
  std::atomic<int> faults{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      for (uint64_t seen = 0; seen < kLast;) {
        const std::shared_ptr<const PolicySnapshot> now = store.Get();
        if (now->generation < seen || now->compiled->policy().rules[0].size_at_least != ByteCount(now->generation))
          ++faults;
        seen = now->generation;
      }
    });
  }
  for (uint64_t generation = 2; generation <= kLast; ++generation) {
    ASSERT_EQ(*store.Set(Marked(generation), Expecting(generation - 1)), generation);
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(faults.load(), 0);
}

TEST(PolicyStoreTest, OfTwoWritersWithOneExpectationOneWins) {
  PolicyStore store(DefaultPolicy());
  std::atomic<int> won{0};
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&] { won += store.Set(DefaultPolicy(), Expecting(1)).ok() ? 1 : 0; });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(won.load(), 1);
  EXPECT_EQ(store.generation(), 2u);
}

PolicyStore::SetOptions By(SourceKind kind, std::string detail = "") {
  return {.source = {.kind = kind, .detail = std::move(detail)}};
}

TEST(PolicyStoreTest, TellsWhereAPolicyCameFromAndSinceWhen) {
  const absl::Time before = absl::Now();
  PolicyStore store(DefaultPolicy(), {.kind = SourceKind::kStart, .detail = "--policy size"});
  EXPECT_EQ(store.Get()->source.kind, SourceKind::kStart);
  EXPECT_EQ(store.Get()->source.detail, "--policy size");
  ASSERT_TRUE(store.Set(DefaultPolicy(), By(SourceKind::kRequest, "uid 0, pid 1")).ok());
  const auto now = store.Get();
  EXPECT_EQ(now->source.kind, SourceKind::kRequest);
  EXPECT_EQ(now->source.detail, "uid 0, pid 1");
  EXPECT_GE(now->since, before);
  EXPECT_LE(now->since, absl::Now());
}

TEST(PolicyStoreTest, TellsAnObserverOfEachChangeOnceItIsInForce) {
  PolicyStore store(DefaultPolicy());
  std::vector<std::string> told;
  store.SetObserver([&](const PolicyHistoryEntry& change) {
    EXPECT_EQ(store.generation(), change.generation);
    told.push_back(std::to_string(change.generation) + " " + change.source.detail);
  });
  ASSERT_TRUE(store.Set(DefaultPolicy(), By(SourceKind::kRequest, "a")).ok());
  ASSERT_TRUE(store
                  .SetOverride({.share_tag = "s", .file = "f", .dax = true, .expires_at = absl::Now() + absl::Hours(1)},
                               By(SourceKind::kRequest, "b"))
                  .ok());
  EXPECT_FALSE(store.ClearOverride("s", "none", By(SourceKind::kRequest, "no")).ok());
  store.ExpireOverrides(absl::Now());
  store.ExpireOverrides(absl::Now() + absl::Hours(2));
  EXPECT_EQ(told, (std::vector<std::string>{"2 a", "3 b", "4 1 override"}));
}

TEST(PolicyStoreTest, KeepsAHistory) {
  PolicyStore store(DefaultPolicy());
  ASSERT_TRUE(store.Set(WithDefault(Outcome::kAdaptive), By(SourceKind::kFile, "/etc/policy")).ok());
  ASSERT_TRUE(store.SetOverride({.share_tag = "s", .file = NodeId(2)}, By(SourceKind::kRequest)).ok());
  const std::vector<PolicyHistoryEntry> history = store.History();
  ASSERT_EQ(history.size(), 3u);
  EXPECT_EQ(history[0].generation, 1u);
  EXPECT_EQ(history[0].summary, "1 rule, default no-dax");
  EXPECT_EQ(history[1].generation, 2u);
  EXPECT_EQ(history[1].source.kind, SourceKind::kFile);
  EXPECT_EQ(history[1].source.detail, "/etc/policy");
  EXPECT_EQ(history[1].summary, "0 rules, default adaptive");
  EXPECT_EQ(history[2].summary, "0 rules, default adaptive, 1 override");
  EXPECT_LE(history[0].since, history[2].since);
}

TEST(PolicyStoreTest, TheHistoryIsBounded) {
  PolicyStore store(DefaultPolicy());
  for (size_t i = 0; i < PolicyStore::kMaxHistory + 10; ++i) ASSERT_TRUE(store.Set(DefaultPolicy()).ok());
  const std::vector<PolicyHistoryEntry> history = store.History();
  ASSERT_EQ(history.size(), PolicyStore::kMaxHistory);
  EXPECT_EQ(history.front().generation, 12u);
  EXPECT_EQ(history.back().generation, store.generation());
}

TEST(PolicyStoreTest, AWatchedFileRefusesRequests) {
  PolicyStore store(DefaultPolicy());
  store.SetWatchedFile("/etc/dax.json");
  EXPECT_EQ(store.watched_file(), "/etc/dax.json");
  const Policy never = WithDefault(Outcome::kNoDax);
  const absl::StatusOr<uint64_t> refused = store.Set(never, By(SourceKind::kRequest));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("/etc/dax.json"));
  EXPECT_EQ(store.Get()->compiled->policy(), DefaultPolicy());
  EXPECT_TRUE(store.Set(never, By(SourceKind::kFile)).ok());
  PolicyStore::SetOptions force = By(SourceKind::kRequest);
  force.force = true;
  EXPECT_TRUE(store.Set(DefaultPolicy(), force).ok());
  EXPECT_TRUE(store.SetOverride({.share_tag = "s", .file = "a"}, By(SourceKind::kRequest)).ok())
      << "overrides are no part of the file";
  store.SetWatchedFile("");
  EXPECT_TRUE(store.Set(never, By(SourceKind::kRequest)).ok());
}

TEST(PolicyStoreTest, CurrentIsWhatIsInForceForEachStore) {
  PolicyStore a(WithDefault(Outcome::kDax));
  EXPECT_EQ(a.Current().generation, 1u);
  EXPECT_EQ(&a.Current(), a.Get().get());
  {
    PolicyStore b(WithDefault(Outcome::kNoDax));
    EXPECT_EQ(&b.Current(), b.Get().get()) << "the generation is the same, the store is not";
    EXPECT_EQ(&a.Current(), a.Get().get());
    EXPECT_EQ(&b.Current(), b.Get().get());
  }
  ASSERT_TRUE(a.Set(WithDefault(Outcome::kAdaptive)).ok());
  EXPECT_EQ(a.Current().generation, 2u);
  EXPECT_EQ(&a.Current(), a.Get().get());
  // Most likely in the place of the one that is gone.
  PolicyStore c(WithDefault(Outcome::kNoDax));
  EXPECT_EQ(&c.Current(), c.Get().get());
}

TEST(PolicyStoreTest, OverridesAreSetReplacedAndCleared) {
  PolicyStore store(DefaultPolicy());
  const OverriddenFile by_path = "a/b";
  EXPECT_EQ(*store.SetOverride({.share_tag = "s", .file = by_path, .dax = true, .note = "why"}, {}), 2u);
  EXPECT_EQ(*store.SetOverride({.share_tag = "t", .file = by_path, .dax = true}, {}), 3u);
  EXPECT_EQ(*store.SetOverride({.share_tag = "s", .file = NodeId(5), .dax = true}, {}), 4u);
  EXPECT_EQ(*store.SetOverride({.share_tag = "s", .file = by_path, .dax = false}, {}), 5u);
  const std::vector<Override> overrides = store.Get()->compiled->overrides();
  ASSERT_EQ(overrides.size(), 3u);
  EXPECT_EQ(overrides[0], (Override{.share_tag = "s", .file = by_path, .dax = false}));

  EXPECT_EQ(*store.ClearOverride("s", by_path, {}), 6u);
  EXPECT_EQ(store.ClearOverride("s", by_path, {}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store.ClearOverride("u", by_path, {}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store.Get()->compiled->overrides().size(), 2u);
  EXPECT_EQ(store.generation(), 6u);
}

TEST(PolicyStoreTest, OverridesSurviveANewPolicy) {
  PolicyStore store(DefaultPolicy());
  ASSERT_TRUE(store.SetOverride({.share_tag = "s", .file = NodeId(5), .dax = true}, {}).ok());
  ASSERT_TRUE(store.Set(WithDefault(Outcome::kNoDax)).ok());
  const CompiledPolicy& compiled = *store.Current().compiled;
  EXPECT_EQ(compiled.overrides().size(), 1u);
  const RuleClass rule_class = compiled.Classify({.share_tag = "s", .node = NodeId(5)});
  EXPECT_EQ(compiled.Decide(rule_class, {.regular_file = true}).rule, kOverrideRule);
}

TEST(PolicyStoreTest, RefusesOverrides) {
  PolicyStore store(DefaultPolicy());
  const auto code = [&](Override override, PolicyStore::SetOptions options = {}) {
    return store.SetOverride(std::move(override), options).status().code();
  };
  EXPECT_EQ(code({.share_tag = "s", .file = ""}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({.share_tag = "s", .file = "a/../b"}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({.share_tag = "s", .file = "a", .expires_at = absl::Now() - absl::Seconds(1)}),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({.share_tag = "s", .file = "a"}, Expecting(7)), absl::StatusCode::kAborted);
  EXPECT_EQ(store.ClearOverride("s", "a", Expecting(7)).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(store.generation(), 1u);
  EXPECT_EQ(code({.share_tag = "s", .file = "a"}, Expecting(1)), absl::StatusCode::kOk);
}

TEST(PolicyStoreTest, OverridesRunOut) {
  PolicyStore store(DefaultPolicy());
  EXPECT_EQ(store.ExpireOverrides(absl::Now()), std::nullopt);
  const absl::Time first = absl::Now() + absl::Hours(1);
  const absl::Time second = first + absl::Hours(1);
  ASSERT_TRUE(store.SetOverride({.share_tag = "s", .file = "2", .expires_at = second}, {}).ok());
  ASSERT_TRUE(store.SetOverride({.share_tag = "s", .file = "1", .expires_at = first}, {}).ok());
  ASSERT_TRUE(store.SetOverride({.share_tag = "s", .file = "ever"}, {}).ok());
  EXPECT_EQ(store.ExpireOverrides(first - absl::Nanoseconds(1)), first);
  EXPECT_EQ(store.generation(), 4u) << "nothing ran out";
  EXPECT_EQ(store.ExpireOverrides(first), second);
  EXPECT_EQ(store.generation(), 5u);
  EXPECT_EQ(store.Get()->source.kind, SourceKind::kExpiry);
  EXPECT_EQ(store.Get()->source.detail, "1 override");
  EXPECT_EQ(store.Get()->compiled->overrides().size(), 2u);
  EXPECT_EQ(store.ExpireOverrides(absl::InfiniteFuture()), std::nullopt);
  ASSERT_EQ(store.Get()->compiled->overrides().size(), 1u);
  EXPECT_EQ(store.Get()->compiled->overrides()[0].file, OverriddenFile("ever"));
}

// What a policy says follows from its generation, by a rule that a class decides.
Policy OfGeneration(uint64_t generation) {
  Rule rule;
  rule.name = "rule";
  rule.paths = {generation % 2 == 0 ? "**/*.so" : "**/*.a"};
  return Policy{.rules = {rule}, .default_outcome = Outcome::kDax};
}

TEST(PolicyStoreTest, ClassifiesAndDecidesWhileThePolicyChanges) {
  constexpr uint64_t kLast = 300;
  PolicyStore store(OfGeneration(1));
  std::atomic<int> faults{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&store, &faults] {
      for (uint64_t seen = 0; seen < kLast;) {
        const PolicySnapshot& now = store.Current();
        if (now.generation < seen) ++faults;
        seen = now.generation;
        const auto path = [] { return std::optional<std::string>("lib/x.so"); };
        const RuleClass rule_class = now.compiled->Classify({.share_tag = "s", .path = path});
        const bool dax = now.compiled->Decide(rule_class, {.regular_file = true}).dax;
        if (dax != (now.generation % 2 != 0)) ++faults;
      }
    });
  }
  for (uint64_t generation = 2; generation <= kLast; ++generation) {
    ASSERT_EQ(*store.Set(OfGeneration(generation), Expecting(generation - 1)), generation);
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(faults.load(), 0);
}

}  // namespace
}  // namespace daxvmm::dax
