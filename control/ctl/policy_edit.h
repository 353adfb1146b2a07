// `policy edit`.
#ifndef DAXVMM_CONTROL_CTL_POLICY_EDIT_H_
#define DAXVMM_CONTROL_CTL_POLICY_EDIT_H_

#include "control/ctl/runner.h"

namespace daxvmm::control {

ExitCode PolicyEdit(Runner* runner);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_POLICY_EDIT_H_
