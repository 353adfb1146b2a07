// The true program on a terminal, against a true server over a machine without a guest.
#include <signal.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "control/control_socket.h"
#include "control/server_loader.h"
#include "control/testing/fake_controller.h"
#include "control/testing/subprocess.h"
#include "control/testing/tmux.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TopScreenTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string missing = Tmux::Missing(); !missing.empty()) GTEST_SKIP() << missing;
    controller_.FillWithExamples();
    controller_.windows[0].mapped_chunks = 5;
    controller_.machine.state = MachineState::kRunning;
    controller_.machine.started = absl::Now() - absl::Hours(100);
    controller_.files.push_back({.share_tag = "data",
                                 .node_id = 4,
                                 .path = "r\xc3\xa9sum\xc3\xa9/\xe4\xbd\xa0\xe5\xa5\xbd.bin",
                                 .size = GiB(1),
                                 .decision_dax = true,
                                 .decision_rule = "size",
                                 .overridden = true,
                                 .mapped_chunks = 2,
                                 .setup_mappings = 7,
                                 .reads = 12});
    const auto mapping = [](uint64_t chunk, uint64_t node, const std::string& path) {
      return WindowMapping{.share_tag = "data",
                           .at = WindowOffset(chunk * kDaxRangeSize.raw()),
                           .length = kDaxRangeSize,
                           .node_id = node,
                           .path = path};
    };
    controller_.mappings = {mapping(0, 2, "big.bin"), mapping(1, 2, "big.bin"), mapping(2, 2, "big.bin"),
                            mapping(5, 4, "x"), mapping(6, 4, "x")};
    controller_.SetCounts({.converged = 3, .noticed_held_open = 1});
    StartServer();
  }

  void StartServer() {
    auto bound = ControlSocket::Bind(testing::TempDir() + "/ctl");
    ASSERT_TRUE(bound.ok()) << bound.status();
    socket_.emplace(*std::move(bound));
    const auto library = LocateControlLibrary();
    ASSERT_TRUE(library.ok()) << library.status();
    auto server = LoadedControlServer::Start(&controller_, socket_->listen_fd(), *library);
    ASSERT_TRUE(server.ok()) << server.status();
    server_.emplace(*std::move(server));
  }

  void StopServer() {
    server_.reset();
    socket_.reset();
  }

  // With `flags`; what is printed when it is over ends the screen with "status N, same terminal".
  std::unique_ptr<Tmux> Start(int columns, int rows, const std::string& flags = "",
                              const std::string& locale = "C.UTF-8") const {
    return std::make_unique<Tmux>(
        testing::TempDir(), columns, rows,
        absl::StrCat(
            "export TERM=screen-256color; trap : INT TERM HUP; before=$(stty -g); control/daxvmmctl --interval 0.2 ",
            flags, " top; echo \"status $?\"; [ \"$before\" = \"$(stty -g)\" ] && echo same terminal; exec cat"),
        std::vector<std::string>{"DAXVMM_CONTROL=" + testing::TempDir() + "/ctl", "LC_ALL=" + locale, "TZ=UTC0"});
  }

  FakeController controller_;
  std::optional<ControlSocket> socket_;
  std::optional<LoadedControlServer> server_;
};

size_t LineOf(const std::string& screen, const std::string& text) {
  const std::vector<std::string> lines = absl::StrSplit(screen, '\n');
  for (size_t i = 0; i < lines.size(); ++i) {
    if (absl::StrContains(lines[i], text)) return i;
  }
  return std::string::npos;
}

// The signal has come to daxvmmctl; its shell is the pane's process.
int PidOfTop(const Tmux& terminal) {
  const Finished children =
      RunToEnd({"/usr/bin/env", "cat", absl::StrCat("/proc/", terminal.Pid(), "/task/", terminal.Pid(), "/children")},
               "", {"PATH=/usr/bin:/bin"});
  return std::atoi(children.out.c_str());
}

void ExpectLeft(const Tmux& terminal, const std::string& status) {
  const std::string left = terminal.WaitFor("same terminal");
  EXPECT_THAT(left, HasSubstr(status));
  EXPECT_THAT(left, Not(HasSubstr("daxvmm "))) << "the picture is gone";
}

