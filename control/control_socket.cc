#include "control/control_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace daxvmm::control {
namespace {

constexpr mode_t kMode = 0600;
constexpr int kBacklog = 128;
// How often the path may change under us before we give up.
constexpr int kAttempts = 8;

// A path, and the flag that gave it.
struct Given {
  const std::string& path;
  const char* flag;
};

std::string Subject(const Given& given) { return absl::StrCat(given.flag, " ", given.path); }

absl::Status Refused(const Given& given, absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat(Subject(given), ": ", why));
}

sockaddr_un Address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// A name in `directory` as a path that fits into sun_path however long the directory's own path is.
std::string PathThroughFd(int directory, const std::string& name) {
  return absl::StrCat("/proc/self/fd/", directory, "/", name);
}

enum class Occupant { kNone, kStaleSocket };

// Who stands at `name`; an error if it must not be replaced. Fills `identity` for a stale socket.
absl::StatusOr<Occupant> Inspect(int directory, const std::string& name, const Given& given, struct stat* identity) {
  if (fstatat(directory, name.c_str(), identity, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return Occupant::kNone;
    return ErrnoStatus(errno, Subject(given));
  }
  if (!S_ISSOCK(identity->st_mode)) return Refused(given, "exists and is not a socket; it is left alone");
  UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return ErrnoStatus(errno, absl::StrCat(Subject(given), ": socket"));
  const sockaddr_un address = Address(given.path);
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    ucred peer{};
    socklen_t length = sizeof(peer);
    if (getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid > 0) {
      return Refused(given, absl::StrCat("in use by the live process ", peer.pid));
    }
    return Refused(given, "in use by a live process");
  }
  switch (errno) {
    case ECONNREFUSED:
      return Occupant::kStaleSocket;
    case ENOENT:
      return Occupant::kNone;
    case EAGAIN:  // its backlog is full
      return Refused(given, "in use by a live process");
    case EPROTOTYPE:
      return Refused(given, "exists and is a socket of another kind; it is left alone");
    default:
      return ErrnoStatus(errno, absl::StrCat(Subject(given), ": cannot tell whether a live process uses it"));
  }
}

// Brings the listening socket from `hidden` to `name`, without a moment in which `name` is a socket that refuses
// connections, which another starting process would take for a stale one.
absl::Status Publish(int directory, const std::string& hidden, const std::string& name, const Given& given) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (renameat2(directory, hidden.c_str(), directory, name.c_str(), RENAME_NOREPLACE) == 0) {
      return absl::OkStatus();
    }
    if (errno != EEXIST) return ErrnoStatus(errno, absl::StrCat(Subject(given), ": rename"));
    struct stat stale{};
    ASSIGN_OR_RETURN(const Occupant occupant, Inspect(directory, name, given, &stale));
    if (occupant == Occupant::kNone) continue;
    if (renameat2(directory, hidden.c_str(), directory, name.c_str(), RENAME_EXCHANGE) != 0) {
      if (errno == ENOENT) continue;
      return ErrnoStatus(errno, absl::StrCat(Subject(given), ": rename"));
    }
    struct stat taken{};
    if (fstatat(directory, hidden.c_str(), &taken, AT_SYMLINK_NOFOLLOW) == 0 && taken.st_dev == stale.st_dev &&
        taken.st_ino == stale.st_ino) {
      unlinkat(directory, hidden.c_str(), 0);
      return absl::OkStatus();
    }
    // Somebody put another file there since it was inspected: give it back and look again.
    if (renameat2(directory, hidden.c_str(), directory, name.c_str(), RENAME_EXCHANGE) != 0) {
      return ErrnoStatus(errno, absl::StrCat(Subject(given), ": rename"));
    }
  }
  return Refused(given, "keeps changing; is another machine starting on it?");
}

