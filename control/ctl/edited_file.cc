#include "control/ctl/edited_file.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "control/policy_file.h"

namespace daxvmm::control {
namespace {

std::string FromEnvironment(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string EditorCommand() {
  for (const char* name : {"VISUAL", "EDITOR"}) {
    if (std::string command = FromEnvironment(name); !command.empty()) return command;
  }
  return "vi";
}

}  // namespace

absl::StatusOr<EditedFile> EditedFile::Create(const std::string& name) {
  std::string parent = FromEnvironment("TMPDIR");
  if (parent.empty()) parent = "/tmp";
  std::string directory = parent + "/daxvmmctl-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) return ErrnoStatus(errno, directory);
  EditedFile file(std::move(directory), name);
  const UniqueFd fd(open(file.path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return ErrnoStatus(errno, file.path_);
  return file;
}

EditedFile::EditedFile(EditedFile&& other) noexcept
    : directory_(std::exchange(other.directory_, "")), path_(std::move(other.path_)), kept_(other.kept_) {}

EditedFile::~EditedFile() {
  if (directory_.empty() || kept_) return;
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

absl::Status EditedFile::Write(absl::string_view text) const {
  const UniqueFd fd(open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return ErrnoStatus(errno, path_);
  while (!text.empty()) {
    const ssize_t written = write(fd.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus(errno, path_);
    text.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status EditedFile::Edit() const {
  const std::string editor = EditorCommand();
  const std::string script = editor + " \"$@\"";
  const char* const arguments[] = {"sh", "-c", script.c_str(), "sh", path_.c_str(), nullptr};
  // The terminal's signals are the editor's meanwhile; what it inherits is as it was for us.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  for (const int signal : {SIGPIPE, SIGINT, SIGQUIT}) sigaddset(&defaults, signal);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  const auto on_interrupt = std::signal(SIGINT, SIG_IGN);
  const auto on_quit = std::signal(SIGQUIT, SIG_IGN);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, "/bin/sh", nullptr, &attributes, const_cast<char* const*>(arguments), environ);
  posix_spawnattr_destroy(&attributes);
  int status = 0;
  if (error == 0) {
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  }
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGQUIT, on_quit);
  if (error != 0) return ErrnoStatus(error, "/bin/sh");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      WIFEXITED(status) ? absl::StrCat("the editor \"", editor, "\" ended with status ", WEXITSTATUS(status))
                        : absl::StrCat("the editor \"", editor, "\" was ended by signal ", WTERMSIG(status)));
}

absl::StatusOr<std::string> EditedFile::Read() const { return ReadPolicyFile(path_); }

}  // namespace daxvmm::control
