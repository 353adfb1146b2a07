#include "control/ctl/completion.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

std::vector<std::string> Asked(Values what, const Invocation& line, const std::string& start) {
  if (what == Values::kShares) return {"data", "src"};
  if (line.share == "data") return {"lib/a.so", "lib/b.so"};
  return {"any", line.socket, start};
}

std::vector<std::string> Complete(const std::vector<std::string>& words) {
  std::vector<std::string> texts;
  for (const Candidate& one : CompleteLine(words, &Asked).list) texts.push_back(one.text);
  return texts;
}

TEST(CompletionTest, Commands) {
  EXPECT_THAT(Complete({"po"}), ElementsAre("policy"));
  EXPECT_THAT(Complete({"w"}), ElementsAre("watch", "window"));
  EXPECT_THAT(Complete({"policy", ""}), ElementsAre("get", "set", "edit", "explain", "override", "history"));
  EXPECT_THAT(Complete({"-o", "json", "policy", "override", ""}), ElementsAre("set", "clear", "list"));
  EXPECT_THAT(Complete({""}), Contains("machine"));
  EXPECT_THAT(Complete({"_"}), IsEmpty()) << "hidden";
  EXPECT_THAT(Complete({"help", "machine", "s"}), ElementsAre("show", "start", "shutdown"));
  EXPECT_THAT(Complete({"files", ""}), IsEmpty());
  EXPECT_THAT(Complete({"xyzzy", ""}), IsEmpty());
}

TEST(CompletionTest, FlagsOfTheCommand) {
  EXPECT_THAT(Complete({"files", "--st"}), ElementsAre("--state"));
  EXPECT_THAT(Complete({"window", "--w"}), ElementsAre("--watch"));
  EXPECT_THAT(Complete({"policy", "get", "--"}), Contains("--policy-only"));
  EXPECT_THAT(Complete({"policy", "get", "--"}), Not(Contains("--wait")));
  EXPECT_THAT(Complete({"--"}), Not(Contains("--wait")));
  EXPECT_THAT(Complete({"--"}), Contains("--control"));
  EXPECT_THAT(Complete({"policy", "explain", "--", "--s"}), ElementsAre("--s")) << "a path there";
  for (const Candidate& one : CompleteLine({"files", "--"}, &Asked).list) {
    EXPECT_NE(one.meaning, "") << one.text;
    EXPECT_EQ(one.meaning.find('\n'), std::string::npos) << one.text;
  }
}

TEST(CompletionTest, ValuesOfFlags) {
  EXPECT_THAT(Complete({"-o", ""}), ElementsAre("table", "wide", "json", "text", "textproto"));
  EXPECT_THAT(Complete({"--output=t"}), ElementsAre("--output=table", "--output=text", "--output=textproto"));
  EXPECT_THAT(Complete({"files", "--sort", "s"}), ElementsAre("size"));
  EXPECT_THAT(Complete({"files", "--share", ""}), ElementsAre("data", "src"));
  EXPECT_THAT(Complete({"files", "--share=s"}), ElementsAre("--share=src"));
  EXPECT_THAT(Complete({"events", "--kind", "pan"}), ElementsAre("panic"));
  EXPECT_THAT(Complete({"policy", "override", "set", "--dax", ""}), ElementsAre("yes", "no"));
  EXPECT_THAT(Complete({"files", "--dax", ""}), IsEmpty()) << "a switch there";
  EXPECT_TRUE(CompleteLine({"policy", "set", "--file", ""}, &Asked).host_files);
  EXPECT_FALSE(CompleteLine({"policy", "set", ""}, &Asked).host_files);
}

TEST(CompletionTest, Operands) {
  EXPECT_THAT(Complete({"policy", "set", "s"}), ElementsAre("size", "size:SIZE"));
  EXPECT_THAT(Complete({"policy", "set", "size", ""}), IsEmpty()) << "one is enough";
  EXPECT_THAT(Complete({"completion", ""}), ElementsAre("bash", "zsh", "fish"));
  EXPECT_THAT(Complete({"policy", "explain", "--share", "data", "lib/"}), ElementsAre("lib/a.so", "lib/b.so"));
  EXPECT_THAT(Complete({"policy", "explain", "--share", "data", "lib/b"}), ElementsAre("lib/b.so"));
  EXPECT_THAT(Complete({"--control", "/s", "policy", "explain", ""}), ElementsAre("any", "/s", ""))
      << "asked of the machine that the line names";
  EXPECT_THAT(Complete({"mappings", "--share", "data", "--path", "l"}), ElementsAre("lib/a.so", "lib/b.so"));
}

TEST(CompletionTest, NothingOfALineIsAnError) {
  EXPECT_THAT(Complete({}), IsEmpty());
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--frob", ""},
                                                {"-"},
                                                {"--=x"},
                                                {"--timeout", "x", "files", "-"},
                                                {"files", "--limit="}}) {
    CompleteLine(words, &Asked);
  }
}

TEST(CompletionTest, NoScriptReadsACandidateAgain) {
  for (const Shell shell : {Shell::kBash, Shell::kZsh, Shell::kFish}) {
    const std::string script = CompletionScript(shell);
    EXPECT_NE(script.find("__complete"), std::string::npos);
    EXPECT_EQ(script.find("eval"), std::string::npos) << script;
    EXPECT_EQ(script.find("compgen -W"), std::string::npos) << script;
  }
}

}  // namespace
}  // namespace daxvmm::control
