// Between the messages of MachineService and the plain structs of the controller. Every check of such a message stands
// here.
#ifndef DAXVMM_CONTROL_MACHINE_CODEC_H_
#define DAXVMM_CONTROL_MACHINE_CODEC_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "control/controller.h"
#include "control/event_log.h"
#include "proto/daxvmm/v1/machine.pb.h"

namespace daxvmm::control {

inline constexpr absl::Duration kMaxShutdownTimeout = absl::Hours(24);

// Requests. INVALID_ARGUMENT names the field at fault. `requester` is left empty.

absl::StatusOr<ShutdownOptions> DecodeShutdown(const v1::ShutdownMachineRequest& message);

struct WatchEventsCommand {
  EventLog::Kinds kinds;
  uint64_t after = 0;
  bool follow = true;
};
// OUT_OF_RANGE if `after_sequence` is beyond `newest`, the number of the newest event: it is of another run.
absl::StatusOr<WatchEventsCommand> DecodeWatchEvents(const v1::WatchEventsRequest& message, uint64_t newest);

// Replies. `message` is filled anew.

// With the version and the process of whoever calls it.
void EncodeMachine(const MachineInfo& machine, v1::Machine* message);
void EncodeForceTime(absl::Time force_at, v1::ShutdownMachineResponse* message);
void EncodeEvent(const Event& event, uint64_t missed, v1::WatchEventsResponse* message);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_MACHINE_CODEC_H_
