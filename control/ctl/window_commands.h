// `window`, `watch` and `health`.
#ifndef DAXVMM_CONTROL_CTL_WINDOW_COMMANDS_H_
#define DAXVMM_CONTROL_CTL_WINDOW_COMMANDS_H_

#include "control/ctl/runner.h"

namespace daxvmm::control {

ExitCode ShowWindow(Runner* runner);
ExitCode Watch(Runner* runner);
ExitCode Health(Runner* runner);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_WINDOW_COMMANDS_H_
