// Runs traces against policies and sets the results side by side.
#ifndef DAXVMM_TOOLS_POLICY_LAB_LAB_H_
#define DAXVMM_TOOLS_POLICY_LAB_LAB_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "tools/policy_lab/guest.h"
#include "tools/policy_lab/trace.h"

namespace daxvmm::lab {

struct LabResult {
  std::string trace;
  std::string policy;
  Metrics metrics;
};

// One trace under each of the policies that are named, in their order. Unknown names are left out. `log` hears the
// adaptive one's verdicts.
std::vector<LabResult> RunAll(const Trace& trace, const std::vector<std::string>& policies, const GuestConfig& config,
                              const VerdictLog& log = nullptr);

// Results of RunAll, of any number of traces, as a table; `speed` is the time of "never" on the trace by the policy's:
// above 1 is faster than no DAX.
std::string FormatTable(const std::vector<LabResult>& results);
// The times of the fixed policies' best and of "never" by the adaptive one's, for each trace, and whether the goals
// hold: at least 0.9 of either, and on "mixed" better than each.
std::string FormatGoals(const std::vector<LabResult>& results);

// One point of a curve.
struct CurvePoint {
  uint64_t window_bytes = 0;
  uint64_t working_set_bytes = 0;
  std::string policy;
  double reads_per_second = 0;
  Metrics metrics;
};
// 16 KiB reads at random over working sets from a quarter of the window to eight times as much.
std::vector<CurvePoint> RunCurve(uint64_t window_bytes, const std::vector<std::string>& policies, GuestConfig config,
                                 uint64_t seed, uint32_t length_percent);

// Everything as JSON: {"configuration": {...}, "results": [...], "curves": [...]}.
std::string FormatJson(const GuestConfig& config, uint64_t seed, const std::vector<LabResult>& results,
                       const std::vector<CurvePoint>& curves);

absl::string_view BackingName(Backing backing);

}  // namespace daxvmm::lab

#endif  // DAXVMM_TOOLS_POLICY_LAB_LAB_H_
