// scripts/install: what it leaves in a prefix works from there, and goes again.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/packaging/installation.h"

namespace daxvmm::packaging_test {
namespace {

using control::Finished;
using control::RunToEnd;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

TEST(InstallTest, WhatIsInstalledRuns) {
  const std::string prefix = InstalledPrefix();
  EXPECT_THAT(FilesBelow(prefix),
              IsSupersetOf({"bin/daxvmm", "bin/daxvmmctl", "lib/daxvmm/libdaxvmm_control.so", "share/man/man1/daxvmm.1",
                            "share/man/man1/daxvmmctl.1", "share/bash-completion/completions/daxvmmctl",
                            "share/zsh/site-functions/_daxvmmctl", "share/fish/vendor_completions.d/daxvmmctl.fish",
                            "share/man/man5/daxvmm-policy.5", "lib/systemd/system/daxvmm@.service",
                            "share/doc/daxvmm/LICENSE", "share/doc/daxvmm/README.md", "share/doc/daxvmm/docs/dax.md",
                            "share/daxvmm/proto/daxvmm/v1/daxvmm.proto", "share/daxvmm/installed.txt"}));
  for (const std::string program : {"daxvmm", "daxvmmctl"}) {
    const Finished version = RunToEnd({prefix + "/bin/" + program, "--version"});
    EXPECT_EQ(version.exit_code, 0) << program;
    EXPECT_EQ(version.out, program + " " + kVersion + "\n");
  }
}

// It parses the policy file, so a complaint about that is a sign of life of the library.
TEST(InstallTest, TheControlLibraryIsFoundFromTheInstalledPlace) {
  const std::string prefix = InstalledPrefix();
  const std::string policy = prefix + "/policy";
  std::ofstream(policy) << "nonsense: 1\n";
  const std::vector<std::string> run = {prefix + "/bin/daxvmm", "run", "--kernel", policy, "--policy-file", policy};
  EXPECT_THAT(RunToEnd(run).err, HasSubstr("--policy-file: " + policy + ":1: "));
  std::filesystem::remove(prefix + "/lib/daxvmm/libdaxvmm_control.so");
  EXPECT_THAT(RunToEnd(run).err, HasSubstr("the control library is in none of "));
}

TEST(InstallTest, RunAgainLeavesTheSameAndDropsWhatIsNotInstalledAnyMore) {
  const std::string prefix = InstalledPrefix();
  const std::set<std::string> files = FilesBelow(prefix);
  const std::string manifest = ReadFile(prefix + "/share/daxvmm/installed.txt");
  // What an older release had installed, and what is somebody else's.
  std::ofstream(prefix + "/share/daxvmm/installed.txt", std::ios::app) << "lib/daxvmm/old/old.so\n";
  std::filesystem::create_directory(prefix + "/lib/daxvmm/old");
  std::ofstream(prefix + "/lib/daxvmm/old/old.so") << "old";
  std::ofstream(prefix + "/bin/theirs") << "theirs";
  const Finished again = Install({"--prefix=" + prefix});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  std::set<std::string> expected = files;
  expected.insert("bin/theirs");
  EXPECT_EQ(FilesBelow(prefix), expected);
  EXPECT_EQ(ReadFile(prefix + "/share/daxvmm/installed.txt"), manifest);
  EXPECT_FALSE(std::filesystem::exists(prefix + "/lib/daxvmm/old")) << "it was empty";
}

TEST(InstallTest, UninstallLeavesNothingButWhatIsNotItsOwn) {
  const std::string prefix = InstalledPrefix();
  std::ofstream(prefix + "/bin/theirs") << "theirs";
  EXPECT_EQ(Install({"--prefix", prefix, "--uninstall"}).exit_code, 0);
  EXPECT_EQ(FilesBelow(prefix), (std::set<std::string>{"bin/theirs"}));
  EXPECT_FALSE(std::filesystem::exists(prefix + "/share"));
  const Finished again = Install({"--prefix", prefix, "--uninstall"});
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.err, HasSubstr("nothing was installed in " + prefix));
}

TEST(InstallTest, AManifestDoesNotLeadOutOfThePrefix) {
  const std::string prefix = InstalledPrefix();
  const std::string outside = FreshFolder("outside");
  std::ofstream(outside + "/precious") << "precious";
  const std::string name = std::filesystem::path(outside).filename().string();
  for (const std::string& entry :
       {"../" + name + "/precious", "bin/../../" + name + "/precious", outside + "/precious"}) {
    std::ofstream(prefix + "/share/daxvmm/installed.txt") << entry << "\n";
    EXPECT_NE(Install({"--prefix", prefix, "--uninstall"}).exit_code, 0) << entry;
    EXPECT_EQ(ReadFile(outside + "/precious"), "precious") << entry;
  }
}

TEST(InstallTest, ADestdirIsNamedNowhere) {
  const std::string staging = FreshFolder("staging");
  const Finished finished = Install({"--prefix", "/usr", "--destdir", staging});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const std::string unit = ReadFile(staging + "/usr/lib/systemd/system/daxvmm@.service");
  EXPECT_THAT(unit, HasSubstr("\nExecStart=/usr/bin/daxvmm run --config /etc/daxvmm/%i.conf "));
  for (const std::string& file : FilesBelow(staging)) {
    EXPECT_THAT(ReadFile(staging + "/" + file), Not(HasSubstr(staging))) << file;
  }
}

TEST(InstallTest, RefusesWhatItCannotMean) {
  EXPECT_THAT(Install({"--prefix", "relative"}).err, HasSubstr("--prefix: relative is not absolute"));
  EXPECT_THAT(Install({"--prefix", "/tmp/a%b"}).err, HasSubstr("letters, digits"));
  EXPECT_THAT(Install({"--prefix"}).err, HasSubstr("--prefix needs a value"));
  EXPECT_THAT(Install({"--frobnicate"}).err, HasSubstr("unknown argument --frobnicate"));
  EXPECT_THAT(RunToEnd({"scripts/install", "--from-build", "/nonexistent", "--prefix", testing::TempDir() + "/none"},
                       "", {"PATH=/usr/bin:/bin", "HOME=/"})
                  .err,
              HasSubstr("/nonexistent/packaging/install_list.txt is missing"));
}

}  // namespace
}  // namespace daxvmm::packaging_test
