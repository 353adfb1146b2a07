#include "control/ctl/top/glyphs.h"

#include <clocale>

#include "gtest/gtest.h"

namespace daxvmm::control::top {
namespace {

constexpr Charset kUtf8 = Charset::kUtf8;
constexpr Charset kAscii = Charset::kAscii;

class GlyphsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(std::setlocale(LC_CTYPE, "C.UTF-8"), nullptr) << "the C library brings it";
    ASSERT_EQ(LocaleCharset(), kUtf8);
  }
  void TearDown() override { std::setlocale(LC_CTYPE, "C"); }
};

TEST_F(GlyphsTest, WhatDoesNotBelongOnAScreenIsEscaped) {
  EXPECT_EQ(Printable("plain", kUtf8), "plain");
  EXPECT_EQ(Printable("a\tb\x1b[2J\x7f", kUtf8), "a\\x09b\\x1b[2J\\x7f");
  EXPECT_EQ(Printable("caf\xe9", kUtf8), "caf\\xe9") << "no UTF-8";
  EXPECT_EQ(Printable("caf\xc3\xa9", kUtf8), "caf\xc3\xa9");
  EXPECT_EQ(Printable("caf\xc3\xa9", kAscii), "caf\\xc3\\xa9");
  EXPECT_EQ(Printable("\xc2\x9b", kUtf8), "\\xc2\\x9b") << "a C1 control";
  EXPECT_EQ(Printable("a\xe2\x80\xae"
                      "b",
                      kUtf8),
            "a\\xe2\\x80\\xae"
            "b")
      << "right-to-left override";
  EXPECT_EQ(Printable("\xe2\x80\x8b", kUtf8), "\\xe2\\x80\\x8b") << "zero-width space";
  EXPECT_EQ(Printable(std::string("\0", 1), kUtf8), "\\x00");
  EXPECT_EQ(Printable("", kUtf8), "");
}

TEST_F(GlyphsTest, CountsColumns) {
  EXPECT_EQ(Columns(""), 0);
  EXPECT_EQ(Columns("abc"), 3);
  EXPECT_EQ(Columns("\xe4\xbd\xa0\xe5\xa5\xbd"), 4) << "two wide characters";
  EXPECT_EQ(Columns("e\xcc\x81"), 1) << "an accent of its own";
  EXPECT_EQ(Columns("a\\xe9"), 5);
}

TEST_F(GlyphsTest, CutsAtTheEnd) {
  EXPECT_EQ(CutEnd("abcdef", 6, kUtf8), "abcdef");
  EXPECT_EQ(CutEnd("abcdef", 5, kUtf8), "abcd\xe2\x80\xa6");
  EXPECT_EQ(CutEnd("abcdef", 5, kAscii), "abcd~");
  EXPECT_EQ(CutEnd("abcdef", 0, kUtf8), "");
  EXPECT_EQ(CutEnd("abc\\xe9", 6, kAscii), "abc~") << "an escape is not cut apart";
  EXPECT_EQ(CutEnd("e\xcc\x81xy", 2, kUtf8), "e\xcc\x81\xe2\x80\xa6") << "nor an accent from its letter";
}

TEST_F(GlyphsTest, CutsAPathInTheMiddleAndKeepsTheName) {
  EXPECT_EQ(CutMiddle("usr/lib/libbig.so", 17, kAscii), "usr/lib/libbig.so");
  EXPECT_EQ(CutMiddle("usr/lib/libbig.so", 16, kAscii), "usr/l~/libbig.so");
  EXPECT_EQ(CutMiddle("usr/lib/libbig.so", 11, kAscii), "~/libbig.so");
  EXPECT_EQ(CutMiddle("usr/lib/libbig.so", 10, kAscii), "usr~big.so") << "the name alone is longer";
  EXPECT_EQ(CutMiddle("a-long-name.tar", 10, kAscii), "a-l~me.tar");
  EXPECT_EQ(CutMiddle("abc", 1, kAscii), "~");
  EXPECT_EQ(CutMiddle("abc", 0, kAscii), "");
}

TEST_F(GlyphsTest, NothingIsEverWiderThanItsRoom) {
  const std::string paths[] = {"\xe4\xbd\xa0\xe5\xa5\xbd/\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xbd\xa0.bin",
                               "caf\\xe9/\\x1b[2J.txt", "a/b/c/d/e/f/g/h", "e\xcc\x81/e\xcc\x81"};
  for (const std::string& path : paths) {
    for (int columns = 0; columns < 25; ++columns) {
      EXPECT_LE(Columns(CutMiddle(path, columns, kUtf8)), columns) << path;
      EXPECT_LE(Columns(CutEnd(path, columns, kUtf8)), columns) << path;
      EXPECT_EQ(Columns(Fit(path, columns, Align::kLeft, kUtf8)), columns) << path;
    }
  }
}

TEST_F(GlyphsTest, FitsOnEitherSide) {
  EXPECT_EQ(Fit("ab", 4, Align::kLeft, kUtf8), "ab  ");
  EXPECT_EQ(Fit("ab", 4, Align::kRight, kUtf8), "  ab");
  EXPECT_EQ(Fit("abcdef", 4, Align::kRight, kAscii), "abc~");
}

TEST(CharsetTest, AnotherLocaleIsAscii) {
  std::setlocale(LC_CTYPE, "C");
  EXPECT_EQ(LocaleCharset(), kAscii);
}

}  // namespace
}  // namespace daxvmm::control::top
