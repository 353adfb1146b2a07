#include "base/command_line.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace daxvmm {
namespace {

class CommandLineTest : public testing::Test {
 protected:
  absl::StatusOr<std::vector<std::string>> Parse(std::vector<const char*> arguments) {
    const std::vector<FlagSpec> flags = {
        {"size", "SIZE", "How large.\nIn bytes.",
         [this](absl::string_view v) {
           if (v == "bad") return absl::InvalidArgumentError("not a size");
           values_.push_back(absl::StrCat("size=", v));
           return absl::OkStatus();
         }},
        {"help", "", "Show this.",
         [this](absl::string_view) {
           values_.push_back("help");
           return absl::OkStatus();
         }},
        {"o", "FORMAT", "Output.",
         [this](absl::string_view v) {
           values_.push_back(absl::StrCat("o=", v));
           return absl::OkStatus();
         }},
        {"watch", "SECONDS", "Go on.",
         [this](absl::string_view v) {
           values_.push_back(absl::StrCat("watch=", v));
           return absl::OkStatus();
         },
         /*value_is_optional=*/true},
    };
    help_ = DescribeFlags(flags);
    return ParseFlags(flags, arguments);
  }

  std::string Error(std::vector<const char*> arguments) {
    return std::string(Parse(std::move(arguments)).status().message());
  }

  std::vector<std::string> values_;
  std::string help_;
};

TEST_F(CommandLineTest, TakesValuesInBothSpellingsAndInOrder) {
  const auto rest = Parse({"run", "--size", "1", "--size=2", "-o", "json", "--help", "-", "x"});
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_EQ(*rest, (std::vector<std::string>{"run", "-", "x"}));
  EXPECT_EQ(values_, (std::vector<std::string>{"size=1", "size=2", "o=json", "help"}));
}

TEST_F(CommandLineTest, AValueMayLookLikeAFlagAndBeEmpty) {
  ASSERT_TRUE(Parse({"--size", "--help", "--size="}).ok());
  EXPECT_EQ(values_, (std::vector<std::string>{"size=--help", "size="}));
}

TEST_F(CommandLineTest, AnOptionalValueIsNoWordOfItsOwn) {
  const auto rest = Parse({"--watch", "2", "--watch=3"});
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_EQ(*rest, (std::vector<std::string>{"2"}));
  EXPECT_EQ(values_, (std::vector<std::string>{"watch=", "watch=3"}));
}

TEST_F(CommandLineTest, NothingIsAFlagAfterTwoDashes) {
  const auto rest = Parse({"--", "--size", "1"});
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(*rest, (std::vector<std::string>{"--size", "1"}));
  EXPECT_TRUE(values_.empty());
}

TEST_F(CommandLineTest, ErrorsNameTheFlag) {
  EXPECT_EQ(Error({"--sise", "1"}), "--sise: there is no such flag; did you mean --size?");
  EXPECT_EQ(Error({"--frobnicate"}), "--frobnicate: there is no such flag");
  EXPECT_EQ(Error({"--size"}), "--size: needs a value: SIZE");
  EXPECT_EQ(Error({"--help=1"}), "--help: takes no value");
  EXPECT_EQ(Error({"--size", "bad"}), "--size: not a size");
  EXPECT_EQ(Error({"-q"}), "-q: there is no such flag");
}

TEST_F(CommandLineTest, HelpListsEveryFlag) {
  ASSERT_TRUE(Parse({}).ok());
  EXPECT_EQ(help_,
            "  --size SIZE\n      How large.\n      In bytes.\n  --help\n      Show this.\n  -o FORMAT\n      Output.\n"
            "  --watch[=SECONDS]\n      Go on.\n");
}

}  // namespace
}  // namespace daxvmm
