// Whether there is a terminal for a full screen.
#ifndef DAXVMM_CONTROL_CTL_TOP_CHECK_TERMINAL_H_
#define DAXVMM_CONTROL_CTL_TOP_CHECK_TERMINAL_H_

#include "absl/status/status.h"

namespace daxvmm::control::top {

// INVALID_ARGUMENT, in words for the user, if standard input and output are no terminal that a full screen can be drawn
// on. Changes nothing.
absl::Status CheckTerminal();

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_CHECK_TERMINAL_H_
