#include "control/ctl/text_table.h"

#include <string>

#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

TextTable Example() {
  TextTable table({{"NAME"}, {"SIZE", Align::kRight, 1}, {"KIND", Align::kLeft, 2}, {.heading = "PATH", .cut = true}});
  table.AddRow({"a", "1", {"x", Tone::kGood}, "a/long/directory/with/a/longer/name/than/fits.txt"});
  table.AddRow({"bc", "22", "", "short"});
  return table;
}

TEST(TextTableTest, AlignsColumns) {
  EXPECT_EQ(Example().Render({}),
            "NAME  SIZE  KIND  PATH\n"
            "a        1  x     a/long/directory/with/a/longer/name/than/fits.txt\n"
            "bc      22  -     short\n");
  EXPECT_EQ(Example().Render({.headings = false}),
            "a    1  x  a/long/directory/with/a/longer/name/than/fits.txt\n"
            "bc  22  -  short\n");
}

TEST(TextTableTest, PaintsCellsAndNotTheirGaps) {
  EXPECT_EQ(Example().Render({.color = true}),
            "\x1b[1mNAME\x1b[0m  \x1b[1mSIZE\x1b[0m  \x1b[1mKIND\x1b[0m  \x1b[1mPATH\x1b[0m\n"
            "a        1  \x1b[32mx\x1b[0m     a/long/directory/with/a/longer/name/than/fits.txt\n"
            "bc      22  -     short\n");
}

TEST(TextTableTest, CutsThePathBeforeItLeavesOutColumns) {
  EXPECT_EQ(Example().Render({.width = 60}),
            "NAME  SIZE  KIND  PATH\n"
            "a        1  x     a/long/direct…/a/longer/name/than/fits.txt\n"
            "bc      22  -     short\n");
  EXPECT_EQ(Example().Render({.width = 45}),
            "NAME  SIZE  PATH\n"
            "a        1  a/long/dir…ger/name/than/fits.txt\n"
            "bc      22  short\n");
  EXPECT_EQ(Example().Render({.width = 20}),
            "NAME  PATH\n"
            "a     a/lo…/fits.txt\n"
            "bc    short\n");
  // There is an end to it.
  EXPECT_EQ(Example().Render({.width = 5}), "NAME  PATH\na     a/…s.txt\nbc    short\n");
}

TEST(TextTableTest, GoesOnWhereItEnded) {
  TextTable table({{"A"}, {"B"}});
  table.AddRow({"one", "x"});
  EXPECT_EQ(table.Render({}), "A    B\none  x\n");
  EXPECT_EQ(table.Render({}), "");
  table.AddRow({"o", "x"});
  table.AddRow({"longer", "x"});
  EXPECT_EQ(table.Render({}), "o       x\nlonger  x\n");
  table.AddRow({"o", "x"});
  EXPECT_EQ(table.Render({}), "o       x\n");
}

TEST(TextTableTest, ObeysNoName) {
  TextTable table({{"A"}});
  table.AddRow({"\x1b[2J\n\xc2\x9b"});
  EXPECT_EQ(table.Render({.headings = false}), "\\x1b[2J\\x0a\\xc2\\x9b\n");
}

TEST(TextTableTest, CutsByCharacters) {
  EXPECT_EQ(CutMiddle("äöüßäöüß", 8), "äöüßäöüß");
  EXPECT_EQ(CutMiddle("äöüßäöüßx", 5), "ä…üßx");
  EXPECT_EQ(CutMiddle("abc", 1), "…");
  EXPECT_EQ(CutMiddle("abc", 0), "abc");
}

}  // namespace
}  // namespace daxvmm::control
