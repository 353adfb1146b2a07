// `top`.
#ifndef DAXVMM_CONTROL_CTL_TOP_COMMAND_H_
#define DAXVMM_CONTROL_CTL_TOP_COMMAND_H_

#include "control/ctl/runner.h"

namespace daxvmm::control {

// Looks at the terminal before it connects.
ExitCode Top(Runner* runner);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_TOP_COMMAND_H_
