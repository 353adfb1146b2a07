#include "control/audit_log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"

namespace daxvmm::control {
namespace {

// Nothing that somebody puts in the file's place is followed or waited for.
absl::StatusOr<UniqueFd> OpenFile(const std::string& path) {
  UniqueFd file(
      open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600));
  if (!file.valid() && errno == ELOOP) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": a symbolic link, which is not followed"));
  }
  // A pipe that nobody reads.
  if (!file.valid() && errno == ENXIO) return absl::FailedPreconditionError(absl::StrCat(path, ": not a regular file"));
  if (!file.valid()) return ErrnoStatus(errno, path);
  struct stat st{};
  if (fstat(file.get(), &st) != 0) return ErrnoStatus(errno, path);
  if (!S_ISREG(st.st_mode)) return absl::FailedPreconditionError(absl::StrCat(path, ": not a regular file"));
  return file;
}

}  // namespace

absl::StatusOr<std::unique_ptr<AuditLogFile>> AuditLogFile::Open(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd file, OpenFile(path));
  return std::unique_ptr<AuditLogFile>(new AuditLogFile(path, std::move(file)));
}

bool AuditLogFile::AdmitRefusal(absl::Time now) {
  if (now < minute_ || now - minute_ >= absl::Minutes(1)) {
    minute_ = now;
    refusals_ = 0;
  }
  return ++refusals_ <= kMaxRefusals;
}

void AuditLogFile::FollowPath() {
  struct stat opened{};
  struct stat named{};
  if (fstat(file_.get(), &opened) == 0 && lstat(path_.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
      opened.st_ino == named.st_ino) {
    return;
  }
  absl::StatusOr<UniqueFd> file = OpenFile(path_);
  if (!file.ok()) {
    LOG_LIMITED(kWarning) << "audit log: " << std::string(file.status().message())
                          << "; lines go to the file that was moved away";
    return;
  }
  file_ = *std::move(file);
  torn_ = false;
}

void AuditLogFile::Write(const AuditEntry& entry) {
  MutexLock lock(&mu_);
  if (!entry.result.ok() && !AdmitRefusal(entry.time)) {
    ++missing_;
    LOG_LIMITED(kWarning) << "audit log: " << path_ << ": more than " << kMaxRefusals
                          << " refusals in a minute, the rest is counted only";
    return;
  }
  FollowPath();
  const std::string line = absl::StrCat(torn_ ? "\n" : "", AuditLine(entry, getpid(), missing_));
  ssize_t n = 0;
  do {
    n = write(file_.get(), line.data(), line.size());
  } while (n < 0 && errno == EINTR);
  if (n == static_cast<ssize_t>(line.size())) {
    torn_ = false;
    missing_ = 0;
    return;
  }
  const int err = n < 0 ? errno : ENOSPC;
  torn_ = torn_ || n > 0;
  ++missing_;
  LOG_LIMITED(kWarning) << "audit log: " << path_ << ": " << strerror(err) << "; not written: " << entry.action
                        << " by " << entry.who;
}

}  // namespace daxvmm::control
