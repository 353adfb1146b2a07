// What may be done to a machine in which state; the same for whoever implements Controller.
#ifndef DAXVMM_CONTROL_MACHINE_STATE_H_
#define DAXVMM_CONTROL_MACHINE_STATE_H_

#include "absl/status/status.h"
#include "control/controller.h"

namespace daxvmm::control {

enum class MachineCommand { kStart, kPause, kResume, kShutdown };

// OK, or FAILED_PRECONDITION that names the state and what to do instead. OK for what changes nothing, too: pausing a
// paused machine, resuming a running one.
absl::Status CheckMay(MachineCommand command, MachineState state);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_MACHINE_STATE_H_
