// `files` and `mappings`: lists that may be long, and come by pages.
#ifndef DAXVMM_CONTROL_CTL_FILE_COMMANDS_H_
#define DAXVMM_CONTROL_CTL_FILE_COMMANDS_H_

#include "control/ctl/runner.h"

namespace daxvmm::control {

ExitCode Files(Runner* runner);
ExitCode Mappings(Runner* runner);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_FILE_COMMANDS_H_
