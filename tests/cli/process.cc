#include "tests/cli/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/log.h"

namespace daxvmm::cli_test {
namespace {

constexpr int kDeadlineMs = 60'000;
constexpr int kLookMs = 20;

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

Process::Process(const Options& options) : options_(options) {
  std::vector<char*> arguments = {const_cast<char*>(options_.program.c_str())};
  for (const std::string& argument : options_.arguments) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_ = fork();
  CHECK(pid_ >= 0) << strerror(errno);
  if (pid_ == 0) {
    const int input = options_.input >= 0 ? options_.input : open("/dev/null", O_RDONLY);
    const int output = open(options_.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int error = open(options_.error.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(error, 2) < 0) _exit(126);
    if (chdir(options_.directory.c_str()) != 0) _exit(126);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  pidfd_ = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  CHECK(pidfd_.valid()) << strerror(errno);
}

Process::~Process() {
  if (status_.has_value()) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Process::Signal(int signal) const { kill(pid_, signal); }

std::optional<int> Process::AwaitExit() {
  if (status_.has_value()) return status_;
  pollfd ended{pidfd_.get(), POLLIN, 0};
  if (poll(&ended, 1, kDeadlineMs) != 1) return std::nullopt;
  int status = 0;
  if (waitpid(pid_, &status, 0) != pid_) return std::nullopt;
  status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return status_;
}

std::string Process::Output() const { return Contents(options_.output); }

std::string Process::Error() const { return Contents(options_.error); }

bool Process::AwaitOutput(const std::string& text) {
  for (int waited = 0; waited < kDeadlineMs; waited += kLookMs) {
    if (Output().find(text) != std::string::npos) return true;
    // Nothing tells of a file that grows; the end of the program ends the wait at once.
    pollfd ended{pidfd_.get(), POLLIN, 0};
    if (poll(&ended, 1, kLookMs) != 0) return Output().find(text) != std::string::npos;
  }
  return false;
}

}  // namespace daxvmm::cli_test
