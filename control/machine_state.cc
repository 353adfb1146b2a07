#include "control/machine_state.h"

namespace daxvmm::control {
namespace {

// nullptr: it may.
const char* WhyNot(MachineCommand command, MachineState state) {
  if (state == MachineState::kEnded) return "the machine has ended";
  const bool created = state == MachineState::kCreated;
  const bool shutting_down = state == MachineState::kShuttingDown;
  switch (command) {
    case MachineCommand::kStart:
      if (state == MachineState::kPaused) return "the machine has started already and is paused; resume it";
      if (shutting_down) return "the machine has started already and is shutting down";
      return created ? nullptr : "the machine is running already";
    case MachineCommand::kPause:
      if (created) return "the machine has not started yet: no vCPU runs";
      // Its guest has a deadline, which goes on.
      return shutting_down ? "the machine is shutting down" : nullptr;
    case MachineCommand::kResume:
      if (created) return "the machine has not started yet; start it";
      return shutting_down ? "the machine is shutting down, and runs" : nullptr;
    case MachineCommand::kShutdown:
      return nullptr;
  }
  return nullptr;
}

}  // namespace

absl::Status CheckMay(MachineCommand command, MachineState state) {
  const char* const why_not = WhyNot(command, state);
  return why_not == nullptr ? absl::OkStatus() : absl::FailedPreconditionError(why_not);
}

}  // namespace daxvmm::control
