#include "devices/virtio_fs/dax/policy_store.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

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

}  // namespace
}  // namespace daxvmm::dax
