// A record of who changed, or wanted to change, what a machine does: for whoever has to say so later.
#ifndef DAXVMM_CONTROL_AUDIT_LOG_H_
#define DAXVMM_CONTROL_AUDIT_LOG_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace daxvmm::control {

// Texts are bytes: what is no UTF-8 is escaped as in EscapeNonUtf8, and each is cut after some 4 KiB.
struct AuditEntry {
  absl::Time time;      // wall clock
  std::string action;   // "set-policy", "set-override", "clear-override", ...; or a method's name, "ReadConsole"
  std::string source;   // "request", "file", "start", "state", "expiry"
  std::string who;      // "uid 1000"; the path of the file
  absl::Status result;  // of a refusal the code and the text
  uint64_t from_generation = 0;  // in force before; 0: none, or of no matter
  uint64_t to_generation = 0;    // in force after; 0: refused, or of no matter
  std::string change;            // "rules 2 -> 3 (added big)"
  std::string summary;           // of the policy after it
};

// Any thread may call any method.
class AuditLog {
 public:
  virtual ~AuditLog() = default;
  // Never fails: what cannot be written is counted, and the next entry that can says how many are missing before it.
  // Refusals are written up to a rate only, since anybody who may connect can provoke them, and counted above it.
  virtual void Write(const AuditEntry& entry) = 0;
};

// The entry as a JSON object in one line, with a newline. `missing`: entries before it that were not written.
std::string AuditLine(const AuditEntry& entry, int64_t pid, uint64_t missing);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_AUDIT_LOG_H_
