#include "vmm/terminal.h"

#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>

namespace daxvmm::vmm {
namespace {

constexpr int kFatalSignals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

// What a signal handler may reach: plain data, written before `g_fd` says that it is valid.
std::atomic<int> g_fd{-1};
termios g_saved;
termios g_raw;

void Restore() {
  const int fd = g_fd.exchange(-1);
  if (fd >= 0) tcsetattr(fd, TCSANOW, &g_saved);  // async-signal-safe
}

void RestoreAndDie(int signal) {
  Restore();
  // SA_RESETHAND has put the default action back.
  raise(signal);
}

}  // namespace

RawTerminal::RawTerminal(int fd) {
  if (isatty(fd) == 0 || tcgetattr(fd, &g_saved) != 0) return;
  g_raw = g_saved;
  cfmakeraw(&g_raw);
  g_fd.store(fd);
  struct sigaction action{};
  action.sa_handler = RestoreAndDie;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
  for (int signal : kFatalSignals) sigaction(signal, &action, nullptr);
  static const int registered = atexit(Restore);
  static_cast<void>(registered);
  Resume();
}

RawTerminal::~RawTerminal() { Restore(); }

void RawTerminal::Resume() {
  const int fd = g_fd.load();
  if (fd >= 0) tcsetattr(fd, TCSANOW, &g_raw);
}

}  // namespace daxvmm::vmm
