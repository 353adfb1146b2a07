#include "control/state_directory.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "control/state_file.h"

namespace daxvmm::control {
namespace {

constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kFileMode = 0600;
constexpr char kTemporaryName[] = "policy.state.new";
constexpr char kLockName[] = "lock";
constexpr int kMaxSetAside = 1000;
// Open flags of the files: a link or a device that somebody put in their place is not followed, and nothing blocks.
constexpr int kOpenFlags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

absl::Status Refuse(const std::string& path, absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat(path, ": ", why));
}

// The directory's own entry has to survive a power cut, too.
absl::Status SyncParent(const std::string& path) {
  const UniqueFd parent(open(absl::StrCat(path, "/..").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid() || fsync(parent.get()) != 0) return ErrnoStatus(errno, absl::StrCat(path, ": its parent"));
  return absl::OkStatus();
}

absl::Status CheckOwner(int directory, const std::string& path) {
  struct stat st{};
  if (fstat(directory, &st) != 0) return ErrnoStatus(errno, path);
  if (st.st_uid != geteuid()) {
    return Refuse(path,
                  absl::StrCat("belongs to uid ", st.st_uid, ", not to uid ", geteuid(), ", which daxvmm runs as"));
  }
  if ((st.st_mode & 022) != 0) return Refuse(path, "may be written by others: chmod go-w is needed");
  return absl::OkStatus();
}

// Who holds the lock, as far as can be told.
std::string Holder(int lock) {
  char text[32];
  const ssize_t n = pread(lock, text, sizeof(text), 0);
  int64_t pid = 0;
  if (n <= 0 || !absl::SimpleAtoi(absl::string_view(text, n), &pid) || pid <= 0) return "another process";
  return absl::StrCat("another daxvmm, process ", pid);
}

// All of it, or errno.
bool WriteAll(StateIo* io, int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = io->Write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = EIO;
    if (n <= 0) return false;
    bytes.remove_prefix(n);
  }
  return true;
}

}  // namespace

ssize_t StateIo::Write(int fd, const void* data, size_t size) { return write(fd, data, size); }
int StateIo::Fsync(int fd) { return fsync(fd); }
int StateIo::Rename(int directory, const char* from, const char* to) {
  return renameat(directory, from, directory, to);
}

absl::StatusOr<std::unique_ptr<StateDirectory>> StateDirectory::Open(const std::string& path, StateIo* io) {
  static StateIo* const system = new StateIo;
  const bool made = mkdir(path.c_str(), kDirectoryMode) == 0;
  if (!made && errno != EEXIST) return ErrnoStatus(errno, absl::StrCat(path, ": cannot be made"));
  UniqueFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) {
    const int err = errno;
    if (made) rmdir(path.c_str());
    return err == ENOTDIR ? Refuse(path, "is not a directory") : ErrnoStatus(err, path);
  }
  RETURN_IF_ERROR(CheckOwner(directory.get(), path));
  std::unique_ptr<StateDirectory> state(
      new StateDirectory(path, std::move(directory), made, io != nullptr ? io : system));
  if (made) RETURN_IF_ERROR(SyncParent(path));
  RETURN_IF_ERROR(state->Lock());
  // With the lock held nobody else is writing it.
  if (unlinkat(state->directory_.get(), kTemporaryName, 0) != 0 && errno != ENOENT) {
    return state->Error(errno, absl::StrCat(kTemporaryName, " of an interrupted write cannot be removed"));
  }
  return state;
}

StateDirectory::StateDirectory(std::string path, UniqueFd directory, bool made, StateIo* io)
    : path_(std::move(path)), directory_(std::move(directory)), made_(made), io_(io) {}

StateDirectory::~StateDirectory() {
  if (!made_ || written_ || !lock_.valid()) return;
  unlinkat(directory_.get(), kLockName, 0);
  rmdir(path_.c_str());
}

absl::Status StateDirectory::Error(int err, absl::string_view what) const {
  return ErrnoStatus(err, absl::StrCat(path_, ": ", what));
}

