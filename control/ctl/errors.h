// What is said of a call that failed: one line that tells what to do next, and the exit status.
#ifndef DAXVMM_CONTROL_CTL_ERRORS_H_
#define DAXVMM_CONTROL_CTL_ERRORS_H_

#include <string>

#include "absl/status/status.h"
#include "control/ctl/invocation.h"

namespace daxvmm::control {

struct Failure {
  ExitCode code;
  std::string text;  // without the program's name and a newline
};

// `status` is not OK, and of a call or of connecting.
Failure DescribeFailure(const absl::Status& status, const Invocation& line);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_ERRORS_H_