TEST_F(TopScreenTest, ShowsTheMachineAndQuits) {
  const auto terminal = Start(80, 24);
  terminal->WaitFor("big.bin");
  const std::string screen = terminal->WaitFor("moving");
  EXPECT_THAT(screen, HasSubstr("policy  generation 1, from start (--policy), since "));
  EXPECT_THAT(screen, HasSubstr("share   [data 5/32] src\n"));
  EXPECT_THAT(screen, HasSubstr("window  [###-------------] 5/32 16%  peak 5                     mounted per-file\n"));
  EXPECT_THAT(screen, HasSubstr("maps    9  0.0 0.0 0.0/s "));
  EXPECT_THAT(screen, HasSubstr("events  repairs 0  denied 0  against policy 0  rejected 1  past end 0\n"));
  EXPECT_THAT(screen, HasSubstr("running 4d"));
  EXPECT_THAT(screen, HasSubstr("guest   [############oooo] moving: 3 converged, 1 held open\n"));
  EXPECT_THAT(screen, HasSubstr("     6M yes  yes  converged         3      0      4 big.bin\n"));
  EXPECT_THAT(screen, HasSubstr("     1G yes* ?    converged         2     12      7 r\xc3\xa9sum\xc3\xa9/"
                                "\xe4\xbd\xa0\xe5\xa5\xbd.bin\n"));
  EXPECT_THAT(screen, HasSubstr("   32767 no   yes  cached 0.4 s      0      2      0 caf\\xe9\\x1b[2J.txt\n"));
  EXPECT_THAT(screen, HasSubstr("\n q quit  ? help  s sort:chunks  "));
  terminal->Press("q");
  ExpectLeft(*terminal, "status 0");
}

TEST_F(TopScreenTest, KeysChangeWhatIsShown) {
  const auto terminal = Start(80, 24);
  const std::string by_chunks = terminal->WaitFor("cached 0.4 s");
  EXPECT_LT(LineOf(by_chunks, "big.bin"), LineOf(by_chunks, "sum\xc3\xa9/"));
  terminal->Press("s");
  const std::string by_reads = terminal->WaitUntil("the order by reads", [](const std::string& screen) {
    return absl::StrContains(screen, ">READS") || absl::StrContains(screen, "by reads)");
  });
  terminal->WaitUntil("the file with the most reads first", [](const std::string& screen) {
    return LineOf(screen, "sum\xc3\xa9/") < LineOf(screen, "cached 0.4 s") &&
           LineOf(screen, "cached 0.4 s") < LineOf(screen, "big.bin");
  });

  terminal->Press("?");
  EXPECT_THAT(terminal->WaitFor("Keys and signs"), HasSubstr("another file"));
  terminal->Press("x");  // means nothing, so the help stays
  terminal->Press("Escape");
  terminal->WaitForNo("Keys and signs");

  terminal->Press("Space");
  terminal->WaitFor("PAUSED");
  terminal->Press("Space");
  terminal->WaitForNo("PAUSED");

  terminal->Press("+");
  terminal->WaitFor("every 0.5 s");
  terminal->Press("-");
  terminal->WaitFor("every 0.2 s");

  terminal->Press("n");
  EXPECT_THAT(terminal->WaitFor("[src]"), HasSubstr("window  none"));
  terminal->WaitFor("main.c");
  terminal->Press("Tab");
  terminal->WaitFor("[data 5/32]");
  terminal->Press("Left");
  terminal->WaitFor("[src]");
  terminal->Press("C-c");
  ExpectLeft(*terminal, "status 130");
}

TEST_F(TopScreenTest, FollowsTheSizeOfTheTerminal) {
  const auto terminal = Start(80, 24, "--share src");
  terminal->WaitFor("main.c");
  terminal->Resize(120, 40);
  terminal->WaitUntil("the footer on line 40, with more columns", [](const std::string& screen) {
    return LineOf(screen, " q quit") == 39 && absl::StrContains(screen, "RULE   ");
  });
  terminal->Resize(40, 10);
  terminal->WaitUntil("the footer on line 10",
                      [](const std::string& screen) { return LineOf(screen, " q quit") == 9; });
  terminal->Resize(30, 8);
  terminal->WaitFor("40x10 are needed");
  terminal->Resize(80, 24);
  terminal->WaitFor("main.c");
  terminal->Press("q");
  ExpectLeft(*terminal, "status 0");
}

TEST_F(TopScreenTest, ALostServerIsTriedAgain) {
  const auto terminal = Start(80, 24);
  terminal->WaitFor("connected");
  StopServer();
  const std::string lost = terminal->WaitFor("NO CONNECTION");
  EXPECT_THAT(lost, HasSubstr("big.bin")) << "what was known stays";
  terminal->WaitFor("No such file or directory");
  terminal->Press("?");
  terminal->WaitFor("Keys and signs");
  terminal->Press("?");
  controller_.files[0].path = "another.bin";
  StartServer();
  terminal->WaitFor("another.bin");
  EXPECT_THAT(terminal->WaitForNo("NO CONNECTION"), HasSubstr("connected"));
  terminal->Press("q");
  ExpectLeft(*terminal, "status 0");
}

