// daxvmm run --policy-file: what is refused at start, and how a running machine follows the file.
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "tests/cli/cli_fixture.h"

namespace daxvmm::cli_test {
namespace {

constexpr char kNever[] = "default_outcome: OUTCOME_NO_DAX\n";
constexpr char kAlways[] = "{\"default_outcome\": \"OUTCOME_DAX\"}\n";

class PolicyFileTest : public CliTest {
 protected:
  void ExpectFileRefused(const std::string& text, const std::vector<std::string>& parts) {
    Write("p", text);
    ExpectRefused({"run", "--kernel", "kernel", "--control", "vm.sock", "--policy-file", "p"}, parts);
  }

  std::unique_ptr<Process> StartIdle(std::vector<std::string> more) {
    WriteKernel("idle", kPrintAndIdle);
    std::vector<std::string> arguments = {"run",     "--kernel",           "idle", "--control",
                                          "vm.sock", "--shutdown-timeout", "0",    "--policy-file"};
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
  // Asks until `policy get` shows `text`: the machine does not tell when it has read a file.
  std::string AwaitPolicy(const std::string& text) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    Answer answer;
    do {
      answer = Ctl({"policy", "get"});
      if (answer.out.find(text) != std::string::npos) return answer.out;
      std::this_thread::yield();
    } while (std::chrono::steady_clock::now() < deadline);
    ADD_FAILURE() << "policy get did not show '" << text << "' in time, but " << answer.out << answer.err;
    return answer.out;
  }

 private:
  int calls_ = 0;
};

TEST_F(PolicyFileTest, ABadFileIsRefusedWithItsLine) {
  ExpectFileRefused(
      "rules {\n  name: \"a\"\n  outcome: OUTCOME_DAX\n  size_at_least: 9\n  size_below: 4\n}\n"
      "default_outcome: OUTCOME_DAX\n",
      {"daxvmm: --policy-file: p:5: rules[0].size_below: must be greater"});
  ExpectFileRefused("rules {\n  nome: \"a\"\n}\n", {"--policy-file: p:2: ", "nome"});
  ExpectFileRefused("{\n \"rules\": [\n  {\"name\": 3}]}", {"--policy-file: p:3: rules[0].name: a string is needed"});
  ExpectFileRefused("", {"--policy-file: p: default_outcome: missing"});
  ExpectFileRefused(std::string((1 << 20) + 1, ' '), {"--policy-file: p: larger than 1 MiB"});
}

TEST_F(PolicyFileTest, WhatIsNoFileIsRefused) {
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  const auto refuse = [this](const std::string& file, const std::string& why) {
    ExpectRefused({"run", "--kernel", "kernel", "--policy-file", file}, {"--policy-file: " + file, why});
  };
  refuse("none", "No such file");
  refuse("fifo", "not a regular file");
  refuse("share", "not a regular file");
  refuse("/dev/zero", "not a regular file");
  ExpectRefused({"run", "--kernel", "kernel", "--policy-file", ""}, {"--policy-file", "empty"});
  Write("p", kNever);
  ExpectRefused({"run", "--kernel", "kernel", "--policy-file", "p", "--policy", "size"},
                {"--policy-file: excludes --policy"});
}

TEST_F(PolicyFileTest, SharePoliciesTogetherWithItMustBeValid) {
  std::string full = kNever;
  for (int i = 0; i < 1000; ++i) {
    full += "rules { name: \"r" + std::to_string(i) + "\" outcome: OUTCOME_DAX }\n";
  }
  Write("p", full);
  ExpectRefused({"run", "--kernel", "kernel", "--policy-file", "p", "--share", "path=share,tag=t,policy=size"},
                {"--policy-file: p: with the rules of shares in front: rules: at most 1000"});
}

TEST_F(PolicyFileTest, TheMachineFollowsTheFile) {
  NEEDS_KVM();
  Write("p", kNever);
  const auto process = StartIdle({"p", "--share", "path=share,tag=data,policy=size"});
  std::string policy = AwaitPolicy("generation 1");
  EXPECT_NE(policy.find("from the file (p)"), std::string::npos) << policy;
  EXPECT_NE(policy.find("Watched file: p\n"), std::string::npos) << policy;
  EXPECT_NE(policy.find("data/size"), std::string::npos) << policy;

  Write("new", kAlways);
  std::filesystem::rename(Path("new"), Path("p"));
  policy = AwaitPolicy("generation 2");
  EXPECT_NE(policy.find("data/size"), std::string::npos) << "share rules stand in front of each reading: " << policy;
  EXPECT_NE(policy.find("default       any    any          dax"), std::string::npos) << policy;

  // A bad one is shown, and changes nothing.
  Write("p", "rules {\n size: 3\n}\n");
  policy = AwaitPolicy("not in force since");
  EXPECT_NE(policy.find(": p:2: "), std::string::npos) << policy;
  EXPECT_NE(policy.find("generation 2"), std::string::npos) << policy;

  // A request needs force; a later change of the file wins.
  const Answer refused = Ctl({"policy", "set", "never"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.err.find("FAILED_PRECONDITION"), std::string::npos) << refused.err;
  EXPECT_EQ(Ctl({"policy", "set", "never", "--force"}).status, 0);
  policy = AwaitPolicy("generation 3");
  EXPECT_NE(policy.find("by request (uid "), std::string::npos) << policy;
  Write("p", kNever);
  policy = AwaitPolicy("generation 4");
  EXPECT_NE(policy.find("from the file (p)"), std::string::npos) << policy;
  EXPECT_EQ(policy.find("not in force"), std::string::npos) << policy;

  process->Signal(SIGTERM);
  EXPECT_EQ(process->AwaitExit(), 6);
  EXPECT_NE(process->Error().find("p:2: "), std::string::npos) << "the log tells of a bad file: " << process->Error();
}

TEST_F(PolicyFileTest, NoControlPlaneIsNeeded) {
  NEEDS_KVM();
  Write("p", kAlways);
  const auto process = Start({"run", "--kernel", "kernel", "--policy-file", "p"});
  EXPECT_EQ(process->AwaitExit(), 0) << process->Error();
  EXPECT_EQ(process->Error(), "");
}

}  // namespace
}  // namespace daxvmm::cli_test
