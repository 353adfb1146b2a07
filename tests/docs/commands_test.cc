#include "tests/docs/commands.h"

#include <string>
#include <vector>

#include "control/testing/subprocess.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::docs_test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Lines = std::vector<std::string>;

TEST(FindBlocksTest, CommandsWithTheirOutput) {
  const auto blocks = FindBlocks(
      "Text\n```\nno command\n```\n"
      "<!-- test: run -->\n```\n$ one \\\n>   more\nout\n> not more\n$ two\n```\n"
      "<!-- test: far -->\n\n```sh\n$ three\n```\n"
      "<!-- test: empty -->\n```\n```\n");
  ASSERT_EQ(blocks.size(), 3u);
  EXPECT_EQ(blocks[0].line, 6);
  EXPECT_EQ(blocks[0].mark, "run");
  ASSERT_EQ(blocks[0].commands.size(), 2u);
  EXPECT_EQ(blocks[0].commands[0].line, 7);
  EXPECT_EQ(blocks[0].commands[0].text, "one \\\n  more");
  EXPECT_THAT(blocks[0].commands[0].output, ElementsAre("out", "> not more"));
  EXPECT_EQ(blocks[0].commands[1].text, "two");
  EXPECT_THAT(blocks[0].commands[1].output, IsEmpty());
  EXPECT_EQ(blocks[1].mark, "") << "a mark holds for the line below it";
  EXPECT_EQ(blocks[2].mark, "empty");
}

TEST(HasFormTest, NumbersAndWhiteSpaceAreAnyOnes) {
  EXPECT_TRUE(HasForm({"SHARE     SIZE", "data  17.25 MiB  2026-01-02"}, {"SHARE SIZE", "data  5 MiB  1999-12-31"}));
  EXPECT_FALSE(HasForm({"data 5 MiB"}, {"data 5 KiB"}));
  EXPECT_FALSE(HasForm({"data 5"}, {"data five"}));
  EXPECT_FALSE(HasForm({"a"}, {"a", "b"}));
  EXPECT_FALSE(HasForm({"a", "b"}, {"a"}));
  EXPECT_FALSE(HasForm({"word"}, {}));
}

TEST(HasFormTest, DotsStandForAnything) {
  EXPECT_TRUE(HasForm({"etag: 5f0c-3"}, {"etag: ..."}));
  EXPECT_TRUE(HasForm({"a b c"}, {"a ... c"}));
  EXPECT_TRUE(HasForm({"a c"}, {"a ... c"}));
  EXPECT_FALSE(HasForm({"a b d"}, {"a ... c"}));
  EXPECT_TRUE(HasForm({"a", "x", "y", "b"}, {"a", "...", "b"}));
  EXPECT_TRUE(HasForm({"a", "b"}, {"a", "...", "b", "..."}));
  EXPECT_FALSE(HasForm({"a", "x"}, {"a", "...", "b"}));
}

TEST(ScriptTest, OneShellRunsAllOfIt) {
  const std::vector<Command> commands = {{.text = "x=3; (exit 7)"},
                                         {.text = "echo $? $x; echo wrong >&2"},
                                         {.text = "cat <<'END'\nsome $x\n\nEND"},
                                         {.text = "printf unfinished"},
                                         {.text = "false"}};
  const auto finished = control::RunToEnd({"/bin/bash", "-c", ScriptOf(commands)}, "", {"PATH=/usr/bin:/bin"});
  const std::vector<Outcome> outcomes = SplitOutput(finished.out);
  ASSERT_EQ(outcomes.size(), 5u);
  EXPECT_EQ(outcomes[0].status, 7);
  EXPECT_THAT(outcomes[0].output, IsEmpty());
  EXPECT_EQ(outcomes[1].output, (Lines{"7 3", "wrong"}));
  EXPECT_EQ(outcomes[2].output, (Lines{"some $x"}));
  EXPECT_EQ(outcomes[3].output, (Lines{"unfinished"}));
  EXPECT_EQ(outcomes[4].status, 1);
  EXPECT_THAT(SplitOutput("half\n"), IsEmpty());
}

}  // namespace
}  // namespace daxvmm::docs_test
