// daxvmm run --state-dir and --audit-log: what is refused at start, and what a machine finds after a restart.
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/unique_fd.h"
#include "tests/cli/cli_fixture.h"

namespace daxvmm::cli_test {
namespace {

class StateDirTest : public CliTest {
 protected:
  void ExpectStateRefused(const std::vector<std::string>& flags, const std::vector<std::string>& parts) {
    std::vector<std::string> arguments = {"run", "--kernel", "kernel", "--control", "vm.sock"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    ExpectRefused(arguments, parts);
  }

  std::unique_ptr<Process> StartIdle(const std::vector<std::string>& more) {
    WriteKernel("idle", kPrintAndIdle);
    std::vector<std::string> arguments = {"run", "--kernel",    "idle", "--control", "vm.sock", "--shutdown-timeout",
                                          "0",   "--state-dir", "state"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto process = Start(arguments);
    EXPECT_TRUE(process->AwaitOutput(kGreeting)) << "the guest did not start: " << process->Error();
    return process;
  }

  struct Answer {
    int status = -1;
    std::string out, err;
  };
  Answer Ctl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--control", Path("vm.sock")});
    const std::string prefix = testing::TempDir() + "/ctl" + std::to_string(calls_++);
    Process process({.program = std::filesystem::current_path().string() + "/control/daxvmmctl",
                     .arguments = arguments,
                     .directory = testing::TempDir(),
                     .output = prefix + ".out",
                     .error = prefix + ".err"});
    const int status = process.AwaitExit().value_or(-1);
    return {status, process.Output(), process.Error()};
  }
  std::string ContentOf(const std::string& name) const {
    std::ifstream file(Path(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

 private:
  int calls_ = 0;
};

TEST_F(StateDirTest, BadDirectories) {
  Write("file", "x");
  ExpectStateRefused({"--state-dir", ""}, {"--state-dir", "empty"});
  ExpectStateRefused({"--state-dir", "none/state"}, {"--state-dir: none/state: cannot be made", "No such file"});
  ExpectStateRefused({"--state-dir", "file"}, {"--state-dir: file: is not a directory"});
  ASSERT_EQ(mkdir(Path("open").c_str(), 0700), 0);
  ASSERT_EQ(chmod(Path("open").c_str(), 0777), 0);
  ExpectStateRefused({"--state-dir", "open"}, {"--state-dir: open: may be written by others"});
  ExpectStateRefused({"--reset-bad-state"}, {"--reset-bad-state", "--state-dir"});
}

TEST_F(StateDirTest, BadStates) {
  ASSERT_EQ(mkdir(Path("state").c_str(), 0700), 0);
  Write("state/lock", "");
  for (const auto& [content, why] :
       {std::pair("", "torn"), std::pair("daxvmm-pol", "torn"), std::pair("#!/bin/sh\n", "not a state file of daxvmm"),
        std::pair("daxvmm-policy-state 7 x\n", "of format 7"),
        std::pair("daxvmm-policy-state 1 0000000009 00000000\n123456789", "checksum"),
        std::pair("daxvmm-policy-state 1 0000000009 e3069283\n123456789", "line 1: ")}) {
    Write("state/policy.state", content);
    ExpectStateRefused({"--state-dir", "state"},
                       {std::string("--state-dir: state"), "policy.state: ", why, "--reset-bad-state"});
    EXPECT_EQ(ContentOf("state/policy.state"), content);
  }
}

TEST_F(StateDirTest, BadAuditLogs) {
  ExpectStateRefused({"--audit-log", ""}, {"--audit-log", "empty"});
  ExpectStateRefused({"--audit-log", "none/log"}, {"--audit-log: none/log: ", "No such file"});
  ExpectStateRefused({"--audit-log", "share"}, {"--audit-log: share: ", "Is a directory"});
  ExpectStateRefused({"--audit-log", "/dev/null"}, {"--audit-log: /dev/null: not a regular file"});
  ASSERT_EQ(symlink("elsewhere", Path("link").c_str()), 0);
  ExpectStateRefused({"--audit-log", "link"}, {"--audit-log: link: a symbolic link"});
}

// What goes wrong later in the start leaves no directory behind.
TEST_F(StateDirTest, AMachineThatCannotBeBuiltLeavesNoState) {
  ExpectRefused({"run", "--kernel", "none", "--state-dir", "state"}, {"--k"});
}

TEST_F(StateDirTest, APolicySurvivesAKill) {
  NEEDS_KVM();
  const std::vector<std::string> flags = {"--share", "path=share,tag=data", "--policy",
                                          "never",   "--audit-log",         "audit"};
  auto process = StartIdle(flags);
  EXPECT_EQ(process->Error(), "");
  Answer answer = Ctl({"policy", "set", "always"});
  ASSERT_EQ(answer.status, 0) << answer.err;
  EXPECT_EQ(
      Ctl({"policy", "override", "set", "--share", "data", "--dax", "no", "--note", "why", "--ttl", "1h", "a"}).status,
      0);
  EXPECT_EQ(Ctl({"policy", "override", "set", "--share", "data", "--dax", "no", "--node", "7"}).status, 0);
  process->Signal(SIGKILL);
  process->AwaitExit();

  process = StartIdle(flags);
  EXPECT_NE(process->Error().find("the policy kept in it (generation 4) is in force, not that of the flags"),
            std::string::npos)
      << process->Error();
  answer = Ctl({"policy", "get"});
  EXPECT_EQ(answer.status, 0) << answer.err;
  EXPECT_NE(answer.out.find("Policy generation 5, kept from an earlier run (state)"), std::string::npos) << answer.out;
  EXPECT_NE(answer.out.find("Overrides: 1\n"), std::string::npos) << answer.out;
  EXPECT_NE(answer.out.find("why"), std::string::npos) << answer.out;
  answer = Ctl({"policy", "history"});
  EXPECT_NE(answer.out.find("Policy generations: 5\n"), std::string::npos) << answer.out;
  EXPECT_NE(answer.out.find("default no-dax -> dax"), std::string::npos) << answer.out;
  EXPECT_NE(answer.out.find("1 override by node dropped"), std::string::npos) << answer.out;

  // Nobody else may have the directory meanwhile.
  ExpectRefused({"run", "--kernel", "kernel", "--state-dir", "state"},
                {"--state-dir: state: in use by another daxvmm, process "});
  process->Signal(SIGTERM);
  EXPECT_EQ(process->AwaitExit(), 6);
  const std::string audit = ContentOf("audit");
  EXPECT_NE(audit.find("\"action\":\"set-policy\",\"result\":\"OK\""), std::string::npos) << audit;
  EXPECT_NE(audit.find("\"source\":\"state\""), std::string::npos) << audit;
}

TEST_F(StateDirTest, AForcedPolicyOutlivesARestartUntilTheFileChanges) {
  NEEDS_KVM();
  Write("p", "default_outcome: OUTCOME_NO_DAX\n");
  const std::vector<std::string> flags = {"--policy-file", "p", "--share", "path=share,tag=data,policy=size"};
  const auto restart = [&](std::unique_ptr<Process> old) {
    old->Signal(SIGKILL);
    old->AwaitExit();
    return StartIdle(flags);
  };
  auto process = StartIdle(flags);
  ASSERT_EQ(Ctl({"policy", "set", "always", "--force"}).status, 0);

  process = restart(std::move(process));
  Answer answer = Ctl({"policy", "get"});
  EXPECT_NE(answer.out.find("generation 3, kept from an earlier run"), std::string::npos) << answer.out;
  EXPECT_EQ(answer.out.find("data/size"), std::string::npos)
      << "a share's rules were put in front again: " << answer.out;

  // Another order and a comment are no other policy.
  Write("p", "# the same\ndefault_outcome: OUTCOME_NO_DAX enforcement: ENFORCEMENT_ADVISORY\n");
  process = restart(std::move(process));
  answer = Ctl({"policy", "get"});
  EXPECT_NE(answer.out.find("generation 4, kept from an earlier run"), std::string::npos) << answer.out;

  process->Signal(SIGKILL);
  process->AwaitExit();
  Write("p", "default_outcome: OUTCOME_ADAPTIVE\n");
  process = StartIdle(flags);
  EXPECT_NE(process->Error().find("gives way to the policy file p"), std::string::npos) << process->Error();
  answer = Ctl({"policy", "get"});
  EXPECT_NE(answer.out.find("generation 5, from the file (p)"), std::string::npos) << answer.out;
  EXPECT_NE(answer.out.find("data/size"), std::string::npos) << answer.out;
  process->Signal(SIGTERM);
  EXPECT_EQ(process->AwaitExit(), 6);
}

TEST_F(StateDirTest, WhatCannotBeKeptIsRefused) {
  NEEDS_KVM();
  const auto process = StartIdle({"--policy", "never", "--audit-log", "audit"});
  // In the way of the next temporary file, for root too.
  ASSERT_EQ(mkdir(Path("state/policy.state.new").c_str(), 0700), 0);
  Answer answer = Ctl({"policy", "set", "always"});
  EXPECT_EQ(answer.status, 1);
  EXPECT_NE(answer.err.find("refused: UNAVAILABLE: the policy stays as it was"), std::string::npos) << answer.err;
  EXPECT_NE(answer.err.find("state directory state: policy.state.new: Is a directory"), std::string::npos)
      << answer.err;
  answer = Ctl({"policy", "get"});
  EXPECT_NE(answer.out.find("generation 1"), std::string::npos) << answer.out;
  EXPECT_NE(ContentOf("audit").find("\"action\":\"set-policy\",\"result\":\"UNAVAILABLE\""), std::string::npos);
  ASSERT_EQ(rmdir(Path("state/policy.state.new").c_str()), 0);
  answer = Ctl({"policy", "set", "always"});
  EXPECT_EQ(answer.status, 0) << answer.err;
  // Of a share that there is not: refused before it gets to the store.
  EXPECT_EQ(Ctl({"policy", "override", "set", "--share", "none", "--dax", "no", "a"}).status, 1);
  EXPECT_NE(ContentOf("audit").find("\"action\":\"set-override\",\"result\":\"NOT_FOUND\""), std::string::npos);
  process->Signal(SIGTERM);
  EXPECT_EQ(process->AwaitExit(), 6);
}

TEST_F(StateDirTest, ABadStateCanBeSetAside) {
  NEEDS_KVM();
  ASSERT_EQ(mkdir(Path("state").c_str(), 0700), 0);
  Write("state/policy.state", "junk");
  const auto process = StartIdle({"--reset-bad-state"});
  EXPECT_EQ(ContentOf("state/policy.state.bad-1"), "junk");
  EXPECT_EQ(ContentOf("state/policy.state").substr(0, 22), "daxvmm-policy-state 1 ");
  EXPECT_NE(process->Error().find("not a state file of daxvmm"), std::string::npos) << process->Error();
  EXPECT_NE(process->Error().find("policy.state.bad-1"), std::string::npos) << process->Error();
  process->Signal(SIGTERM);
  EXPECT_EQ(process->AwaitExit(), 6);
}

}  // namespace
}  // namespace daxvmm::cli_test
