// What a running machine has counted, in plain structs. All counts are since the machine was made, over every session
// and reset of a device, unless it says otherwise; sums that were read one after the other, not one moment's picture.
#ifndef DAXVMM_CONTROL_METRICS_SNAPSHOT_H_
#define DAXVMM_CONTROL_METRICS_SNAPSHOT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace daxvmm::control {

// A count of something that has a name: an error ("ENOENT"), the reason of an exit ("mmio").
struct NamedCount {
  std::string name;
  uint64_t count = 0;
};

// The requests of one operation.
struct OperationMetrics {
  std::string operation;           // "LOOKUP"; "unknown" for opcodes that are not served
  std::vector<uint64_t> latency;   // requests by time: one for each of latency_bounds, and those above; not cumulative
  absl::Duration total;            // that all of them took, from when they were taken from their queue to the reply
  std::vector<NamedCount> errors;  // answered; "other" for what is not told apart. Only those that there were
};

struct QueueMetrics {
  unsigned index = 0;                         // 0: hiprio
  uint64_t waiting = 0;                       // requests that have not begun, as of the last reply
  std::optional<absl::Duration> serving_for;  // how long the present request has been served; nullopt: none is
  uint64_t wakeups = 0;                       // of the queue's thread, by the driver
  uint64_t interrupts = 0;                    // sent to the driver
};

// How often attributes were answered by a rule of the policy in force, since its rules are.
struct DecisionCount {
  std::string rule;
  bool dax = false;
  uint64_t count = 0;
};

struct ShareMetrics {
  std::string tag;                           // bytes
  std::vector<OperationMetrics> operations;  // only those that there were
  uint64_t bytes_read = 0;                   // of files, by READ
  uint64_t bytes_written = 0;                // to files, by WRITE
  std::vector<QueueMetrics> queues;
  uint64_t live_inodes = 0;              // that the guest holds
  uint64_t open_handles = 0;             // files and directories
  uint64_t held_descriptors = 0;         // for both
  std::vector<DecisionCount> decisions;  // only those that there were
};

struct VcpuMetrics {
  unsigned index = 0;
  std::vector<NamedCount> exits;     // by reason; all reasons that there are
  uint64_t unreachable_mended = 0;   // touches of pages that had nothing behind them, for which something was mended
  uint64_t unreachable_retried = 0;  // and that were only tried again
};

// Calls of the control API that were answered with one code.
struct ControlCallCount {
  std::string method;  // "SetPolicy"
  std::string code;    // canonical: "OK", "NOT_FOUND"
  uint64_t count = 0;
};

// Who counts control calls: the control server, which stands in a library of its own. Any thread may ask.
class ControlCallCounts {
 public:
  virtual ~ControlCallCounts() = default;
  // At most as many as there are methods times codes.
  virtual std::vector<ControlCallCount> CallCounts() const = 0;
};

struct MetricsSnapshot {
  std::vector<double> latency_bounds;  // upper bounds in seconds, each included, ascending
  std::vector<ShareMetrics> shares;
  std::vector<VcpuMetrics> vcpus;
  std::vector<NamedCount> events;               // by kind; all kinds that there are
  std::vector<ControlCallCount> control_calls;  // empty without a control server
  uint64_t policy_generation = 0;               // in force
  uint64_t policy_rules = 0;                    // of it
  uint64_t policy_overrides = 0;
  absl::Time policy_since;         // when that generation came into force
  bool policy_file_wrong = false;  // a watched file's present content is not in force
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_METRICS_SNAPSHOT_H_
