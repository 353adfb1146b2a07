// The signals that concern a program on a terminal, as bytes on a pipe that its loop polls.
#ifndef DAXVMM_CONTROL_CTL_TOP_TERMINAL_SIGNALS_H_
#define DAXVMM_CONTROL_CTL_TOP_TERMINAL_SIGNALS_H_

#include <optional>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace daxvmm::control::top {

// Catches SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT and SIGWINCH, whichever thread they come to, from Catch()
// on; the destructor restores what was. One at a time in a process. A signal that was ignored stays so, as nohup(1)
// wants it.
class TerminalSignals {
 public:
  static absl::StatusOr<TerminalSignals> Catch();
  TerminalSignals(TerminalSignals&& other) noexcept = default;
  ~TerminalSignals();

  // Readable while Next() has something.
  int fd() const { return read_.get(); }
  // Does not block.
  std::optional<int> Next() const;

  // What the signal does to a process that does not catch it: SIGTSTP stops, and this returns once it goes on; the
  // others end.
  void Raise(int signal) const;

 private:
  TerminalSignals(UniqueFd read, UniqueFd write) : read_(std::move(read)), write_(std::move(write)) {}

  UniqueFd read_;
  UniqueFd write_;
};

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_TERMINAL_SIGNALS_H_