// Gives `name`, a socket that this process has just made, its owner and mode. The descriptor makes sure that both go to
// what was looked at, whoever else may write to the directory.
absl::Status SetFile(int directory, const std::string& name, const SocketFile& file, const Given& given,
                     struct stat* own) {
  const UniqueFd fd(openat(directory, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid() || fstat(fd.get(), own) != 0) return ErrnoStatus(errno, absl::StrCat(Subject(given), ": stat"));
  if (!S_ISSOCK(own->st_mode) || own->st_uid != geteuid() || own->st_nlink != 1) {
    return Refused(given, "somebody put another file in its place");
  }
  // The owner first: until then the mode lets only this process in.
  const bool give = file.owner != static_cast<uid_t>(-1) || file.group != static_cast<gid_t>(-1);
  if (give && fchownat(fd.get(), "", file.owner, file.group, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0) {
    return ErrnoStatus(errno, absl::StrCat("--control-owner: ", given.path));
  }
  // A umask may have taken bits from the owner, too. There is no fchmod for a descriptor of this kind.
  const std::string through = absl::StrCat("/proc/self/fd/", fd.get());
  if (((own->st_mode & 07777) != file.mode || give) && chmod(through.c_str(), file.mode) != 0) {
    return ErrnoStatus(errno, absl::StrCat("--control-mode: ", given.path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckControlPath(const std::string& path, const char* flag) {
  const Given given{path, flag};
  if (path.empty()) return absl::InvalidArgumentError(absl::StrCat(flag, ": the path is empty"));
  if (path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": the path holds a zero byte"));
  }
  if (path.size() > kMaxSocketPath) {
    return absl::InvalidArgumentError(absl::StrCat(Subject(given), ": the path has ", path.size(),
                                                   " bytes, but a Unix socket's has at most ", kMaxSocketPath));
  }
  if (path.back() == '/') return absl::InvalidArgumentError(absl::StrCat(Subject(given), ": names a directory"));
  return absl::OkStatus();
}

absl::StatusOr<ControlSocket> ControlSocket::Bind(const std::string& path, const SocketFile& file, const char* flag) {
  const Given given{path, flag};
  RETURN_IF_ERROR(CheckControlPath(path, flag));
  const size_t slash = path.rfind('/');
  const std::string directory_name = slash == std::string::npos ? "." : path.substr(0, slash + 1);

  ControlSocket made;
  made.path_ = path;
  made.base_name_ = slash == std::string::npos ? path : path.substr(slash + 1);
  made.directory_ = UniqueFd(open(directory_name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!made.directory_.valid()) return ErrnoStatus(errno, absl::StrCat(Subject(given), ": directory"));
  // Before anything is made: the common refusals leave no trace, not even for a moment.
  struct stat occupant_identity{};
  RETURN_IF_ERROR(Inspect(made.directory_.get(), made.base_name_, given, &occupant_identity).status());

  UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.valid()) return ErrnoStatus(errno, absl::StrCat(Subject(given), ": socket"));
  // The file takes its mode from the socket's inode, less the umask (net/unix/af_unix.c, unix_bind_bsd): never wider
  // than this, and no change of the umask, which all threads share.
  if (fchmod(listener.get(), kMode) != 0) return ErrnoStatus(errno, absl::StrCat(Subject(given), ": fchmod"));

  static std::atomic<unsigned> counter{0};
  const std::string hidden = absl::StrCat(".daxvmm-", getpid(), "-", counter.fetch_add(1, std::memory_order_relaxed));
  const sockaddr_un address = Address(PathThroughFd(made.directory_.get(), hidden));
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoStatus(errno, absl::StrCat(Subject(given), ": bind"));
  }
  absl::Cleanup remove_hidden = [&] { unlinkat(made.directory_.get(), hidden.c_str(), 0); };
  struct stat own{};
  RETURN_IF_ERROR(SetFile(made.directory_.get(), hidden, file, given, &own));
  if (listen(listener.get(), kBacklog) != 0) return ErrnoStatus(errno, absl::StrCat(Subject(given), ": listen"));
  RETURN_IF_ERROR(Publish(made.directory_.get(), hidden, made.base_name_, given));
  std::move(remove_hidden).Cancel();
  made.listener_ = std::move(listener);
  made.device_ = own.st_dev;
  made.inode_ = own.st_ino;
  return made;
}

ControlSocket& ControlSocket::operator=(ControlSocket&& other) noexcept {
  if (this == &other) return *this;
  Remove();
  path_ = std::move(other.path_);
  base_name_ = std::move(other.base_name_);
  directory_ = std::move(other.directory_);
  listener_ = std::move(other.listener_);
  device_ = other.device_;
  inode_ = other.inode_;
  return *this;
}

void ControlSocket::Remove() {
  if (!listener_.valid()) return;
  struct stat now{};
  if (fstatat(directory_.get(), base_name_.c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_dev == device_ &&
      now.st_ino == inode_) {
    unlinkat(directory_.get(), base_name_.c_str(), 0);
  }
  listener_.reset();
  directory_.reset();
}

}  // namespace daxvmm::control
