#include "base/man_page.h"

#include <string>
#include <vector>

#include "base/version.h"
#include "gtest/gtest.h"

namespace daxvmm {
namespace {

std::string Head(const std::string& name) {
  return ".TH \"" + name + "\" 1 \"\" \"daxvmm " + kVersion + "\" \"User Commands\"\n.nh\n.ad l\n";
}

TEST(ManPageTest, HasEverySectionInItsOrder) {
  const std::vector<FlagSpec> flags = {
      {"output", "FORMAT", "table or json.\n\nOr:\n  wide\nall  columns", nullptr},
      {"watch", "SECONDS", "Go on.", nullptr, /*value_is_optional=*/true},
      {"o", "FORMAT", "the same", nullptr},
  };
  const ManPage page = {
      .name = "prog",
      .summary = "does things",
      .synopsis = {"prog [FLAGS] COMMAND", "prog --version"},
      .sections = {
          {.title = "DESCRIPTION", .text = "First `bold` words.\n\nSecond.\n"},
          {.title = "COMMANDS", .subsections = {{.title = "do it", .text = "Does it.", .items = {{"0", "done"}}}}},
          {.title = "FLAGS", .items = ManItems(flags)}}};
  EXPECT_EQ(RenderManPage(page),
            Head("PROG") +
                ".SH NAME\nprog \\- does things\n"
                ".SH SYNOPSIS\n.nf\nprog [FLAGS] COMMAND\nprog \\-\\-version\n.fi\n"
                ".SH \"DESCRIPTION\"\nFirst \\fBbold\\fR words.\n.PP\nSecond.\n"
                ".SH \"COMMANDS\"\n.SS \"do it\"\nDoes it.\n.TP\n.B 0\ndone\n"
                ".SH \"FLAGS\"\n"
                ".TP\n.B \\-\\-output FORMAT\ntable or json.\n.IP\nOr:\n.nf\n  wide\nall  columns\n.fi\n"
                ".TP\n.B \\-\\-watch[=SECONDS]\nGo on.\n"
                ".TP\n.B \\-o FORMAT\nthe same\n");
}

TEST(ManPageTest, NothingOfATextIsARequest) {
  const ManPage page = {
      .name = "p",
      .summary = "s",
      .sections = {{.title = "T\"x\"", .text = ".SH NAME\n'br\na\\nb \\xNN\n  .literal\n  `kept`\none ` alone"}}};
  EXPECT_EQ(RenderManPage(page), Head("P") +
                                     ".SH NAME\np \\- s\n.SH SYNOPSIS\n.nf\n.fi\n"
                                     ".SH \"T\\(dqx\\(dq\"\n"
                                     "\\&.SH NAME\n\\&'br\na\\enb \\exNN\n"
                                     ".nf\n  .literal\n  \\(gakept\\(ga\n.fi\n.PP\none \\(ga alone\n");
}

}  // namespace
}  // namespace daxvmm
