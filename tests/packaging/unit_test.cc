// daxvmm@.service as it is installed.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/packaging/installation.h"

namespace daxvmm::packaging_test {
namespace {

using control::Finished;
using control::RunToEnd;
using ::testing::HasSubstr;

constexpr char kUnit[] = "/lib/systemd/system/daxvmm@.service";

// Its assignments; none of those that are looked at is given twice.
std::map<std::string, std::string> Settings(const std::string& unit) {
  std::map<std::string, std::string> settings;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(unit, '\n'))) {
    const size_t equals = line.find('=');
    if (line.empty() || line[0] == '#' || equals == std::string::npos) continue;
    settings[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return settings;
}

TEST(UnitTest, SystemdHasNoComplaint) {
  const std::string analyze = FindProgram("systemd-analyze");
  if (analyze.empty()) GTEST_SKIP() << "systemd is not installed";
  const std::string prefix = InstalledPrefix();
  // A template is checked by an instance of it.
  const std::string instance = prefix + "/lib/systemd/system/daxvmm@web.service";
  std::filesystem::create_symlink("daxvmm@.service", instance);
  // The pages are not where man(1) looks for them.
  const Finished verified = RunToEnd({analyze, "verify", "--man=no", instance}, "", {"PATH=/usr/bin:/bin"});
  EXPECT_EQ(verified.exit_code, 0);
  EXPECT_EQ(verified.out + verified.err, "") << "systemd-analyze verify";
}

TEST(UnitTest, WhatItStartsIsInstalledAndKnowsTheFlags) {
  const std::string prefix = InstalledPrefix();
  const auto settings = Settings(ReadFile(prefix + kUnit));
  ASSERT_EQ(settings.count("ExecStart"), 1u);
  const std::vector<std::string> words = absl::StrSplit(settings.at("ExecStart"), ' ');
  EXPECT_EQ(words[0], prefix + "/bin/daxvmm");
  EXPECT_EQ(access(words[0].c_str(), X_OK), 0) << words[0];
  const Finished help = RunToEnd({words[0], "run", "--help"});
  for (const std::string& word : words) {
    if (!absl::StartsWith(word, "--")) continue;
    EXPECT_THAT(help.out, HasSubstr("\n  " + word + " "));
  }
  EXPECT_THAT(settings.at("ExecStart"), HasSubstr(" --config " + prefix + "/etc/daxvmm/%i.conf "));
}

TEST(UnitTest, TheGuestHasItsTimeToPowerOff) {
  const auto settings = Settings(ReadFile(InstalledPrefix() + kUnit));
  EXPECT_THAT(settings.at("ExecStart"), testing::EndsWith(" --shutdown-timeout ${SHUTDOWN_TIMEOUT}"))
      << "no later flag may change it";
  int guest = 0;
  int service = 0;
  ASSERT_TRUE(absl::StartsWith(settings.at("Environment"), "SHUTDOWN_TIMEOUT="));
  ASSERT_TRUE(absl::SimpleAtoi(settings.at("Environment").substr(strlen("SHUTDOWN_TIMEOUT=")), &guest));
  ASSERT_TRUE(absl::SimpleAtoi(settings.at("TimeoutStopSec"), &service));
  EXPECT_GT(service, guest + 10);
}

TEST(UnitTest, RestartsAsTheExitStatusesSay) {
  const auto settings = Settings(ReadFile(InstalledPrefix() + kUnit));
  EXPECT_EQ(settings.at("Restart"), "on-failure");
  EXPECT_EQ(settings.at("RestartForceExitStatus"), "3") << "the guest asked for a reboot";
  EXPECT_EQ(settings.at("SuccessExitStatus"), "3");
  EXPECT_EQ(settings.at("RestartPreventExitStatus"), "2 6") << "wrong flags, and ended by force";
}

// Every line of the example is one that the installed program takes.
TEST(UnitTest, TheExampleConfigurationIsUnderstood) {
  const std::string prefix = InstalledPrefix();
  const std::string example = prefix + "/share/doc/daxvmm/examples/example.conf";
  const Finished run = RunToEnd({prefix + "/bin/daxvmm", "run", "--config", example, "--kernel", "/nonexistent"});
  EXPECT_EQ(run.exit_code, 2);
  // What is missing on this machine is no matter of the file.
  EXPECT_THAT(run.err, testing::StartsWith("daxvmm: --"));
  EXPECT_THAT(run.err, testing::Not(HasSubstr("--config")));
}

}  // namespace
}  // namespace daxvmm::packaging_test
