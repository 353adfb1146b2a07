// The manual pages: free of errors, and with everything that there is to say.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"
#include "tests/packaging/installation.h"

namespace daxvmm::packaging_test {
namespace {

using control::Finished;
using control::RunToEnd;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ManPageTest : public testing::Test {
 protected:
  static std::vector<std::string> Pages() {
    std::vector<std::string> pages;
    for (const std::string& file : FilesBelow(Prefix())) {
      if (absl::StartsWith(file, "share/man/")) pages.push_back(Prefix() + "/" + file);
    }
    return pages;
  }

  static const std::string& Prefix() {
    static const std::string* const prefix = new std::string(InstalledPrefix());
    return *prefix;
  }

  // As it is typed, without the escapes of roff.
  static std::string Text(const std::string& page) {
    return absl::StrReplaceAll(ReadFile(Prefix() + "/share/man/" + page), {{"\\-", "-"}});
  }
};

TEST_F(ManPageTest, MandocFindsNothing) {
  const std::string mandoc = FindProgram("mandoc");
  if (mandoc.empty()) GTEST_SKIP() << "mandoc is not installed";
  ASSERT_GE(Pages().size(), 2u);
  for (const std::string& page : Pages()) {
    const Finished lint = RunToEnd({mandoc, "-T", "lint", "-W", "warning", page});
    for (const absl::string_view line : absl::StrSplit(lint.out, '\n', absl::SkipEmpty())) {
      // A generated page has no date of its own.
      if (!absl::StrContains(line, "missing date")) ADD_FAILURE() << std::string(line);
    }
  }
}

// The terms of `--help` begin with two blanks and dashes.
void ExpectEveryFlag(const std::string& help, const std::string& page) {
  int flags = 0;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(help, '\n'))) {
    if (!absl::StartsWith(line, "  -")) continue;
    ++flags;
    EXPECT_THAT(page, HasSubstr(".B " + line.substr(2) + "\n"));
  }
  EXPECT_GE(flags, 4) << "has the form of the help changed?\n" << help;
}

TEST_F(ManPageTest, TheProgramsPageHasEveryFlag) {
  const Finished help = RunToEnd({Prefix() + "/bin/daxvmm", "run", "--help"});
  ASSERT_EQ(help.exit_code, 0) << help.err;
  ExpectEveryFlag(help.out, Text("man1/daxvmm.1"));
}

// Of all commands: that of the program, and of each that it lists.
TEST_F(ManPageTest, TheClientsPageHasEveryFlag) {
  const std::string ctl = Prefix() + "/bin/daxvmmctl";
  const std::string page = Text("man1/daxvmmctl.1");
  ExpectEveryFlag(RunToEnd({ctl, "--help"}).out, page);
  for (const std::string command :
       {"policy set", "policy override set", "files", "window", "events", "machine shutdown"}) {
    std::vector<std::string> words = absl::StrSplit(command, ' ');
    words.insert(words.begin(), ctl);
    words.push_back("--help");
    EXPECT_THAT(page, HasSubstr(command));
    ExpectEveryFlag(RunToEnd(words).out, page);
  }
}

TEST_F(ManPageTest, ThePolicysPageHasEveryFieldAndValue) {
  const std::string page = Text("man5/daxvmm-policy.5");
  for (const auto* type : {v1::Policy::descriptor(), v1::Rule::descriptor(), v1::IdRange::descriptor()}) {
    for (int i = 0; i < type->field_count(); ++i) {
      const std::string& name = type->field(i)->name();
      EXPECT_TRUE(absl::StrContains(page, ".BR " + name + " ") || absl::StrContains(page, ", \" " + name + " ") ||
                  absl::StrContains(page, ".B " + name + "\n") || absl::StrContains(page, ".BR " + name + " ,\n"))
          << type->full_name() << "." << name << " is not described in daxvmm-policy(5)";
    }
  }
  for (const auto* type : {v1::Outcome_descriptor(), v1::Enforcement_descriptor()}) {
    for (int i = 1; i < type->value_count(); ++i) {  // 0 is none
      EXPECT_THAT(page, HasSubstr("\n.B " + type->value(i)->name() + "\n"));
    }
  }
}

}  // namespace
}  // namespace daxvmm::packaging_test
