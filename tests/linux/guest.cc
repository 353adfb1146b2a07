#include "tests/linux/guest.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/status.h"

namespace daxvmm::linux_test {
namespace {

constexpr size_t kTailBytes = 3000;
// What the guest's terminal takes as one line (N_TTY_BUF_SIZE is 4096).
constexpr size_t kLongestLine = 4000;
constexpr absl::Duration kPollInterval = absl::Milliseconds(20);

std::vector<std::string> CommandLine(const GuestOptions& options) {
  // The console is the only output, and without "quiet" its boot messages alone take seconds.
  std::vector<std::string> args = {
      options.daxvmm, "run",
      "--kernel",     options.kernel,
      "--initrd",     options.initrd,
      "--cpus",       absl::StrCat(options.cpus),
      "--mem",        options.memory,
      "--cmdline",    absl::StrCat("console=ttyS0 quiet rdinit=/init ", options.kernel_arguments)};
  for (const std::string& share : options.shares) {
    args.push_back("--share");
    args.push_back(share);
  }
  if (!options.control_socket.empty()) {
    args.push_back("--control");
    args.push_back(options.control_socket);
  }
  args.insert(args.end(), options.flags.begin(), options.flags.end());
  return args;
}

}  // namespace

LinuxGuest::LinuxGuest(pid_t pid, UniqueFd to_console, UniqueFd from_console)
    : pid_(pid), to_console_(std::move(to_console)), from_console_(std::move(from_console)), start_(absl::Now()) {}

LinuxGuest::~LinuxGuest() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

absl::StatusOr<std::unique_ptr<LinuxGuest>> LinuxGuest::Boot(const GuestOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<LinuxGuest> guest, Start(options));
  RETURN_IF_ERROR(guest->AwaitReady());
  return guest;
}

absl::Status LinuxGuest::AwaitReady() {
  RETURN_IF_ERROR(ReadUntil("@@READY", start_ + kBootDeadline, "the guest's init to be ready").status());
  boot_seconds_ = absl::ToDoubleSeconds(absl::Now() - start_);
  return absl::OkStatus();
}

absl::Status LinuxGuest::LogIn(absl::Duration deadline) {
  const absl::Time until = absl::Now() + deadline;
  RETURN_IF_ERROR(ReadText("login: ", until));
  boot_seconds_ = absl::ToDoubleSeconds(absl::Now() - start_);
  RETURN_IF_ERROR(Type("root\n"));
  RETURN_IF_ERROR(ReadText("# ", until));
  // Not bash: it edits its line.
  RETURN_IF_ERROR(Type("exec sh\n"));
  RETURN_IF_ERROR(ReadText("# ", until));
  // As tests/linux/guest/init does. The terminal echoes this once; the marker must not stand in it.
  RETURN_IF_ERROR(
      Type("dmesg -n 1; stty -echo -onlcr; answer() { printf '\\n@@BEGIN %s\\n' \"$1\"; eval \"$2\"; "
           "printf '\\n@@END %s %s\\n' \"$1\" \"$?\"; }; printf '\\n@%s\\n' @READY; "
           "while read -r verb id command; do if [ \"$verb\" = RUN ]; then answer \"$id\" \"$command\"; fi; done\n"));
  return ReadUntil("@@READY", until, "the guest's shell to be ready").status();
}

