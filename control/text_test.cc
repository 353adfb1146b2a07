#include "control/text.h"

#include <random>
#include <string>

#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

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

TEST(PathText, EveryPairOfBytesComesBack) {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string bytes = std::string("\xc3\xa9") + static_cast<char>(a) + static_cast<char>(b) + "x41z";
      const std::string text = ToPathText(bytes);
      ASSERT_EQ(FromPathText(text), bytes) << a << " " << b;
      ASSERT_EQ(EscapeNonUtf8(text), text) << "not UTF-8: " << a << " " << b;
    }
  }
}

TEST(PathText, RandomBackslashesComeBack) {
  std::mt19937 random(7);
  constexpr char kAlphabet[] = "\\x4aF5c\xe9/";
  for (int i = 0; i < 100000; ++i) {
    std::string bytes;
    for (size_t n = random() % 12; n > 0; --n) bytes += kAlphabet[random() % (sizeof(kAlphabet) - 1)];
    ASSERT_EQ(FromPathText(ToPathText(bytes)), bytes) << bytes;
  }
}

TEST(PathText, OnlyWhatHasToBeIsEscaped) {
  EXPECT_EQ(ToPathText("usr/lib/**/*.so"), "usr/lib/**/*.so");
  EXPECT_EQ(ToPathText("a\\*b\\"), "a\\*b\\");
  EXPECT_EQ(ToPathText("\\x4"), "\\x4");
  EXPECT_EQ(ToPathText("\\x41"), "\\x5cx41");
  EXPECT_EQ(ToPathText("caf\xe9"), "caf\\xe9");
  EXPECT_EQ(FromPathText("caf\\xE9"), "caf\xe9");
  EXPECT_EQ(FromPathText("\\x4g\\x"), "\\x4g\\x");
}

TEST(DurationTextTest, SaysSecondsAsShortAsTheyAre) {
  EXPECT_EQ(DurationText(absl::ZeroDuration()), "0 s");
  EXPECT_EQ(DurationText(-absl::Seconds(3)), "0 s");
  EXPECT_EQ(DurationText(absl::Microseconds(1)), "0.001 s");
  EXPECT_EQ(DurationText(absl::Milliseconds(400)), "0.4 s");
  EXPECT_EQ(DurationText(absl::Seconds(1)), "1 s");
  EXPECT_EQ(DurationText(absl::Seconds(86400)), "86400 s");
  EXPECT_EQ(DurationText(absl::InfiniteDuration()), "ever");
}

}  // namespace
}  // namespace daxvmm::control
