// A program that a test runs and looks at from the outside.
#ifndef DAXVMM_TESTS_CLI_PROCESS_H_
#define DAXVMM_TESTS_CLI_PROCESS_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace daxvmm::cli_test {

// Killed, if it still runs, when this goes.
class Process {
 public:
  struct Options {
    std::string program;                 // absolute
    std::vector<std::string> arguments;  // behind its name
    std::string directory;               // to run in
    std::string output;                  // file that takes standard output
    std::string error;                   // file that takes standard error
    int input = -1;                      // standard input; -1: /dev/null
  };

  // CHECK-fails if the host refuses a process.
  explicit Process(const Options& options);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signal) const;
  // Waits for its end: the exit status, or 128 plus the signal that killed it. nullopt if it has not ended in time.
  std::optional<int> AwaitExit();

  std::string Output() const;
  std::string Error() const;
  // Waits until the output has `text`; false if that did not happen in time, or the program ended without it.
  bool AwaitOutput(const std::string& text);

 private:
  const Options options_;
  pid_t pid_ = -1;
  UniqueFd pidfd_;
  std::optional<int> status_;
};

}  // namespace daxvmm::cli_test

#endif  // DAXVMM_TESTS_CLI_PROCESS_H_
