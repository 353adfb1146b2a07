#include "control/ctl/top/figures.h"

#include <limits>
#include <numeric>

#include "gtest/gtest.h"

namespace daxvmm::control::top {
namespace {

TEST(FiguresTest, NumbersTakeSixColumns) {
  EXPECT_EQ(CompactCount(0), "0");
  EXPECT_EQ(CompactCount(99999), "99999");
  EXPECT_EQ(CompactCount(123456), "123k");
  EXPECT_EQ(CompactCount(999600), "1M") << "not 1000k";
  EXPECT_EQ(CompactCount(4500000), "4.5M");
  EXPECT_EQ(CompactSize(0), "0");
  EXPECT_EQ(CompactSize(32767), "32767");
  EXPECT_EQ(CompactSize(32768), "32K");
  EXPECT_EQ(CompactSize(3 << 19), "1.5M");
  EXPECT_EQ(CompactSize(uint64_t{1} << 40), "1T");
  EXPECT_EQ(CompactRate(0), "0.0");
  EXPECT_EQ(CompactRate(12.34), "12.3");
  EXPECT_EQ(CompactRate(1234.5), "1234");
  EXPECT_EQ(CompactRate(56000000), "56M");
  EXPECT_EQ(CompactRate(std::numeric_limits<double>::quiet_NaN()), "-");
  for (uint64_t n = 1; n != 0; n *= 2) {
    for (const uint64_t near : {n - 1, n, n + n / 3}) {
      EXPECT_LE(CompactCount(near).size(), 6u) << near;
      EXPECT_LE(CompactSize(near).size(), 6u) << near;
      EXPECT_LE(CompactRate(static_cast<double>(near)).size(), 6u) << near;
    }
  }
}

TEST(FiguresTest, Durations) {
  EXPECT_EQ(CompactDuration(absl::Seconds(-3)), "0s");
  EXPECT_EQ(CompactDuration(absl::Seconds(42.9)), "42s");
  EXPECT_EQ(CompactDuration(absl::Minutes(12)), "12m");
  EXPECT_EQ(CompactDuration(absl::Minutes(185)), "3h05m");
  EXPECT_EQ(CompactDuration(absl::Hours(123)), "5d3h");
}

TEST(FiguresTest, Sparklines) {
  EXPECT_EQ(Sparkline({}, 10, Charset::kAscii), "");
  EXPECT_EQ(Sparkline({0, 0}, 10, Charset::kAscii), "__");
  EXPECT_EQ(Sparkline({0, 0.001, 3.5, 7}, 10, Charset::kAscii), "_.=#") << "what is not 0 is told from 0";
  EXPECT_EQ(Sparkline({9, 0, 1}, 2, Charset::kAscii), "_#") << "the newest, by the highest of them";
  EXPECT_EQ(Sparkline({0, 1}, 2, Charset::kUtf8), "\xe2\x96\x81\xe2\x96\x88");
  EXPECT_EQ(Sparkline({1}, -3, Charset::kAscii), "");
}

TEST(FiguresTest, DividesInProportion) {
  EXPECT_EQ(Divide({0, 0}, 10), (std::vector<int>{0, 0}));
  EXPECT_EQ(Divide({5, 5}, 10), (std::vector<int>{5, 5}));
  EXPECT_EQ(Divide({1000000, 1, 0}, 10), (std::vector<int>{9, 1, 0})) << "a part that is there is seen";
  EXPECT_EQ(Divide({1, 1, 1}, 2), (std::vector<int>{1, 1, 0}));
  for (int columns = 1; columns < 40; ++columns) {
    for (const std::vector<uint64_t>& counts :
         {std::vector<uint64_t>{1, 2, 3, 4}, {7, 0, 1, ~uint64_t{0}}, {1, 1, 1, 1000}, {1000, 1, 1, 1}}) {
      const std::vector<int> parts = Divide(counts, columns);
      EXPECT_EQ(std::accumulate(parts.begin(), parts.end(), 0), columns);
      for (const int part : parts) EXPECT_GE(part, 0);
    }
  }
}

}  // namespace
}  // namespace daxvmm::control::top
