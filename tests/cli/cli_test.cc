// How a run ends: its status, its last line, the terminal and the control socket.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "base/unique_fd.h"
#include "tests/cli/cli_fixture.h"

namespace daxvmm::cli_test {
namespace {

class RunTest : public CliTest {
 protected:
  // A guest that prints its greeting and idles, with a control socket.
  std::unique_ptr<Process> StartIdle(const std::string& socket, std::vector<std::string> more = {}, int input = -1) {
    WriteKernel("idle", kPrintAndIdle);
    std::vector<std::string> arguments = {"run", "--kernel", "idle", "--control", socket, "--shutdown-timeout", "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto process = Start(arguments, input);
    EXPECT_TRUE(process->AwaitOutput(kGreeting)) << "the guest did not start: " << process->Error();
    return process;
  }
  bool Exists(const std::string& name) const {
    struct stat st;
    return lstat(Path(name).c_str(), &st) == 0;
  }
  // The guest's code, the status and what the one line says; empty: there is no line.
  void ExpectEnd(const std::string& code, int status, const std::string& text,
                 const std::vector<std::string>& flags = {}) {
    WriteKernel("guest", code);
    std::vector<std::string> arguments = {"run", "--kernel", "guest", "--control", "vm.sock"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const auto process = Start(arguments);
    EXPECT_EQ(process->AwaitExit(), status);
    last_error_ = process->Error();
    if (text.empty()) {
      EXPECT_EQ(last_error_, "");
    } else {
      EXPECT_NE(last_error_.find(text), std::string::npos) << last_error_;
      EXPECT_EQ(std::count(last_error_.begin(), last_error_.end(), '\n'), 1) << last_error_;
    }
    EXPECT_FALSE(Exists("vm.sock"));
  }

  std::string last_error_;
};

TEST_F(RunTest, HelpAndVersion) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--help"}, {"--version"}, {"run", "--help"}}) {
    const auto process = Start(arguments);
    EXPECT_EQ(process->AwaitExit(), 0);
    EXPECT_NE(process->Output(), "");
    EXPECT_EQ(process->Error(), "");
  }
  const auto process = Start({});
  EXPECT_EQ(process->AwaitExit(), 2);
}

TEST_F(RunTest, EachEndHasItsStatus) {
  NEEDS_KVM();
  ExpectEnd(kPowerOff, 0, "");
  ExpectEnd(kReboot, 3, "reboot");
  ExpectEnd(kPanic, 4, "panicked");
}

TEST_F(RunTest, ATripleFaultIsNotBlamedOnAWindow) {
  NEEDS_KVM();
  ExpectEnd(kTripleFault, 5, "triple fault", {"--share", "path=share,tag=data,dax-window=2M"});
  EXPECT_EQ(last_error_.find("window"), std::string::npos) << last_error_;
}

TEST_F(RunTest, ATouchOfAnUnmappedWindowPageEndsWithAMessage) {
  NEEDS_KVM();
  ExpectEnd(kTouchWindow, 5, "nothing behind it", {"--share", "path=share,tag=data,dax-window=2M"});
  EXPECT_NE(last_error_.find("DAX window"), std::string::npos) << last_error_;
}

TEST_F(RunTest, ASignalEndsAGuestThatDoesNotPowerOff) {
  NEEDS_KVM();
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    const auto process = StartIdle("vm.sock");
    EXPECT_TRUE(Exists("vm.sock"));
    process->Signal(signal);
    EXPECT_EQ(process->AwaitExit(), 6) << strsignal(signal);
    EXPECT_FALSE(Exists("vm.sock")) << strsignal(signal);
  }
}

TEST_F(RunTest, ASecondSignalDoesNotWaitForTheGuest) {
  NEEDS_KVM();
  WriteKernel("idle", kPrintAndIdle);
  const auto process = Start({"run", "--kernel", "idle", "--shutdown-timeout", "3600"});
  ASSERT_TRUE(process->AwaitOutput(kGreeting)) << process->Error();
  process->Signal(SIGTERM);
  process->Signal(SIGINT);  // another one: two of a kind may become one
  EXPECT_EQ(process->AwaitExit(), 6);
}

TEST_F(RunTest, TwoMachinesOnOneShareEachWithItsSocket) {
  NEEDS_KVM();
  const std::string share = "path=share,tag=data,dax-window=2M";
  const auto one = StartIdle("one.sock", {"--share", share});
  const auto two = StartIdle("two.sock", {"--share", share});
  ExpectRefused({"run", "--kernel", "kernel", "--control", "one.sock"},
                {"--control one.sock", "in use", std::to_string(one->pid())});
  two->Signal(SIGTERM);
  EXPECT_EQ(two->AwaitExit(), 6);
  EXPECT_TRUE(Exists("one.sock"));
  one->Signal(SIGTERM);
  EXPECT_EQ(one->AwaitExit(), 6);
}

TEST_F(RunTest, TheSocketOfAKilledMachineIsTakenOver) {
  NEEDS_KVM();
  const auto killed = StartIdle("vm.sock");
  killed->Signal(SIGKILL);
  EXPECT_EQ(killed->AwaitExit(), 128 + SIGKILL);
  EXPECT_TRUE(Exists("vm.sock"));
  ExpectEnd(kPowerOff, 0, "");
}

class TerminalTest : public RunTest {
 protected:
  void SetUp() override {
    RunTest::SetUp();
    master_ = UniqueFd(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(master_.valid() && grantpt(master_.get()) == 0 && unlockpt(master_.get()) == 0);
    terminal_ = UniqueFd(open(ptsname(master_.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(terminal_.valid());
  }
  // Line mode, as a shell leaves it.
  bool IsRaw() const {
    termios now;
    EXPECT_EQ(tcgetattr(terminal_.get(), &now), 0);
    return (now.c_lflag & (ICANON | ECHO | ISIG)) == 0;
  }

  UniqueFd master_, terminal_;
};

TEST_F(TerminalTest, IsRawWhileTheGuestRunsAndAfterCtrlAXNoMore) {
  NEEDS_KVM();
  ASSERT_FALSE(IsRaw());
  const auto process = StartIdle("vm.sock", {}, terminal_.get());
  EXPECT_TRUE(IsRaw());
  ASSERT_EQ(write(master_.get(), "\x01x", 2), 2);
  EXPECT_EQ(process->AwaitExit(), 6);
  EXPECT_FALSE(IsRaw());
  EXPECT_FALSE(Exists("vm.sock"));
}

TEST_F(TerminalTest, ComesBackHoweverTheRunEnds) {
  NEEDS_KVM();
  for (const std::string& code : {kPowerOff, kTripleFault}) {
    WriteKernel("guest", code);
    EXPECT_TRUE(Start({"run", "--kernel", "guest"}, terminal_.get())->AwaitExit().has_value());
    EXPECT_FALSE(IsRaw());
  }
  EXPECT_EQ(Start({"run", "--kernel", "none"}, terminal_.get())->AwaitExit(), 2);
  EXPECT_FALSE(IsRaw());
  for (const int signal : {SIGTERM, SIGABRT, SIGSEGV}) {
    const auto process = StartIdle("vm.sock", {}, terminal_.get());
    EXPECT_TRUE(IsRaw());
    process->Signal(signal);
    EXPECT_TRUE(process->AwaitExit().has_value());
    EXPECT_FALSE(IsRaw()) << strsignal(signal);
  }
}

}  // namespace
}  // namespace daxvmm::cli_test
