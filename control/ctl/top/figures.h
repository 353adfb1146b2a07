// Numbers in few columns, and small drawings of them. All pure.
#ifndef DAXVMM_CONTROL_CTL_TOP_FIGURES_H_
#define DAXVMM_CONTROL_CTL_TOP_FIGURES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "control/ctl/top/glyphs.h"

namespace daxvmm::control::top {

// At most six columns: "99999", "123k", "4.5M" (powers of 1000).
std::string CompactCount(uint64_t count);
// At most six columns: "32767", "32K", "1.5G" (powers of 1024).
std::string CompactSize(uint64_t bytes);
// "0.4", "12.3", "1234", "56k".
std::string CompactRate(double per_second);
// "42s", "12m", "3h12m", "5d3h"; 0 for what lies in the future.
std::string CompactDuration(absl::Duration duration);

// The last `columns` values, the newest at the right, each as high as its share of the highest one shown. What is not 0
// is told from 0. Fewer values are fewer columns.
std::string Sparkline(const std::vector<double>& values, int columns, Charset charset);

// How `columns` are divided between parts of `counts` in proportion; a part that is not 0 gets one if there are enough.
// The sum is `columns`, or 0 if all counts are.
std::vector<int> Divide(const std::vector<uint64_t>& counts, int columns);

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_FIGURES_H_
