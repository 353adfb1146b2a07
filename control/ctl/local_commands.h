// What needs no machine: `version`, `help --man`, `completion`, and what the shells call.
#ifndef DAXVMM_CONTROL_CTL_LOCAL_COMMANDS_H_
#define DAXVMM_CONTROL_CTL_LOCAL_COMMANDS_H_

#include "control/ctl/runner.h"

namespace daxvmm::control {

ExitCode Version(Runner* runner);
ExitCode Help(Runner* runner);
ExitCode Completion(Runner* runner);
ExitCode Complete(Runner* runner);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_LOCAL_COMMANDS_H_
