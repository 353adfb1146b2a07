// The help of daxvmmctl, as text and as a manual page.
#ifndef DAXVMM_CONTROL_CTL_HELP_H_
#define DAXVMM_CONTROL_CTL_HELP_H_

#include <string>

#include "control/ctl/invocation.h"

namespace daxvmm::control {

// What --help prints: of one command, or of the program (kNone). With `prefix` only the commands that begin with it:
// "policy".
std::string HelpText(CommandId command, const std::string& prefix = "");

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_HELP_H_