// The listening socket takes connections, but nobody answers.
TEST_F(TopScreenTest, KeysAnswerWhileTheServerIsSlow) {
  server_.reset();
  const auto terminal = Start(80, 24);
  terminal->WaitFor("connecting, no answer for 2s");
  terminal->Press("?");
  terminal->WaitFor("Keys and signs");
  terminal->Press("q");
  ExpectLeft(*terminal, "status 0");
}

TEST_F(TopScreenTest, WithoutUtf8TheScreenIsAscii) {
  const auto terminal = Start(80, 24, "", "C");
  terminal->WaitFor("big.bin");
  const std::string screen = terminal->WaitFor("moving");
  for (const char c : screen) ASSERT_LT(static_cast<unsigned char>(c), 0x80) << screen;
  EXPECT_THAT(screen, HasSubstr("r\\xc3\\xa9s~\\xe5\\xa5\\xbd.bin"));
  terminal->Press("q");
  ExpectLeft(*terminal, "status 0");
}

TEST_F(TopScreenTest, SignalsLeaveTheTerminalSane) {
  for (const auto& [signal, status] : {std::pair(SIGTERM, "status 143"), std::pair(SIGHUP, "status 129")}) {
    const auto terminal = Start(80, 24);
    terminal->WaitFor("big.bin");
    ASSERT_EQ(kill(PidOfTop(*terminal), signal), 0);
    ExpectLeft(*terminal, status);
  }
}

TEST_F(TopScreenTest, StopsAndGoesOn) {
  const auto terminal = std::make_unique<Tmux>(
      testing::TempDir(), 80, 24, "exec /bin/sh -m",
      std::vector<std::string>{"DAXVMM_CONTROL=" + testing::TempDir() + "/ctl", "LC_ALL=C.UTF-8", "PS1=prompt: "});
  terminal->WaitFor("prompt:");
  terminal->Press("control/daxvmmctl top");
  terminal->Press("Enter");
  terminal->WaitFor("big.bin");
  terminal->Press("C-z");
  terminal->WaitFor("Stopped");
  terminal->Press("stty -a | tr ' ;' '\\n\\n' | grep -x -e echo -e icanon; fg");
  const std::string shell = terminal->WaitFor("; fg");
  terminal->Press("Enter");
  terminal->WaitFor("big.bin");
  // Something else draws over it; another stop shows that the screen is taken again in full.
  terminal->Press("q");
  const std::string left = terminal->WaitForNo("big.bin");
  EXPECT_THAT(left, HasSubstr("icanon\necho\n")) << "the shell had its terminal as it was";
}

TEST_F(TopScreenTest, NeedsATerminal) {
  const std::vector<std::string> environment = {"DAXVMM_CONTROL=" + testing::TempDir() + "/ctl", "TERM=screen"};
  const Finished piped = RunToEnd({"control/daxvmmctl", "top"}, "", environment);
  EXPECT_EQ(piped.exit_code, 2);
  EXPECT_EQ(piped.out, "");
  EXPECT_EQ(piped.err,
            "daxvmmctl: top: standard input is not a terminal; `daxvmmctl watch` and `daxvmmctl window` print lines "
            "instead\n");
  EXPECT_EQ(RunToEnd({"control/daxvmmctl", "top", "-o", "json"}, "", environment).exit_code, 2);
  for (const auto& [term, message] :
       {std::pair("dumb", "cannot move its cursor"), std::pair("nonesuch", "is not known")}) {
    const Tmux terminal(testing::TempDir(), 120, 24,
                        absl::StrCat("TERM=", term, " control/daxvmmctl top; echo \"status $?\"; exec cat"),
                        {environment[0]});
    EXPECT_THAT(terminal.WaitFor("status 2"), HasSubstr(message));
  }
}

TEST_F(TopScreenTest, FilesHaveALetterAndAColourInTheMap) {
  const auto terminal = Start(80, 24);
  const std::string screen = terminal->WaitFor("big.bin");
  EXPECT_THAT(screen, HasSubstr("     0  AAA..BB" + std::string(25, '.') + "\n"));
  EXPECT_THAT(screen, HasSubstr("\nA     6M yes "));
  EXPECT_THAT(screen, HasSubstr("\nB     1G yes*"));
  EXPECT_THAT(terminal->StyledScreen(), HasSubstr("\x1b[38;5;33mAAA"));
  EXPECT_THAT(terminal->StyledScreen(), HasSubstr("\x1b[38;5;33mbig.bin")) << "the same colour";
  terminal->Press("q");
  ExpectLeft(*terminal, "status 0");
}

}  // namespace
}  // namespace daxvmm::control