absl::StatusOr<std::unique_ptr<LinuxGuest>> LinuxGuest::Start(const GuestOptions& options) {
  // A write to a machine that has ended is to be an error, not the end of the test program.
  signal(SIGPIPE, SIG_IGN);
  int in[2];
  int out[2];
  if (pipe2(in, O_CLOEXEC) < 0) return ErrnoStatus(errno, "pipe");
  UniqueFd console_in(in[0]);
  UniqueFd to_console(in[1]);
  if (pipe2(out, O_CLOEXEC) < 0) return ErrnoStatus(errno, "pipe");
  UniqueFd from_console(out[0]);
  UniqueFd console_out(out[1]);

  const std::vector<std::string> args = CommandLine(options);
  std::vector<char*> argv;
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);

  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return ErrnoStatus(errno, "fork");
  if (pid == 0) {
    // No machine outlives a test program that crashes.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    signal(SIGPIPE, SIG_DFL);
    dup2(console_in.get(), STDIN_FILENO);
    dup2(console_out.get(), STDOUT_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  std::unique_ptr<LinuxGuest> guest(new LinuxGuest(pid, std::move(to_console), std::move(from_console)));
  console_in.reset();
  console_out.reset();
  return guest;
}

bool LinuxGuest::ReadMore(absl::Time deadline, bool* end) {
  *end = false;
  for (;;) {
    const int64_t left = std::max<int64_t>(0, absl::ToInt64Milliseconds(deadline - absl::Now()));
    pollfd console = {from_console_.get(), POLLIN, 0};
    const int ready = poll(&console, 1, static_cast<int>(std::min<int64_t>(left, 1'000'000)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    char buffer[4096];
    const ssize_t got = read(from_console_.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      *end = true;
      return false;
    }
    for (ssize_t i = 0; i < got; ++i) {
      if (buffer[i] == '\r') continue;
      unread_.push_back(buffer[i]);
      log_.push_back(buffer[i]);
    }
    return true;
  }
}

absl::StatusOr<LinuxGuest::Passage> LinuxGuest::ReadUntil(const std::string& marker, absl::Time deadline,
                                                          const std::string& what) {
  const std::string at_line_start = absl::StrCat("\n", marker);
  for (;;) {
    const size_t found = unread_.find(at_line_start);
    const size_t line_end = found == std::string::npos ? found : unread_.find('\n', found + 1);
    if (line_end != std::string::npos) {
      Passage passage;
      passage.before = unread_.substr(0, found);
      passage.rest_of_line = unread_.substr(found + at_line_start.size(), line_end - found - at_line_start.size());
      unread_.erase(0, line_end);  // the newline stays: the next marker may follow at once
      return passage;
    }
    RETURN_IF_ERROR(ReadOn(deadline, what));
  }
}

absl::Status LinuxGuest::ReadText(const std::string& text, absl::Time deadline) {
  for (;;) {
    const size_t found = unread_.find(text);
    if (found != std::string::npos) {
      unread_.erase(0, found + text.size());
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(ReadOn(deadline, absl::StrCat("'", text, "' on the console")));
  }
}

absl::Status LinuxGuest::ReadOn(absl::Time deadline, const std::string& what) {
  bool end = false;
  if (ReadMore(deadline, &end)) return absl::OkStatus();
  if (!end) return absl::DeadlineExceededError(absl::StrCat("waited in vain for ", what, "\n", ConsoleTail()));
  absl::StatusOr<int> status = WaitForExit(absl::Seconds(10));
  return absl::UnavailableError(absl::StrCat("daxvmm ended (status ", status.ok() ? absl::StrCat(*status) : "unknown",
                                             ") while waiting for ", what, "\n", ConsoleTail()));
}

absl::Status LinuxGuest::WriteLine(const std::string& line) {
  if (line.size() > kLongestLine || line.find('\n') != std::string::npos) {
    return absl::InvalidArgumentError("a guest command is one line of at most 4000 bytes");
  }
  return Type(line + "\n");
}

absl::Status LinuxGuest::Type(absl::string_view bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t wrote = write(to_console_.get(), bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return ErrnoStatus(errno, "writing to the guest's console");
    done += static_cast<size_t>(wrote);
  }
  return absl::OkStatus();
}

absl::Status LinuxGuest::Send(const std::string& command) {
  return WriteLine(absl::StrCat("RUN ", next_id_++, " ", command));
}

absl::StatusOr<CommandResult> LinuxGuest::Run(const std::string& command, absl::Duration deadline) {
  const absl::Time until = absl::Now() + deadline;
  const int id = next_id_;
  RETURN_IF_ERROR(Send(command));
  const std::string what = absl::StrCat("the guest to run '", command, "'");
  ASSIGN_OR_RETURN(Passage begin, ReadUntil(absl::StrCat("@@BEGIN ", id), until, what));
  ASSIGN_OR_RETURN(Passage end, ReadUntil(absl::StrCat("@@END ", id, " "), until, what));
  CommandResult result;
  if (!absl::SimpleAtoi(end.rest_of_line, &result.status)) {
    return absl::InternalError(absl::StrCat("bad answer of the guest: ", end.rest_of_line));
  }
  // From the newline that ends the BEGIN line to the one that init puts before END.
  result.output = end.before.substr(std::min<size_t>(1, end.before.size()));
  while (!result.output.empty() && result.output.back() == '\n') result.output.pop_back();
  return result;
}

absl::StatusOr<std::string> LinuxGuest::Check(const std::string& command, absl::Duration deadline) {
  ASSIGN_OR_RETURN(CommandResult result, Run(command, deadline));
  if (result.status != 0) {
    return absl::InternalError(
        absl::StrCat("in the guest, '", command, "' ended with status ", result.status, ": ", result.output));
  }
  return result.output;
}

void LinuxGuest::Signal(int number) {
  if (pid_ > 0) kill(pid_, number);
}

absl::StatusOr<int> LinuxGuest::WaitForExit(absl::Duration deadline) {
  const absl::Time until = absl::Now() + deadline;
  while (pid_ > 0) {
    int status = 0;
    const pid_t done = waitpid(pid_, &status, WNOHANG);
    if (done == pid_) {
      pid_ = -1;
      exit_status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      break;
    }
    if (done < 0 && errno != EINTR) return ErrnoStatus(errno, "waitpid");
    if (absl::Now() >= until) {
      return absl::DeadlineExceededError(absl::StrCat("waited in vain for daxvmm to end\n", ConsoleTail()));
    }
    // Reading keeps the guest from blocking on a full pipe, and is the wait.
    bool end = false;
    ReadMore(std::min(until, absl::Now() + kPollInterval), &end);
    if (end) absl::SleepFor(kPollInterval);
  }
  return exit_status_;
}

absl::StatusOr<int> LinuxGuest::Shutdown() {
  RETURN_IF_ERROR(Send("poweroff -f"));
  return WaitForExit();
}

std::string LinuxGuest::ConsoleTail() const {
  const size_t from = log_.size() > kTailBytes ? log_.size() - kTailBytes : 0;
  return absl::StrCat("--- end of the console ---\n", log_.substr(from), "\n---");
}

}  // namespace daxvmm::linux_test
