#include "control/ctl/top/terminal_signals.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <utility>

#include "base/status.h"

namespace daxvmm::control::top {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};

// A handler has nothing else to find the pipe by. -1: nobody reads it.
std::atomic<int> pipe_end{-1};

void Handle(int signal) {
  const int saved = errno;
  const auto byte = static_cast<unsigned char>(signal);
  // A full pipe has enough to wake the reader, and a second signal of a kind says no more than the first.
  [[maybe_unused]] const ssize_t written = write(pipe_end.load(), &byte, 1);
  errno = saved;
}

void Install(int signal) {
  struct sigaction action{};
  if (sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) return;
  action = {};
  action.sa_handler = &Handle;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

}  // namespace

absl::StatusOr<TerminalSignals> TerminalSignals::Catch() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return ErrnoStatus(errno, "pipe");
  TerminalSignals signals{UniqueFd(ends[0]), UniqueFd(ends[1])};
  pipe_end.store(ends[1]);
  for (const int signal : kSignals) Install(signal);
  return signals;
}

TerminalSignals::~TerminalSignals() {
  if (!read_.valid()) return;
  for (const int one : kSignals) {
    struct sigaction action{};
    if (sigaction(one, nullptr, &action) == 0 && action.sa_handler == &Handle) std::signal(one, SIG_DFL);
  }
  pipe_end.store(-1);
}

std::optional<int> TerminalSignals::Next() const {
  unsigned char byte = 0;
  if (read(read_.get(), &byte, 1) != 1) return std::nullopt;
  return byte;
}

void TerminalSignals::Raise(int signal) const {
  std::signal(signal, SIG_DFL);
  sigset_t one;
  sigset_t before;
  sigemptyset(&one);
  sigaddset(&one, signal);
  pthread_sigmask(SIG_UNBLOCK, &one, &before);
  raise(signal);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  Install(signal);
}

}  // namespace daxvmm::control::top
