// The counts of control calls as a machine asks for them.
#ifndef DAXVMM_CONTROL_CALL_COUNTS_REPORT_H_
#define DAXVMM_CONTROL_CALL_COUNTS_REPORT_H_

#include <vector>

#include "absl/status/status.h"
#include "control/call_counts.h"
#include "control/metrics_snapshot.h"

namespace daxvmm::control {

class CallCountsReport final : public ControlCallCounts {
 public:
  // `counts` outlives this.
  explicit CallCountsReport(const control::CallCounts* counts) : counts_(counts) {}

  std::vector<ControlCallCount> CallCounts() const override {
    std::vector<ControlCallCount> calls;
    for (const auto& count : counts_->Snapshot()) {
      calls.push_back({count.method, absl::StatusCodeToString(static_cast<absl::StatusCode>(count.code)), count.calls});
    }
    return calls;
  }

 private:
  const control::CallCounts* const counts_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CALL_COUNTS_REPORT_H_
