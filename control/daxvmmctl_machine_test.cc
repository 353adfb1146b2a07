// `machine`, `events` and `version`.
#include <string>
#include <thread>
#include <vector>

#include "base/version.h"
#include "control/testing/daxvmmctl_fixture.h"

namespace daxvmm::control {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

class DaxvmmctlMachineTest : public DaxvmmctlTest {
 protected:
  void Print(const std::string& text) {
    controller_.console().Append({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  }
};

TEST_F(DaxvmmctlMachineTest, ShowTellsTheState) {
  const Finished shown = Ctl({"machine", "show"});
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_THAT(shown.out, StartsWith("State       running\nVersion     daxvmm " + std::string(kVersion) + "\nProcess "));
  EXPECT_THAT(Ctl({"machine", "show", "-o", "json"}).out, HasSubstr("\"state\": \"STATE_RUNNING\""));
  EXPECT_THAT(Ctl({"machine", "show", "-o", "text"}).out, HasSubstr("state: STATE_RUNNING\n"));
}

TEST_F(DaxvmmctlMachineTest, PauseAndResume) {
  EXPECT_EQ(Ctl({"machine", "pause"}).out, "The machine is paused.\n");
  EXPECT_EQ(Ctl({"machine", "pause"}).exit_code, 0) << "twice is no error";
  EXPECT_EQ(Ctl({"machine", "resume"}).out, "The machine is running.\n");
  const Finished started = Ctl({"machine", "start"});
  EXPECT_EQ(started.exit_code, 1);
  EXPECT_THAT(started.err, AllOf(StartsWith("daxvmmctl: refused: FAILED_PRECONDITION: "),
                                 EndsWith("; `daxvmmctl machine show` shows its state\n")));
}

TEST_F(DaxvmmctlMachineTest, ShutdownAnswersAtOnce) {
  const Finished asked = Ctl({"machine", "shutdown", "--timeout", "300"});
  EXPECT_EQ(asked.exit_code, 0) << asked.err;
  EXPECT_EQ(asked.out, "The guest is asked to power off; by force in 4 min.\n");
  EXPECT_THAT(Ctl({"machine", "show"}).out, StartsWith("State       shutting-down, by force in 4 min\n"));
}

TEST_F(DaxvmmctlMachineTest, ShutdownWaitsForTheEnd) {
  std::thread guest([this] {
    // Once it has been asked.
    while (controller_.GetMachine().state != MachineState::kShuttingDown) std::this_thread::yield();
    controller_.EndMachine(EventKind::kPowerOff, "the guest powered off");
  });
  const Finished ended = Ctl({"machine", "shutdown", "--wait", "--timeout", "600"});
  guest.join();
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, MatchesRegex("The guest is asked to power off; by force in (9|10) min.\n"
                                      "..:..:.. shutdown-requested: uid [0-9]+\n"
                                      "..:..:.. power-off: the guest powered off\n"
                                      "The machine has ended: power-off.\n"));
}

TEST_F(DaxvmmctlMachineTest, ShutdownByForceIsAtOnce) {
  const Finished ended = Ctl({"machine", "shutdown", "--force", "--wait"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, StartsWith("The machine is ended by force.\n"));
  EXPECT_THAT(ended.out, EndsWith("The machine has ended: stopped.\n"));
}

TEST_F(DaxvmmctlMachineTest, EventsAreATable) {
  controller_.events().Append(EventKind::kPaused, "");
  controller_.events().Append(EventKind::kNeedsReset, "queue 1 \x1b", "data");
  const Finished events = Ctl({"events", "--kind", "paused,needs-reset"});
  EXPECT_EQ(events.exit_code, 0) << events.err;
  EXPECT_THAT(events.out, MatchesRegex("#  TIME                     AGO +KIND         SHARE  MESSAGE\n"
                                       "[0-9]+  20..-..-.. ..:..:.. UTC  [a-z0-9 ]+  paused       -      -\n"
                                       "[0-9]+  20..-..-.. ..:..:.. UTC  [a-z0-9 ]+  needs-reset  data   "
                                       "queue 1 \\\\x1b\n"));
  EXPECT_THAT(Ctl({"events", "--kind", "paused", "-o", "json"}).out,
              MatchesRegex("\\{\"event\":\\{\"sequence\":\"[0-9]+\",\"kind\":\"KIND_PAUSED\",[^\n]*\\}\n"));
  EXPECT_EQ(Ctl({"events", "--kind", "panic"}).out, "No events.\n");
  EXPECT_EQ(Ctl({"events", "--kind", "panic", "-o", "json"}).out, "");
}

TEST_F(DaxvmmctlMachineTest, EventsFollowToTheEndOfTheMachine) {
  std::thread guest([this] { controller_.EndMachine(EventKind::kPanic, "the guest's kernel panicked"); });
  const Finished events = Ctl({"events", "--follow", "--no-headers"});
  guest.join();
  EXPECT_EQ(events.exit_code, 0) << events.err;
  EXPECT_THAT(events.out, HasSubstr("  panic "));
  EXPECT_THAT(events.out, Not(HasSubstr("KIND")));
}

TEST_F(DaxvmmctlMachineTest, TheConsoleIsRawBytes) {
  Print("one\r\n\x1b[31mtwo\xff\n");
  EXPECT_EQ(Ctl({"machine", "console"}).out, "one\r\n\x1b[31mtwo\xff\n");
  EXPECT_EQ(Ctl({"machine", "console", "--offset", "5"}).out, "\x1b[31mtwo\xff\n");
  EXPECT_EQ(Ctl({"machine", "console", "--escape"}).out, "one\n\\x1b[31mtwo\\xff\n");
  EXPECT_EQ(Ctl({"machine", "console", "--offset", "10", "-o", "json"}).out,
            "{\"offset\":\"10\",\"data\":\"dHdv/wo=\"}\n");
}

TEST_F(DaxvmmctlMachineTest, TheConsoleSaysWhatIsGone) {
  Print(std::string(300 << 10, 'x'));
  const Finished console = Ctl({"machine", "console"});
  EXPECT_EQ(console.exit_code, 0);
  EXPECT_EQ(console.out, std::string(256 << 10, 'x'));
  EXPECT_EQ(console.err, "daxvmmctl: " + std::to_string(44 << 10) + " bytes are not kept any more\n");
}

TEST_F(DaxvmmctlMachineTest, VersionAsksTheMachine) {
  const std::string version = kVersion;
  EXPECT_THAT(Ctl({"version"}).out, StartsWith("daxvmmctl " + version + "\ndaxvmm " + version + ", process "));
  EXPECT_EQ(RunToEnd({"control/daxvmmctl", "version"}).out, "daxvmmctl " + version + "\n");
}

}  // namespace
}  // namespace daxvmm::control
