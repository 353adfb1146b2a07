#include "vmm/run_options.h"

#include <fstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace daxvmm::vmm {
namespace {

absl::StatusOr<RunOptions> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), {"--kernel", "vmlinuz"});
  return ParseRunOptions(arguments);
}

std::string Error(std::vector<const char*> arguments) {
  return std::string(Parse(std::move(arguments)).status().message());
}

TEST(RunOptionsTest, TakesEveryFlag) {
  const auto options = Parse(
      {"--initrd", "i",           "--cmdline", "a b",     "--cpus",
       "4",        "--mem",       "1G",        "--share", "path=/srv,tag=data,dax-window=64M,policy=always,readonly",
       "--policy", "size:1M",     "--control", "/run/c",  "--shutdown-timeout",
       "5",        "--log-level", "debug",     "--kvm",   "/k"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->machine.kernel, "vmlinuz");
  EXPECT_EQ(options->machine.initrd, "i");
  EXPECT_EQ(options->machine.cmdline, "a b");
  EXPECT_EQ(options->machine.cpus, 4u);
  EXPECT_EQ(options->machine.memory, GiB(1));
  EXPECT_EQ(options->machine.kvm_path, "/k");
  EXPECT_EQ(options->machine.policy, *dax::ParsePolicyName("size:1M"));
  EXPECT_EQ(options->control.socket, "/run/c");
  EXPECT_EQ(options->machine.shutdown_timeout, std::chrono::seconds(5));
  EXPECT_EQ(options->log_level, LogLevel::kDebug);
  ASSERT_EQ(options->machine.shares.size(), 1u);
  const ShareConfig& share = options->machine.shares[0];
  EXPECT_EQ(share.options.path, "/srv");
  EXPECT_EQ(share.tag, "data");
  EXPECT_EQ(share.dax_window, MiB(64));
  EXPECT_TRUE(share.options.read_only);
  EXPECT_EQ(share.policy, dax::ParsePolicyName("always").value());
}

TEST(RunOptionsTest, TakesFlagsOfAFile) {
  const std::string path = testing::TempDir() + "/machine.conf";
  std::ofstream(path) << "# A machine.\ncmdline = console=ttyS0 quiet\ncpus = 3\nmem = 1G\n"
                         "share = path=/a b,tag=a\nshare = path=/b,tag=b\n";
  const auto options = Parse({"--mem", "2G", "--config", path.c_str(), "--cpus", "2", "--share", "path=/c,tag=c"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->machine.cmdline, "console=ttyS0 quiet");
  EXPECT_EQ(options->machine.cpus, 2u) << "the later one holds";
  EXPECT_EQ(options->machine.memory, GiB(1));
  ASSERT_EQ(options->machine.shares.size(), 3u);
  EXPECT_EQ(options->machine.shares[0].options.path, "/a b");
  EXPECT_EQ(options->machine.shares[2].tag, "c");
  std::ofstream(path) << "\ncpus = many\n";
  EXPECT_EQ(Error({"--config", path.c_str()}), "--config: " + path + ":2: cpus: 'many' is not a number of CPUs");
  for (const char* flag : {"config = /etc/other", "help"}) {
    std::ofstream(path) << flag << "\n";
    EXPECT_EQ(Error({"--config", path.c_str()}), "--config: " + path +
                                                     ":1: " + std::string(flag).substr(0, std::string(flag).find(' ')) +
                                                     ": there is no such flag");
  }
}

TEST(RunOptionsTest, APolicyFileIsOnlyNoted) {
  const auto options = Parse({"--policy-file", "/no/such"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->machine.policy_file, "/no/such");
}

TEST(RunOptionsTest, ADoubledCommaIsAComma) {
  const auto share = ParseShare("path=/a,,b,tag=x,,");
  ASSERT_TRUE(share.ok()) << share.status();
  EXPECT_EQ(share->options.path, "/a,b");
  EXPECT_EQ(share->tag, "x,");
}

TEST(RunOptionsTest, AQuotaOfTheWindow) {
  const auto share = ParseShare("path=/a,tag=x,dax-window=64M,dax-quota=32M");
  ASSERT_TRUE(share.ok()) << share.status();
  EXPECT_EQ(share->dax_quota, MiB(32));
  EXPECT_EQ(ParseShare("path=/a,tag=x,dax-quota=0").status().message(),
            "dax-quota=0: use policy=never for no DAX at all");
}

TEST(RunOptionsTest, AShareTakesTheOptionsOfTheFileServer) {
  const auto share = ParseShare(
      "path=/a,tag=x,cache=always,attr-timeout=2,uid-map=0:1000:10,uid-map=10:3000:1,no-acl,settable-flags=ai,"
      "max-descriptors=500");
  ASSERT_TRUE(share.ok()) << share.status();
  EXPECT_EQ(share->options.cache, fs::CacheMode::kAlways);
  EXPECT_EQ(share->options.attr_timeout, absl::Seconds(2));
  EXPECT_EQ(share->options.uid_map.ToHost(5), 1005u);
  EXPECT_EQ(share->options.uid_map.ToHost(10), 3000u);
  EXPECT_FALSE(share->options.posix_acl);
  EXPECT_NE(share->options.settable_flags, 0u);
  EXPECT_EQ(share->options.max_descriptors, 500u);
}

TEST(RunOptionsTest, HelpAsksForNothingElse) {
  const char* arguments[] = {"--help"};
  const auto options = ParseRunOptions(arguments);
  ASSERT_TRUE(options.ok());
  EXPECT_TRUE(options->help);
  for (const char* flag : {"--kernel", "--share", "--control", "--policy", "--policy-file", "Exit status",
                           "dax-window=SIZE", "uid-map=", "xattr-map="}) {
    EXPECT_NE(RunHelp().find(flag), std::string::npos) << flag;
  }
}

TEST(RunOptionsTest, ErrorsAreOneLineThatNamesTheFlag) {
  EXPECT_EQ(Error({"--mem", "lots"}), "--mem: 'lots' is not a size such as 512K, 64M or 2G");
  EXPECT_EQ(Error({"--mem", "1M"}), "--mem: 1 MiB is not between 32 MiB and 1 TiB");
  EXPECT_EQ(Error({"--cpus", "-1"}), "--cpus: '-1' is not a number of CPUs");
  EXPECT_EQ(Error({"--share", "path=/a,tag=x,color=red"}), "--share: 'color' is no option of a share");
  EXPECT_EQ(Error({"--share", "path=/a,tag="}), "--share: tag= is missing or empty");
  EXPECT_EQ(Error({"--share", "path=/a,tag=x,dax-window=3M"}),
            "--share: tag 'x': dax-window=3 MiB is not a multiple of 2 MiB");
  EXPECT_EQ(Error({"--share", "path=/a,tag=x,dax-window=huge"}),
            "--share: dax-window='huge' is not a size such as 512K, 64M or 2G");
  EXPECT_EQ(Error({"--share", "path=/a,tag=x,cache=perhaps"}),
            "--share: cache: 'perhaps' is not one of auto, always, never, metadata");
  EXPECT_EQ(Error({"--share", "path=/a,tag=x,no-xattr=1"}), "--share: no-xattr: takes no value");
  EXPECT_EQ(Error({"--share", "path=/a,tag=x,uid-map"}), "--share: uid-map: needs a value: uid-map=GUEST:HOST:COUNT");
  EXPECT_EQ(Error({"--share", "path=/a,tag=x,writeback,dax-window=2M"}).substr(0, 58),
            "--share: tag 'x': writeback does not go with dax-window: t");
  EXPECT_EQ(Error({"--policy", "sometimes"}).substr(0, 10), "--policy: ");
  EXPECT_EQ(Error({"--policy-file", ""}), "--policy-file: must not be empty");
  EXPECT_EQ(Error({"--policy-file", "p", "--policy", "size"}), "--policy-file: excludes --policy");
  EXPECT_EQ(Error({"--log-level", "loud"}), "--log-level: 'loud' is not one of debug, info, warning, error");
  EXPECT_EQ(Error({"--control", ""}), "--control: must not be empty");
  EXPECT_EQ(Error({"extra"}), "'extra': run takes flags only");
  const char* nothing[] = {"--cpus", "1"};
  EXPECT_EQ(ParseRunOptions(nothing).status().message(), "--kernel: is required");
}

}  // namespace
}  // namespace daxvmm::vmm
