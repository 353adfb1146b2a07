#include "base/log.h"

#include <atomic>
#include <cstdint>
#include <ctime>
#include <string>
#include <vector>

#include "base/named_thread.h"
#include "gtest/gtest.h"

// The linker sends the library's calls of clock_gettime here, so that minutes need not pass for a test to end.
namespace {
std::atomic<int64_t> g_skipped_seconds{0};
}  // namespace
extern "C" int __real_clock_gettime(clockid_t clock, timespec* now);   // NOLINT(bugprone-reserved-identifier)
extern "C" int __wrap_clock_gettime(clockid_t clock, timespec* now);   // NOLINT(bugprone-reserved-identifier)
extern "C" int __wrap_clock_gettime(clockid_t clock, timespec* now) {  // NOLINT(bugprone-reserved-identifier)
  const int result = __real_clock_gettime(clock, now);
  if (clock == CLOCK_MONOTONIC) now->tv_sec += g_skipped_seconds.load();
  return result;
}

namespace daxvmm {
namespace {

class LogTest : public testing::Test {
 protected:
  LogTest() {
    SetLogSink(
        [](LogLevel level, const char* line, void* self) {
          static_cast<LogTest*>(self)->lines_.push_back(std::to_string(static_cast<int>(level)) + " " + line);
        },
        this);
  }
  ~LogTest() override {
    SetLogSink(nullptr, nullptr);
    SetLogLevel(LogLevel::kWarning);
  }
  std::vector<std::string> lines_;
};

using Lines = std::vector<std::string>;

TEST_F(LogTest, WritesFromTheLevelUp) {
  LOG(kInfo) << "too low";
  LOG(kWarning) << "a " << 1;
  LOG(kError) << "b";
  EXPECT_EQ(lines_, (Lines{"2 a 1", "3 b"}));
  SetLogLevel(LogLevel::kInfo);
  LOG(kInfo) << "now";
  EXPECT_EQ(lines_.back(), "1 now");
}

TEST_F(LogTest, WhatIsNotWrittenIsNotFormatted) {
  int formatted = 0;
  const auto text = [&formatted] {
    ++formatted;
    return "";
  };
  LOG(kDebug) << text();
  LOG_LIMITED(kDebug) << text();
  EXPECT_EQ(formatted, 0);
}

TEST_F(LogTest, DebugLinesSayWhere) {
  SetLogLevel(LogLevel::kDebug);
  LOG(kDebug) << "x";
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_EQ(lines_[0].find("0 log_test.cc:"), 0u) << lines_[0];
}

TEST_F(LogTest, IsOneStatementUnderAnIf) {
  // NOLINTBEGIN(readability-braces-around-statements): that is what is tested.
  if (lines_.empty())
    LOG(kWarning) << "then";
  else
    LOG(kWarning) << "else";
  if (lines_.empty())
    LOG_LIMITED(kWarning) << "then";
  else
    LOG_LIMITED(kWarning) << "else";
  // NOLINTEND(readability-braces-around-statements)
  EXPECT_EQ(lines_, (Lines{"2 then", "2 else"}));
}

TEST_F(LogTest, ParsesItsOwnNames) {
  EXPECT_EQ(ParseLogLevel("debug"), LogLevel::kDebug);
  EXPECT_EQ(ParseLogLevel("info"), LogLevel::kInfo);
  EXPECT_EQ(ParseLogLevel("warning"), LogLevel::kWarning);
  EXPECT_EQ(ParseLogLevel("error"), LogLevel::kError);
  EXPECT_EQ(ParseLogLevel("Error"), std::nullopt);
  EXPECT_EQ(ParseLogLevel(""), std::nullopt);
}

TEST_F(LogTest, ACallSiteIsLimitedToTenLinesAMinuteAndTellsWhatItLeftOut) {
  const auto provoke = [](int i) { LOG_LIMITED(kWarning) << "bad register " << i; };
  for (int i = 0; i < 1000; ++i) provoke(i);
  ASSERT_EQ(lines_.size(), 10u);
  EXPECT_EQ(lines_.front(), "2 bad register 0");
  EXPECT_EQ(lines_.back(), "2 bad register 9");

  LOG_LIMITED(kWarning) << "elsewhere";
  EXPECT_EQ(lines_.back(), "2 elsewhere") << "another call site has its own allowance";

  lines_.clear();
  g_skipped_seconds += 61;
  for (int i = 0; i < 1000; ++i) provoke(i);
  ASSERT_EQ(lines_.size(), 10u);
  EXPECT_EQ(lines_[0], "2 (990 like it left out) bad register 0");
  EXPECT_EQ(lines_[1], "2 bad register 1") << "told once";
}

TEST_F(LogTest, TheLimitHoldsForSeveralThreadsTogether) {
  const auto provoke = [] {
    for (int i = 0; i < 1000; ++i) LOG_LIMITED(kWarning) << i;
  };
  {
    NamedThread one("one", provoke);
    NamedThread two("two", provoke);
  }
  // Two that open the minute together may let some pass twice.
  EXPECT_GE(lines_.size(), 10u);
  EXPECT_LE(lines_.size(), 20u);
}

TEST(LogDeathTest, CheckSaysWhatFailed) {
  const int one = 1;
  CHECK(one == 1) << "not evaluated";
  EXPECT_DEATH(CHECK(one == 2) << "why", "daxvmm: error: log_test.cc:[0-9]+: CHECK failed: one == 2 why");
}

}  // namespace
}  // namespace daxvmm
