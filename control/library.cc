#include "control/library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"

namespace daxvmm::control {
namespace {

absl::StatusOr<std::string> ProgramFolder() {
  char buffer[PATH_MAX];
  const ssize_t n = readlink("/proc/self/exe", buffer, sizeof(buffer));
  if (n < 0) return ErrnoStatus(errno, "/proc/self/exe");
  const std::string program(buffer, n);
  return program.substr(0, program.rfind('/') + 1);
}

}  // namespace

absl::StatusOr<std::string> LocateLibrary(const Library& library, const std::string& option) {
  const char* const from_environment = secure_getenv(library.environment);
  if (!option.empty() || from_environment != nullptr) {
    const std::string chosen = !option.empty() ? option : from_environment;
    if (access(chosen.c_str(), R_OK) != 0) return ErrnoStatus(errno, absl::StrCat(library.what, " ", chosen));
    // Without a slash dlopen would search the system's folders instead.
    return chosen.find('/') == std::string::npos ? "./" + chosen : chosen;
  }
  ASSIGN_OR_RETURN(const std::string folder, ProgramFolder());
  std::string looked;
  for (const char* place : library.places) {
    std::string path = absl::StrCat(folder, place, library.file_name);
    if (access(path.c_str(), R_OK) == 0) return path;
    absl::StrAppend(&looked, looked.empty() ? "" : ", ", path);
  }
  return absl::NotFoundError(
      absl::StrCat("the ", library.what, " is in none of ", looked, "; set ", library.environment));
}

absl::StatusOr<void*> LoadSymbol(const Library& library, const std::string& path, const char* name) {
  // A library's constructor may start a thread: it must not be the one that gets the program's signals.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  void* const loaded = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (loaded == nullptr) return absl::UnavailableError(absl::StrCat(library.what, ": ", dlerror()));
  void* const symbol = dlsym(loaded, name);
  if (symbol == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(library.what, " ", path, ": has no ", name));
  }
  return symbol;
}

void TakeLibraryLine(uint32_t level, const char* line) {
  switch (static_cast<LogLevel>(level)) {
    case LogLevel::kDebug:
      LOG(kDebug) << line;
      return;
    case LogLevel::kInfo:
      LOG(kInfo) << line;
      return;
    case LogLevel::kWarning:
      LOG(kWarning) << line;
      return;
    case LogLevel::kError:
      LOG(kError) << line;
      return;
  }
}

LibraryHandle& LibraryHandle::operator=(LibraryHandle&& other) noexcept {
  if (this != &other) {
    Stop();
    handle_ = std::exchange(other.handle_, {});
  }
  return *this;
}

void LibraryHandle::Stop() {
  if (handle_.server != nullptr) handle_.stop(handle_.server);
  handle_ = {};
}

}  // namespace daxvmm::control
