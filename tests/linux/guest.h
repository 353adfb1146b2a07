// A Linux guest in a daxvmm process of its own, steered over its console. One thread at a time.
//
// The protocol, spoken with tests/linux/guest/init, one line each way; what the kernel prints in between does no harm:
//   guest  "@@READY <uptime>"            once
//   host   "RUN <id> <shell command>"    runs in one shell for the whole life of the machine: open files stay open
//   guest  "@@BEGIN <id>", the command's output, "@@END <id> <exit status>"
#ifndef DAXVMM_TESTS_LINUX_GUEST_H_
#define DAXVMM_TESTS_LINUX_GUEST_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"

namespace daxvmm::linux_test {

// Generous: under QEMU's TCG a guest needs 15 to 30 seconds to its shell, more where the host is busy.
inline constexpr absl::Duration kBootDeadline = absl::Seconds(180);
inline constexpr absl::Duration kCommandDeadline = absl::Seconds(60);
inline constexpr absl::Duration kExitDeadline = absl::Seconds(60);

struct GuestOptions {
  std::string daxvmm;  // path of the program
  std::string kernel;
  std::string initrd;
  std::vector<std::string> shares;  // values of --share
  std::string control_socket;       // empty: no control plane
  std::vector<std::string> flags;   // more of `daxvmm run`
  std::string kernel_arguments;     // for the kernel or /init, behind those that every guest gets
  int cpus = 1;
  std::string memory = "512M";
};

struct CommandResult {
  int status = 0;
  std::string output;  // standard output and error, no carriage returns, without the last newline
};

class LinuxGuest {
 public:
  // Returns when the guest is ready for commands. The error holds the end of the console.
  static absl::StatusOr<std::unique_ptr<LinuxGuest>> Boot(const GuestOptions& options);
  // Does not wait for the guest: AwaitReady does, or LogIn for one that boots into a login prompt.
  static absl::StatusOr<std::unique_ptr<LinuxGuest>> Start(const GuestOptions& options);
  absl::Status AwaitReady();
  // Waits for the prompt, logs in as root, who has no password, and has the shell obey the line protocol.
  absl::Status LogIn(absl::Duration deadline);
  // Kills what is still running.
  ~LinuxGuest();
  LinuxGuest(const LinuxGuest&) = delete;
  LinuxGuest& operator=(const LinuxGuest&) = delete;

  // Runs one line of shell and waits for its end.
  absl::StatusOr<CommandResult> Run(const std::string& command, absl::Duration deadline = kCommandDeadline);
  // As Run, but an exit status other than 0 is an error. Returns the output.
  absl::StatusOr<std::string> Check(const std::string& command, absl::Duration deadline = kCommandDeadline);
  // For a command that the machine does not survive: returns once it is sent.
  absl::Status Send(const std::string& command);

  // Types bytes at the console as they are.
  absl::Status Type(absl::string_view bytes);
  // Sends a signal to the daxvmm process.
  void Signal(int number);
  // daxvmm's exit status; 128 + N if signal N ended it.
  absl::StatusOr<int> WaitForExit(absl::Duration deadline = kExitDeadline);
  // Powers off in the guest, then as WaitForExit.
  absl::StatusOr<int> Shutdown();

  std::string ConsoleTail() const;
  // Seconds from the start of daxvmm to "ready", or to the login prompt.
  double boot_seconds() const { return boot_seconds_; }

 private:
  LinuxGuest(pid_t pid, UniqueFd to_console, UniqueFd from_console);

  // Reads console output until `marker` stands at the start of a line and its line is complete; consumes it. Returns
  // {what came before the marker, the rest of its line}.
  struct Passage {
    std::string before;
    std::string rest_of_line;
  };
  absl::StatusOr<Passage> ReadUntil(const std::string& marker, absl::Time deadline, const std::string& what);
  // Reads until `text` has come, wherever in a line, and consumes it.
  absl::Status ReadText(const std::string& text, absl::Time deadline);
  // Reads more for one of these two: an error at the deadline or when the machine has ended.
  absl::Status ReadOn(absl::Time deadline, const std::string& what);
  // Appends what the console has, waiting for it until `deadline`. False at the deadline or the console's end.
  bool ReadMore(absl::Time deadline, bool* end);
  absl::Status WriteLine(const std::string& line);

  pid_t pid_;  // -1 once waited for
  int exit_status_ = 0;
  UniqueFd to_console_;
  UniqueFd from_console_;
  absl::Time start_;
  std::string unread_ = "\n";  // begins at the start of a line
  std::string log_;
  int next_id_ = 1;
  double boot_seconds_ = 0;
};

}  // namespace daxvmm::linux_test

#endif  // DAXVMM_TESTS_LINUX_GUEST_H_
