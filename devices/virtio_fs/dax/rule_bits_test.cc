#include "devices/virtio_fs/dax/rule_bits.h"

#include <limits>
#include <random>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

TEST(RuleBitsTest, AllHasNoBitsPastTheLastRule) {
  for (const size_t rules : {0, 1, 63, 64, 65, 128, 1000}) {
    RuleBits all = RuleBits::All(rules);
    size_t bits = 0;
    for (const uint64_t word : all.words()) bits += static_cast<size_t>(__builtin_popcountll(word));
    EXPECT_EQ(bits, rules);
    EXPECT_EQ(all.words().size(), (rules + 63) / 64);
    EXPECT_EQ(all.Any(), rules > 0);
    EXPECT_FALSE(RuleBits::None(rules).Any());
  }
}

TEST(RuleBitsTest, SetsAndTheirIntersection) {
  RuleBits a = RuleBits::None(130);
  RuleBits b = RuleBits::None(130);
  a.Set(0);
  a.Set(129);
  b.Set(64);
  EXPECT_FALSE(a.Intersects(b));
  b.Set(129);
  EXPECT_TRUE(a.Intersects(b));
  RuleBits both = a;
  both &= b;
  EXPECT_TRUE(both.Test(129));
  EXPECT_FALSE(both.Test(0));
  EXPECT_FALSE(both.Test(64));
  a.Reset(129);
  EXPECT_FALSE(a.Test(129));
  EXPECT_TRUE(a.Test(0));
}

TEST(IntervalBitsTest, IsUnusedIfNoRuleAsks) {
  EXPECT_FALSE(IntervalBits().used());
  EXPECT_FALSE(IntervalBits(5, {}).used());
}

TEST(IntervalBitsTest, BoundsAreIncludedUpToTheLargestValue) {
  const IntervalBits bits(
      4, {{.rule = 0, .first = 10, .last = 19}, {.rule = 1, .first = 20}, {.rule = 2, .first = kMax, .last = kMax}});
  const auto holding = [&](uint64_t value) { return *bits.RowOf(value); };
  EXPECT_EQ(holding(0), 0b1000u);
  EXPECT_EQ(holding(9), 0b1000u);
  EXPECT_EQ(holding(10), 0b1001u);
  EXPECT_EQ(holding(19), 0b1001u);
  EXPECT_EQ(holding(20), 0b1010u);
  EXPECT_EQ(holding(kMax - 1), 0b1010u);
  EXPECT_EQ(holding(kMax), 0b1110u);
}

TEST(IntervalBitsTest, AgreesWithTheIntervalsThemselves) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    const size_t rules = 1 + random() % 150;
    std::vector<IntervalBits::Interval> intervals;
    std::set<size_t> asking;
    for (size_t rule = 0; rule < rules; ++rule) {
      if (random() % 3 == 0) continue;
      const uint64_t first = random() % 50;
      intervals.push_back({.rule = rule, .first = first, .last = random() % 4 == 0 ? kMax : first + random() % 20});
      asking.insert(rule);
    }
    if (intervals.empty()) continue;
    const IntervalBits bits(rules, intervals);
    for (uint64_t value = 0; value < 80; ++value) {
      RuleBits expected = RuleBits::All(rules);
      for (const IntervalBits::Interval& interval : intervals) {
        if (value < interval.first || value > interval.last) expected.Reset(interval.rule);
      }
      const uint64_t* row = bits.RowOf(value);
      EXPECT_EQ(std::vector<uint64_t>(row, row + expected.words().size()), expected.words()) << "value " << value;
    }
  }
}

}  // namespace
}  // namespace daxvmm::dax
