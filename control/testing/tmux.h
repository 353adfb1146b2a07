// A program on a terminal that a test can read and type on: tmux without a client.
#ifndef DAXVMM_CONTROL_TESTING_TMUX_H_
#define DAXVMM_CONTROL_TESTING_TMUX_H_

#include <functional>
#include <string>
#include <vector>

namespace daxvmm::control {

// One terminal with one shell command on it. The command and all it started end with the object.
class Tmux {
 public:
  // Empty if there is a tmux, else why not: for GTEST_SKIP.
  static std::string Missing();

  // `command` is for /bin/sh, with PATH=/usr/bin:/bin and `environment` ("NAME=value"). `directory` is for tmux's
  // socket.
  Tmux(const std::string& directory, int columns, int rows, const std::string& command,
       const std::vector<std::string>& environment);
  ~Tmux();
  Tmux(const Tmux&) = delete;
  Tmux& operator=(const Tmux&) = delete;

  // What the terminal shows: a line for each row, without spaces at the end.
  std::string Screen() const;
  // The same, with the escape sequences of colours and attributes.
  std::string StyledScreen() const;
  // Keys by tmux's names: "q", "Down", "PPage", "C-c".
  void Press(const std::string& key) const;
  void Resize(int columns, int rows) const;
  // Of the process that was started; of the shell, if that has not exec'ed anything.
  int Pid() const;

  // Waits until `done` says true of the screen; the last screen. A test that waits in vain fails naming `what`.
  std::string WaitUntil(const std::string& what, const std::function<bool(const std::string&)>& done) const;
  // Until the screen has `text`; or has not.
  std::string WaitFor(const std::string& text) const;
  std::string WaitForNo(const std::string& text) const;

 private:
  // Runs tmux with these arguments; what it printed.
  std::string Run(std::vector<std::string> arguments) const;

  std::string socket_;
  mutable bool failed_ = false;  // tmux did: there is nothing to wait for any more
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_TESTING_TMUX_H_
