// What a terminal changes: its width, and colours.
#include <string>
#include <vector>

#include "control/testing/daxvmmctl_fixture.h"

namespace daxvmm::control {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class DaxvmmctlTerminalTest : public DaxvmmctlTest {
 protected:
  void SetUp() override {
    DaxvmmctlTest::SetUp();
    controller_.files[0].path = "usr/lib/x86_64-linux-gnu/some/deep/directory/libbig.so.1.2.3";
  }
};

constexpr char kPlain[] = "TERM=dumb";

TEST_F(DaxvmmctlTerminalTest, APathIsCutBeforeColumnsGo) {
  const Finished files = CtlOnTerminal({"files"}, 110, {kPlain});
  EXPECT_EQ(files.exit_code, 0) << files.err;
  EXPECT_THAT(
      files.out,
      HasSubstr("SHARE     SIZE  DAX  RULE     TOLD  STATE         OPEN  CHUNKS  MAPS  READS  PATH\n"
                "data   32767 B  no   default  yes   cached 0.4 s  no         0     0      2  caf\\xe9\\x1b[2J.txt\n"
                "data     6 MiB  yes  size     yes   converged     yes        3     4      0  "
                "usr/lib/x8…ectory/libbig.so.1.2.3\n"));
}

TEST_F(DaxvmmctlTerminalTest, ANarrowOneShowsFewerColumns) {
  const Finished files = CtlOnTerminal({"files"}, 64, {kPlain});
  EXPECT_THAT(files.out, StartsWith("Live files: 3, policy generation 1\n"
                                    "SHARE  DAX  STATE         PATH\n"
                                    "data   no   cached 0.4 s  caf\\xe9\\x1b[2J.txt\n"
                                    "data   yes  converged     usr/lib/x86_…directory/libbig.so.1.2.3\n"));
}

TEST_F(DaxvmmctlTerminalTest, ColumnsStandsAboveTheTerminal) {
  EXPECT_EQ(CtlOnTerminal({"files"}, 200, {kPlain, "COLUMNS=64"}).out, CtlOnTerminal({"files"}, 64, {kPlain}).out);
}

TEST_F(DaxvmmctlTerminalTest, NothingIsCutElsewhere) {
  const std::string path = "usr/lib/x86_64-linux-gnu/some/deep/directory/libbig.so.1.2.3\n";
  EXPECT_THAT(Ctl({"files"}, "", {"COLUMNS=40"}).out, HasSubstr(path));
  EXPECT_THAT(CtlOnTerminal({"files", "-o", "wide"}, 40, {kPlain}).out, HasSubstr(path));
}

TEST_F(DaxvmmctlTerminalTest, ColoursAreForTerminals) {
  const std::string green = "\x1b[32mconverged\x1b[0m";
  const std::string yellow = "\x1b[33mcached 0.4 s\x1b[0m";
  const Finished files = CtlOnTerminal({"files"}, 200, {"TERM=xterm"});
  EXPECT_THAT(files.out, HasSubstr(green));
  EXPECT_THAT(files.out, HasSubstr(yellow));
  EXPECT_THAT(files.out, HasSubstr("\x1b[1mSHARE\x1b[0m"));
  EXPECT_THAT(CtlOnTerminal({"files"}, 200, {"TERM=xterm", "NO_COLOR=1"}).out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(CtlOnTerminal({"files"}, 200, {"TERM=xterm", "NO_COLOR="}).out, HasSubstr(green));
  EXPECT_THAT(CtlOnTerminal({"files"}, 200, {"TERM=dumb"}).out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(CtlOnTerminal({"files", "--color", "never"}, 200, {"TERM=xterm"}).out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(Ctl({"files"}).out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(Ctl({"files", "--color=always"}, "", {"NO_COLOR=1"}).out, HasSubstr(green));
  EXPECT_THAT(Ctl({"files", "-o", "json", "--color=always"}).out, Not(HasSubstr("\x1b[3")));
}

TEST_F(DaxvmmctlTerminalTest, WindowsFitToo) {
  controller_.windows[0].quota = MiB(32);
  controller_.windows[0].quota_reached = true;
  const Finished window = CtlOnTerminal({"window"}, 60, {kPlain});
  EXPECT_EQ(window.out,
            "DAX windows: 2\n"
            "SHARE  MOUNT          SIZE  CHUNKS  PEAK  MAP/S  REJECTED\n"
            "data   per-file     64 MiB    3/32     5    0.0         1\n"
            "src    not-mounted    none       -     -      -         0\n");
}

}  // namespace
}  // namespace daxvmm::control
