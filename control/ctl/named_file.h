// The file, or the share, that a command line names.
#ifndef DAXVMM_CONTROL_CTL_NAMED_FILE_H_
#define DAXVMM_CONTROL_CTL_NAMED_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/status.h"
#include "control/ctl/runner.h"
#include "control/text.h"

namespace daxvmm::control {

// --share as path text, or the only share of the machine. INVALID_ARGUMENT if there are several; else the error of the
// call that asked.
absl::StatusOr<std::string> ShareOfFile(const Runner& runner);

// Fills share and file of a request.
template <typename Message>
absl::Status NameFile(const Runner& runner, Message* message) {
  ASSIGN_OR_RETURN(const std::string share, ShareOfFile(runner));
  message->set_share(share);
  if (runner.line().node) {
    message->set_node_id(*runner.line().node);
  } else {
    message->set_path(EscapeNonUtf8(*runner.line().path));
  }
  return absl::OkStatus();
}

// For the errors of both.
ExitCode FailNaming(const Runner& runner, const absl::Status& status);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_NAMED_FILE_H_
