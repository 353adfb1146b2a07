// Following the guest's convergence on standard output.
#ifndef DAXVMM_CONTROL_CTL_FOLLOW_H_
#define DAXVMM_CONTROL_CTL_FOLLOW_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "control/ctl/runner.h"

namespace daxvmm::control {

struct Followed {
  absl::Status status;  // of the call: OK once everything is settled
  bool written = true;  // false: standard output failed
  std::string last;     // the last counts, as a line; empty: there were none
};

// Watches until the end, at most `limit`. Each update is a line, or the only line rewritten if standard output is a
// terminal; with `quiet` there are no lines but on a terminal.
Followed Follow(const Runner& runner, const v1::WatchConvergenceRequest& request, std::optional<absl::Duration> limit,
                bool quiet);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_FOLLOW_H_