absl::Status StateDirectory::Lock() {
  UniqueFd lock(openat(directory_.get(), kLockName, O_RDWR | O_CREAT | kOpenFlags, kFileMode));
  if (!lock.valid()) return Error(errno, kLockName);
  struct stat st{};
  if (fstat(lock.get(), &st) != 0) return Error(errno, kLockName);
  if (!S_ISREG(st.st_mode)) return Refuse(path_, absl::StrCat(kLockName, " is not a regular file"));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return Refuse(path_, absl::StrCat("in use by ", Holder(lock.get())));
    return Error(errno, absl::StrCat(kLockName, " cannot be locked"));
  }
  // For whoever comes second; nothing depends on it.
  const std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(lock.get(), 0) != 0 || pwrite(lock.get(), pid.data(), pid.size(), 0) < 0) {
    LOG(kWarning) << path_ << ": " << kLockName << " cannot be written: " << strerror(errno);
  }
  lock_ = std::move(lock);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> StateDirectory::Read() {
  const auto bad = [this](absl::string_view why) {
    return absl::DataLossError(absl::StrCat(path_, ": ", kFileName, ": ", why));
  };
  const UniqueFd file(openat(directory_.get(), kFileName, O_RDONLY | kOpenFlags));
  if (!file.valid()) {
    none_ = errno == ENOENT;
    if (none_) return std::optional<std::string>();
    if (errno == ELOOP) return bad("a symbolic link, which is not followed");
    return Error(errno, kFileName);
  }
  struct stat st{};
  if (fstat(file.get(), &st) != 0) return Error(errno, kFileName);
  if (!S_ISREG(st.st_mode)) return bad("not a regular file");
  if (st.st_size > static_cast<off_t>(kMaxStateFileBytes)) return bad("not a state file of daxvmm: it is too large");
  std::string content(st.st_size, '\0');
  size_t have = 0;
  while (have < content.size()) {
    const ssize_t n = pread(file.get(), content.data() + have, content.size() - have, static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error(errno, kFileName);
    if (n == 0) break;
    have += n;
  }
  content.resize(have);
  const absl::StatusOr<absl::string_view> body = UnframeState(content);
  if (!body.ok()) return bad(std::string(body.status().message()));
  std::string result(*body);
  last_ = std::move(content);
  return std::optional<std::string>(std::move(result));
}

absl::Status StateDirectory::WriteTemporary(absl::string_view file) {
  // Left by a write that failed; what an fsync that failed has made of its pages is not known, so it is made anew.
  if (unlinkat(directory_.get(), kTemporaryName, 0) != 0 && errno != ENOENT) return Error(errno, kTemporaryName);
  UniqueFd fd(openat(directory_.get(), kTemporaryName, O_WRONLY | O_CREAT | O_EXCL | kOpenFlags, kFileMode));
  if (!fd.valid()) return Error(errno, absl::StrCat(kTemporaryName, " cannot be made"));
  if (!WriteAll(io_, fd.get(), file)) return Error(errno, absl::StrCat(kTemporaryName, " cannot be written"));
  if (io_->Fsync(fd.get()) != 0) return Error(errno, absl::StrCat(kTemporaryName, " cannot be brought to the disk"));
  // Network file systems tell of a full disk here.
  if (close(fd.release()) != 0) return Error(errno, absl::StrCat(kTemporaryName, " cannot be closed"));
  return absl::OkStatus();
}

absl::Status StateDirectory::Replace(absl::string_view file) {
  if (absl::Status written = WriteTemporary(file); !written.ok()) {
    unlinkat(directory_.get(), kTemporaryName, 0);
    return absl::UnavailableError(written.message());
  }
  if (io_->Rename(directory_.get(), kTemporaryName, kFileName) != 0) {
    return absl::DataLossError(Error(errno, absl::StrCat(kFileName, " cannot be replaced")).message());
  }
  if (io_->Fsync(directory_.get()) != 0) {
    return absl::DataLossError(Error(errno, "the directory cannot be brought to the disk").message());
  }
  return absl::OkStatus();
}

absl::Status StateDirectory::Write(absl::string_view body) {
  std::string file = FrameState(body);
  if (file.size() > kMaxStateFileBytes) {
    return absl::UnavailableError(absl::StrCat(path_, ": the state is larger than ", kMaxStateFileBytes, " bytes"));
  }
  const absl::Status replaced = Replace(file);
  if (replaced.ok()) {
    written_ = true;
    none_ = false;
    last_ = std::move(file);
    return replaced;
  }
  if (replaced.code() != absl::StatusCode::kDataLoss) return replaced;
  // The new file may have its name already: the old one is put back, as well as this disk lets us.
  written_ = true;
  bool restored = false;
  if (last_) {
    restored = Replace(*last_).ok();
  } else if (none_) {
    restored = unlinkat(directory_.get(), kFileName, 0) == 0 || errno == ENOENT;
  }
  if (restored) return replaced;
  return absl::DataLossError(absl::StrCat(replaced.message(), "; the file may hold the old policy or the new one"));
}

absl::StatusOr<std::string> StateDirectory::SetAside() {
  for (int i = 1; i <= kMaxSetAside; ++i) {
    const std::string name = absl::StrCat(kFileName, ".bad-", i);
    if (renameat2(directory_.get(), kFileName, directory_.get(), name.c_str(), RENAME_NOREPLACE) == 0) {
      if (io_->Fsync(directory_.get()) != 0) return Error(errno, "the directory cannot be brought to the disk");
      last_.reset();
      none_ = true;
      return absl::StrCat(path_, "/", name);
    }
    if (errno != EEXIST) return Error(errno, absl::StrCat(kFileName, " cannot be set aside"));
  }
  return Refuse(path_, absl::StrCat("holds ", kMaxSetAside, " files that were set aside: remove some"));
}

}  // namespace daxvmm::control
