#include "base/flag_file.h"

#include <sys/stat.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace daxvmm {
namespace {

class FlagFileTest : public testing::Test {
 protected:
  const std::vector<FlagSpec> flags_ = {
      {"size", "SIZE", "",
       [this](absl::string_view v) {
         if (v == "bad") return absl::InvalidArgumentError("not a size");
         absl::StrAppend(&seen_, "[size=", v, "]");
         return absl::OkStatus();
       }},
      {"paused", "", "",
       [this](absl::string_view v) {
         absl::StrAppend(&seen_, "[paused", v, "]");
         return absl::OkStatus();
       }},
  };

  std::string Error(absl::string_view text) { return std::string(ApplyFlagText(text, flags_).message()); }

  std::string seen_;
};

TEST_F(FlagFileTest, TakesFlagsInOrder) {
  const absl::Status status = ApplyFlagText(
      "# a comment\n\n  size = 1\nsize=path=/a b,tag=\"x\"#y  \r\n\t# more\npaused\nsize =\nsize = last", flags_);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(seen_, "[size=1][size=path=/a b,tag=\"x\"#y][paused][size=][size=last]");
}

TEST_F(FlagFileTest, ErrorsNameLineAndFlag) {
  EXPECT_EQ(Error("size = 1\n\nsise = 2\n"), "3: sise: there is no such flag; did you mean size?");
  EXPECT_EQ(Error("--size = 2"), "1: --size: there is no such flag");
  EXPECT_EQ(Error("size"), "1: size: needs a value: SIZE");
  EXPECT_EQ(Error("paused = yes"), "1: paused: takes no value");
  EXPECT_EQ(Error("paused ="), "1: paused: takes no value");
  EXPECT_EQ(Error("size = bad"), "1: size: not a size");
  EXPECT_EQ(Error("= 1"), "1: : there is no such flag");
}

TEST_F(FlagFileTest, ReadsRegularFilesOfBoundedSize) {
  const std::string path = testing::TempDir() + "/flags";
  std::ofstream(path) << "size = 7\nsise = 1\n";
  EXPECT_EQ(ApplyFlagFile(path, flags_).message(), path + ":2: sise: there is no such flag; did you mean size?");
  EXPECT_EQ(seen_, "[size=7]");
  std::ofstream(path) << std::string(1 << 20, '\n') << "size = 8\n";
  EXPECT_EQ(ApplyFlagFile(path, flags_).message(), path + ": larger than 1 MiB");
  EXPECT_EQ(ApplyFlagFile("/dev/null", flags_).message(), "/dev/null: not a regular file");
  const std::string fifo = testing::TempDir() + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(ApplyFlagFile(fifo, flags_).message(), fifo + ": not a regular file");
  EXPECT_EQ(ApplyFlagFile("/no/such", flags_).message(), "/no/such: No such file or directory");
}

}  // namespace
}  // namespace daxvmm
