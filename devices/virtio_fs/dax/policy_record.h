// What is known of a generation of the policy, and who hears of it before it is in force: to keep it, and to write down
// who changed what.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_RECORD_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_RECORD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "devices/virtio_fs/dax/policy.h"
#include "devices/virtio_fs/dax/policy_override.h"

namespace daxvmm::dax {

enum class SourceKind {
  kStart,    // flags, or the embedder, at start
  kFile,     // a watched file
  kRequest,  // the control plane
  kExpiry,   // an override ran out
  kState,    // what was kept of an earlier run, at start
};

struct PolicySource {
  SourceKind kind = SourceKind::kStart;
  std::string detail;  // the path of the file; who asked ("uid 0, pid 123")

  bool operator==(const PolicySource&) const = default;
};

struct PolicyHistoryEntry {
  uint64_t generation = 0;
  PolicySource source;
  absl::Time since;
  std::string summary;  // a line: "2 rules, default no-dax", with ", 3 overrides" if there are any
  std::string change;   // from the generation before: "rules 1 -> 2 (added big)"; bytes, since paths are

  bool operator==(const PolicyHistoryEntry&) const = default;
};

// A generation that is about to be in force. Valid for the call only.
struct PolicyRecord {
  uint64_t generation = 0;
  const Policy& policy;
  const std::vector<Override>& overrides;
  // What a watched file says, before the rules of shares were put in front of it; null if this is not of a file.
  const Policy* file_policy = nullptr;
  // At most PolicyStore::kMaxHistory, oldest first; the last one is this generation.
  const std::vector<PolicyHistoryEntry>& history;
};

enum class PolicyAction { kStart, kSetPolicy, kSetOverride, kClearOverride, kExpireOverrides };

// What somebody wanted to change, and what came of it. Valid for the call only.
struct PolicyAttempt {
  PolicyAction action = PolicyAction::kStart;
  const PolicySource& source;
  uint64_t from_generation = 0;  // in force before; 0: none
  uint64_t to_generation = 0;    // about to be in force; 0: refused
  std::string summary;           // as in PolicyHistoryEntry; empty if it was refused before there was one
  std::string change;            // as in PolicyHistoryEntry; of what was refused what is known
  absl::Status result;
};

// Called by PolicyStore under its change lock, by one thread at a time: whoever changes the policy waits for it, and
// nobody who reads it does. Must not call the store's changes.
class PolicyRecorder {
 public:
  virtual ~PolicyRecorder() = default;
  // Before the generation is in force. An error is what the change is refused with, as UNAVAILABLE; the message goes to
  // who asked. DATA_LOSS: it may have been kept all the same, so its number must not be used again.
  virtual absl::Status Record(const PolicyRecord& next) = 0;
  // After Record, before the generation is in force; and of each change that was refused, by Record or before it.
  virtual void Attempted(const PolicyAttempt& attempt) = 0;
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_RECORD_H_
