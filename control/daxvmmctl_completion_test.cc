// The completion of bash, by a bash that has sourced it; and what can be said of the others without them.
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "control/testing/daxvmmctl_fixture.h"

namespace daxvmm::control {
namespace {

using ::testing::HasSubstr;

constexpr char kBash[] = "/bin/bash";

class DaxvmmctlCompletionTest : public DaxvmmctlTest {
 protected:
  // What bash would offer where the cursor stands behind these words, as readline splits them; joined by "|".
  std::string Complete(const std::vector<std::string>& words, const std::string& more = "") {
    std::string line = absl::StrJoin(words, " ");
    std::string script =
        "source <(control/daxvmmctl completion bash) || exit 9\n"
        "compopt() { return 0; }\n" +
        more + "COMP_WORDS=(control/daxvmmctl";
    for (const std::string& word : words) absl::StrAppend(&script, " ", Quoted(word));
    absl::StrAppend(&script, ")\nCOMP_CWORD=", words.size(), "\nCOMP_LINE=", Quoted(Line(words)),
                    "\nCOMP_POINT=${#COMP_LINE}\n_daxvmmctl\n", R"(IFS='|'; printf '%s' "${COMPREPLY[*]}")");
    const Finished done = RunToEnd({kBash, "--norc", "--noprofile", "-c", script}, "",
                                   {"PATH=/usr/bin:/bin", Control(), "HOME=/nonexistent"});
    EXPECT_EQ(done.exit_code, 0) << done.err;
    EXPECT_EQ(done.err, "");
    return done.out;
  }

  static std::string Quoted(const std::string& word) {
    std::string out = "'";
    for (const char c : word) out += c == '\'' ? "'\\''" : std::string(1, c);
    return out + "'";
  }

  // The line as it was typed: no space around what readline breaks at.
  static std::string Line(const std::vector<std::string>& words) {
    std::string line = "control/daxvmmctl";
    bool glue = false;
    for (const std::string& word : words) {
      const bool is_break = word == "=" || word == ":";
      absl::StrAppend(&line, glue || is_break ? "" : " ", word);
      glue = is_break;
    }
    return line;
  }
};

TEST_F(DaxvmmctlCompletionTest, BashCompletesCommandsAndFlags) {
  if (access(kBash, X_OK) != 0) GTEST_SKIP() << "there is no " << kBash;
  EXPECT_EQ(Complete({"po"}), "policy");
  EXPECT_EQ(Complete({"policy", "override", ""}), "set|clear|list");
  EXPECT_EQ(Complete({"files", "--so"}), "--sort");
  EXPECT_EQ(Complete({"files", "--sort", "m"}), "maps");
  EXPECT_EQ(Complete({"files", "--sort", "=", "m"}), "maps");
  EXPECT_EQ(Complete({"files", "--sort", "="}), "path|chunks|maps|reads|size");
  EXPECT_EQ(Complete({"files", ""}), "");
}

TEST_F(DaxvmmctlCompletionTest, BashCompletesWhatTheMachineHas) {
  if (access(kBash, X_OK) != 0) GTEST_SKIP() << "there is no " << kBash;
  EXPECT_EQ(Complete({"files", "--share", ""}), "data|src");
  EXPECT_EQ(Complete({"policy", "explain", "--share", "src", ""}), "main.c");
  controller_.files[0].path = "with space & $(touch pwned)";
  controller_.files[1].path = "with\nnewline";
  controller_.files[2].path = "we:ird=name";
  EXPECT_EQ(Complete({"policy", "explain", "--share", "data", ""}), "with\\ space\\ \\&\\ \\$\\(touch\\ pwned\\)");
  EXPECT_EQ(Complete({"policy", "explain", "--share", "data", "with\\ sp"}),
            "with\\ space\\ \\&\\ \\$\\(touch\\ pwned\\)");
  EXPECT_EQ(Complete({"policy", "explain", "--share", "src", "we", ":", "ir"}), "ird=name");
  EXPECT_NE(access("pwned", F_OK), 0) << "a guest's file name was run";
  // Nobody there: no candidates, and no noise.
  server_.reset();
  socket_.reset();
}

TEST_F(DaxvmmctlCompletionTest, BashIsSilentWithoutAMachine) {
  if (access(kBash, X_OK) != 0) GTEST_SKIP() << "there is no " << kBash;
  EXPECT_EQ(Complete({"files", "--share", ""}, "export DAXVMM_CONTROL=/nonexistent/s\n"), "");
  EXPECT_EQ(Complete({"files", "--share", ""}, "unset DAXVMM_CONTROL\n"), "");
}

TEST_F(DaxvmmctlCompletionTest, BashCompletesFilesOfTheHost) {
  if (access(kBash, X_OK) != 0) GTEST_SKIP() << "there is no " << kBash;
  const std::string path = testing::TempDir() + "/some_policy.textproto";
  std::ofstream(path) << "x";
  EXPECT_EQ(Complete({"policy", "set", "--file", testing::TempDir() + "/some_po"}), path);
}

TEST_F(DaxvmmctlCompletionTest, TheScriptsAreGoodSyntax) {
  for (const auto& [shell, path] :
       {std::pair<std::string, std::string>{"bash", kBash}, {"zsh", "/usr/bin/zsh"}, {"fish", "/usr/bin/fish"}}) {
    const Finished script = RunToEnd({"control/daxvmmctl", "completion", shell});
    EXPECT_EQ(script.exit_code, 0) << script.err;
    EXPECT_THAT(script.out, HasSubstr("__complete"));
    if (access(path.c_str(), X_OK) != 0) continue;
    const std::string file = testing::TempDir() + "/completion." + shell;
    std::ofstream(file) << script.out;
    const Finished checked = RunToEnd({path, "-n", file}, "", {"HOME=" + testing::TempDir()});
    EXPECT_EQ(checked.exit_code, 0) << shell << ": " << checked.err;
  }
}

TEST_F(DaxvmmctlCompletionTest, MeaningsComeBehindATab) {
  const Finished done = Ctl({"__complete", "heal"});
  EXPECT_EQ(done.out, "health\tshow whether the services answer\n");
}

}  // namespace
}  // namespace daxvmm::control
