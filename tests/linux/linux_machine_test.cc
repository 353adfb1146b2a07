// Ring 5: one machine's whole life over its control plane: made, started, paused, resumed, shut down. A Linux guest
// must not notice more of a pause than that time has passed.
#include <future>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/linux/checks.h"

namespace daxvmm::linux_test {
namespace {

// The guest's watchdog calls a CPU hung that did not schedule for twice its threshold, so the pause is longer than
// that.
constexpr int kWatchdogThresholdSeconds = 3;
constexpr absl::Duration kPause = absl::Seconds(8);
constexpr absl::Duration kWholeLife = absl::Minutes(10);

absl::StatusOr<std::string> ReadConsole(Machine& machine) {
  std::string text;
  const absl::Status status =
      machine.control->ReadConsole({}, kCommandDeadline, [&text](const v1::ReadConsoleResponse& response) {
        text += response.data();
        return true;
      });
  if (!status.ok()) return status;
  return text;
}

TEST(LinuxMachineTest, IsMadeStartedPausedResumedAndShutDown) {
  GuestOptions options;
  options.memory = "256M";
  options.cpus = 2;
  options.flags = {"--paused"};
  absl::StatusOr<Machine> started = StartMachine(TestEnvironment(), options);
  ASSERT_OK(StatusOf(started));
  Machine machine = *std::move(started);
  control::Client& control = *machine.control;

  absl::StatusOr<v1::Machine> state = control.GetMachine();
  ASSERT_OK(StatusOf(state));
  EXPECT_EQ(state->state(), v1::Machine::STATE_CREATED);
  EXPECT_EQ(state->cpus(), 2u);
  EXPECT_FALSE(state->has_start_time());
  absl::StatusOr<std::string> console = ReadConsole(machine);
  ASSERT_OK(StatusOf(console));
  EXPECT_EQ(*console, "");

  std::vector<std::string> kinds;
  auto watcher = std::async(std::launch::async, [&] {
    return control.WatchEvents({}, kWholeLife, [&kinds](const v1::WatchEventsResponse& response) {
      kinds.push_back(v1::Event::Kind_Name(response.event().kind()));
      return true;
    });
  });
  state = control.StartMachine();
  ASSERT_OK(StatusOf(state));
  EXPECT_EQ(state->state(), v1::Machine::STATE_RUNNING);
  EXPECT_TRUE(state->has_start_time());
  ASSERT_OK(machine.guest->AwaitReady());
  console = ReadConsole(machine);
  ASSERT_OK(StatusOf(console));
  EXPECT_TRUE(absl::StrContains(*console, "@@READY")) << *console;

  ASSERT_OK(StatusOf(
      machine.guest->Check(absl::StrCat("echo ", kWatchdogThresholdSeconds, " >/proc/sys/kernel/watchdog_thresh"))));
  state = control.PauseMachine();
  ASSERT_OK(StatusOf(state));
  EXPECT_EQ(state->state(), v1::Machine::STATE_PAUSED);
  // The guest gets this command when it runs again. Nothing is waited for here: the pause itself is what is tried.
  ASSERT_OK(machine.guest->Send("echo it goes on"));
  absl::SleepFor(kPause);
  console = ReadConsole(machine);
  ASSERT_OK(StatusOf(console));
  EXPECT_FALSE(absl::StrContains(*console, "it goes on")) << "the guest ran while it was paused";
  ASSERT_OK(StatusOf(control.ResumeMachine()));
  ASSERT_OK(StatusOf(machine.guest->Check("true")));
  console = ReadConsole(machine);
  ASSERT_OK(StatusOf(console));
  EXPECT_TRUE(absl::StrContains(*console, "it goes on")) << "what was typed meanwhile is lost";
  // Both CPUs work, and their watchdogs have had time to bark.
  for (const int cpu : {0, 1}) {
    ASSERT_OK(StatusOf(machine.guest->Check(absl::StrCat("taskset ", 1 << cpu, " sleep 4"))));
  }
  const absl::StatusOr<CommandResult> barks = machine.guest->Run("dmesg | grep -iE 'soft lockup|rcu.*stall|hung'");
  ASSERT_OK(StatusOf(barks));
  EXPECT_EQ(barks->status, 1) << barks->output;

  ASSERT_OK(StatusOf(control.SetNamedPolicy("never")));
  ASSERT_OK(StatusOf(machine.guest->Check(
      "until ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q /dev/input/event; do usleep 50000; done")));
  v1::ShutdownMachineRequest shutdown;
  shutdown.mutable_timeout()->set_seconds(60);
  ASSERT_OK(StatusOf(control.ShutdownMachine(shutdown)));
  const absl::StatusOr<int> status = machine.guest->WaitForExit();
  ASSERT_OK(StatusOf(status));
  EXPECT_EQ(*status, 0) << machine.guest->ConsoleTail();
  const absl::Status watched = watcher.get();
  EXPECT_TRUE(watched.ok()) << watched;
  EXPECT_EQ(kinds, (std::vector<std::string>{"KIND_STARTED", "KIND_PAUSED", "KIND_RESUMED", "KIND_POLICY_CHANGED",
                                             "KIND_SHUTDOWN_REQUESTED", "KIND_POWER_OFF"}));
}

}  // namespace
}  // namespace daxvmm::linux_test
