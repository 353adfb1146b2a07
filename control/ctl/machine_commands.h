// `machine` and `events`.
#ifndef DAXVMM_CONTROL_CTL_MACHINE_COMMANDS_H_
#define DAXVMM_CONTROL_CTL_MACHINE_COMMANDS_H_

#include "control/ctl/runner.h"

namespace daxvmm::control {

ExitCode MachineShow(Runner* runner);
ExitCode MachineStart(Runner* runner);
ExitCode MachinePause(Runner* runner);
ExitCode MachineResume(Runner* runner);
ExitCode MachineShutdown(Runner* runner);
ExitCode MachineConsole(Runner* runner);
ExitCode Events(Runner* runner);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_MACHINE_COMMANDS_H_
