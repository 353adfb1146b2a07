// An audit log that is a file, to which lines are appended.
#ifndef DAXVMM_CONTROL_AUDIT_LOG_FILE_H_
#define DAXVMM_CONTROL_AUDIT_LOG_FILE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "control/audit_log.h"

namespace daxvmm::control {

// Each line is one write(2) to a descriptor opened with O_APPEND, so machines may share a file. It is not brought to
// the disk: lines survive the process, and not a power cut of the host. A file that was moved away, as logrotate does,
// is noticed before each line: that goes to a new file of the path; if there can be none, to the one that was moved.
class AuditLogFile final : public AuditLog {
 public:
  // Refusals that are written in a minute.
  static constexpr int kMaxRefusals = 600;

  // Makes the file with mode 0600 if it is missing. FAILED_PRECONDITION for what is no regular file, a symbolic link
  // included; else the host's error. Each in one line that begins with the path.
  static absl::StatusOr<std::unique_ptr<AuditLogFile>> Open(const std::string& path);

  void Write(const AuditEntry& entry) override;

 private:
  AuditLogFile(std::string path, UniqueFd file) : path_(std::move(path)), file_(std::move(file)) {}
  bool AdmitRefusal(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FollowPath() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string path_;
  Mutex mu_;  // held across the write
  UniqueFd file_ ABSL_GUARDED_BY(mu_);
  bool torn_ ABSL_GUARDED_BY(mu_) = false;     // the last line has no end
  uint64_t missing_ ABSL_GUARDED_BY(mu_) = 0;  // since the last line that was written
  int refusals_ ABSL_GUARDED_BY(mu_) = 0;      // in the minute from minute_ on
  absl::Time minute_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_AUDIT_LOG_FILE_H_
