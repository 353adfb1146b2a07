#include "control/testing/tmux.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "absl/strings/str_cat.h"
#include "control/testing/subprocess.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

constexpr char kProgram[] = "/usr/bin/tmux";
constexpr auto kDeadline = std::chrono::seconds(30);
constexpr auto kBetweenLooks = std::chrono::milliseconds(30);

// A server that is ending still holds its socket: each one has its own.
int NextNumber() {
  static std::atomic<int> last{0};
  return ++last;
}

}  // namespace

std::string Tmux::Missing() {
  return access(kProgram, X_OK) == 0 ? "" : absl::StrCat(kProgram, " is missing: apt-get install tmux");
}

Tmux::Tmux(const std::string& directory, int columns, int rows, const std::string& command,
           const std::vector<std::string>& environment)
    : socket_(absl::StrCat(directory, "/tmux", NextNumber())) {
  std::vector<std::string> arguments = {"-f", "/dev/null", "new-session", "-d", "-s", "test"};
  for (const std::string& variable : environment) {
    arguments.insert(arguments.end(), {"-e", variable});
  }
  arguments.insert(arguments.end(), {"-x", absl::StrCat(columns), "-y", absl::StrCat(rows), command});
  Run(arguments);
}

Tmux::~Tmux() { Run({"kill-server"}); }

std::string Tmux::Run(std::vector<std::string> arguments) const {
  if (failed_) return "";
  // -u: what it prints is UTF-8, whatever the locale.
  arguments.insert(arguments.begin(), {kProgram, "-u", "-S", socket_});
  const Finished finished = RunToEnd(arguments, "", {"PATH=/usr/bin:/bin", "SHELL=/bin/sh", "TERM=screen"});
  failed_ = failed_ || finished.exit_code != 0;
  EXPECT_EQ(finished.exit_code, 0) << "tmux " << arguments[4] << ": " << finished.err;
  return finished.out;
}

std::string Tmux::Screen() const { return Run({"capture-pane", "-p", "-t", "test"}); }
std::string Tmux::StyledScreen() const { return Run({"capture-pane", "-p", "-e", "-t", "test"}); }
void Tmux::Press(const std::string& key) const { Run({"send-keys", "-t", "test", key}); }

void Tmux::Resize(int columns, int rows) const {
  Run({"resize-window", "-t", "test", "-x", absl::StrCat(columns), "-y", absl::StrCat(rows)});
}

int Tmux::Pid() const { return std::atoi(Run({"display-message", "-p", "-t", "test", "#{pane_pid}"}).c_str()); }

std::string Tmux::WaitUntil(const std::string& what, const std::function<bool(const std::string&)>& done) const {
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (true) {
    std::string screen = Screen();
    if (done(screen) || failed_) return screen;
    if (std::chrono::steady_clock::now() >= deadline) {
      ADD_FAILURE() << "not in time: " << what << ". The screen:\n" << screen;
      return screen;
    }
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

std::string Tmux::WaitFor(const std::string& text) const {
  return WaitUntil(absl::StrCat("\"", text, "\" on the screen"),
                   [&](const std::string& screen) { return screen.find(text) != std::string::npos; });
}

std::string Tmux::WaitForNo(const std::string& text) const {
  return WaitUntil(absl::StrCat("no \"", text, "\" on the screen"),
                   [&](const std::string& screen) { return screen.find(text) == std::string::npos; });
}

}  // namespace daxvmm::control
