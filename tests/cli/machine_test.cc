// The program as an operator steers it over its control socket.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "control/client.h"
#include "tests/cli/cli_fixture.h"

namespace daxvmm::cli_test {
namespace {

class MachineTest : public CliTest {
 protected:
  // A machine that waits to be started, and answers. Its guest would print and idle.
  void StartPaused(int input = -1) {
    WriteKernel("idle", kPrintAndIdle);
    process_ =
        Start({"run", "--kernel", "idle", "--control", "vm.sock", "--paused", "--shutdown-timeout", "3600"}, input);
    // The socket is there before the machine, and its queue holds the connection until it is served.
    const absl::Time until = absl::Now() + absl::Minutes(1);
    while (client_ == nullptr && absl::Now() < until) {
      auto client = control::Client::Connect(Path("vm.sock"), absl::Minutes(1));
      if (client.ok()) client_ = *std::move(client);
      absl::SleepFor(absl::Milliseconds(10));
    }
    ASSERT_NE(client_, nullptr) << "nobody listens: " << process_->Error();
    const auto machine = client_->GetMachine();
    ASSERT_TRUE(machine.ok()) << machine.status() << process_->Error();
    EXPECT_EQ(machine->state(), v1::Machine::STATE_CREATED);
    EXPECT_EQ(machine->pid(), process_->pid());
    EXPECT_EQ(process_->Output(), "");
  }
  void ExpectEnd(int status, const std::string& text) {
    EXPECT_EQ(process_->AwaitExit(), status);
    EXPECT_NE(process_->Error().find(text), std::string::npos) << process_->Error();
    EXPECT_NE(access(Path("vm.sock").c_str(), F_OK), 0) << "the socket is left behind";
  }

  std::unique_ptr<Process> process_;
  std::unique_ptr<control::Client> client_;
};

TEST_F(MachineTest, PausedRunsNothingUntilItIsStarted) {
  NEEDS_KVM();
  StartPaused();
  const auto machine = client_->StartMachine();
  ASSERT_TRUE(machine.ok()) << machine.status();
  EXPECT_EQ(machine->state(), v1::Machine::STATE_RUNNING);
  EXPECT_TRUE(process_->AwaitOutput(kGreeting)) << process_->Error();
  v1::ShutdownMachineRequest force;
  force.set_force(true);
  ASSERT_TRUE(client_->ShutdownMachine(force).ok());
  ExpectEnd(6, "ended by force by uid");
}

TEST_F(MachineTest, ASignalEndsWhatNeverRan) {
  NEEDS_KVM();
  StartPaused();
  process_->Signal(SIGTERM);
  ExpectEnd(6, "ended before it was started by signal");
}

TEST_F(MachineTest, CtrlAXEndsWhatNeverRan) {
  NEEDS_KVM();
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd input(ends[0]);
  const UniqueFd keys(ends[1]);
  StartPaused(input.get());
  ASSERT_EQ(write(keys.get(), "\x01x", 2), 2);
  ExpectEnd(6, "from the console");
}

TEST_F(MachineTest, ASecondSignalEndsWhatIsPausedToo) {
  NEEDS_KVM();
  StartPaused();
  ASSERT_TRUE(client_->StartMachine().ok());
  ASSERT_TRUE(process_->AwaitOutput(kGreeting)) << process_->Error();
  ASSERT_TRUE(client_->PauseMachine().ok());
  process_->Signal(SIGTERM);
  // The guest has an hour.
  v1::WatchEventsRequest request;
  request.add_kinds(v1::Event::KIND_SHUTDOWN_REQUESTED);
  request.add_kinds(v1::Event::KIND_STOPPED);
  std::vector<std::string> messages;
  const absl::Status watched = client_->WatchEvents(request, absl::Minutes(1), [&](const v1::WatchEventsResponse& got) {
    messages.push_back(got.event().message());
    if (messages.size() == 1) process_->Signal(SIGINT);
    return true;
  });
  EXPECT_TRUE(watched.ok()) << watched;
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_NE(messages[0].find("signal (Terminated)"), std::string::npos) << messages[0];
  EXPECT_NE(messages[1].find("second signal"), std::string::npos) << messages[1];
  ExpectEnd(6, "second signal");
}

TEST_F(MachineTest, PausedNeedsAControlSocket) {
  ExpectRefused({"run", "--kernel", "kernel", "--paused"}, {"--paused", "--control"});
}

}  // namespace
}  // namespace daxvmm::cli_test
