// The traces that the lab makes itself: seeded, the same on every machine.
#ifndef DAXVMM_TOOLS_POLICY_LAB_WORKLOADS_H_
#define DAXVMM_TOOLS_POLICY_LAB_WORKLOADS_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "tools/policy_lab/trace.h"

namespace daxvmm::lab {

struct WorkloadConfig {
  uint64_t seed = 1;
  uint64_t window_bytes = 64 << 20;  // `fourfold` has a working set of four times this
  // Of the usual length, in percent. The golden test takes a few.
  uint32_t length_percent = 100;
};

struct WorkloadName {
  absl::string_view name;
  absl::string_view what;
};

inline constexpr WorkloadName kWorkloads[] = {
    {"zipf", "small and large files, some popular, most not; opened, read, closed"},
    {"stream", "files of 8 MiB, each read once from start to end"},
    {"hotset", "six files of 6 MiB, read from start to end again and again"},
    {"libraries", "short programs that map libraries of up to 8 MiB and touch parts of them"},
    {"database", "8 KiB reads and writes at random in three files of 12 MiB that stay open"},
    {"build", "a C build: small sources once, headers again and again, a compiler's text, objects, a link"},
    {"fourfold", "16 KiB reads at random in files of 4 MiB, reopened now and then, that make four times the window"},
    {"mixed", "a database, libraries, small files and a stream at the same time"},
};

// nullopt for a name that is not in the list.
std::optional<Trace> MakeWorkload(absl::string_view name, const WorkloadConfig& config);

// What `fourfold` does, with a working set of this size: for curves.
Trace MakeWorkingSet(uint64_t working_set_bytes, const WorkloadConfig& config);

}  // namespace daxvmm::lab

#endif  // DAXVMM_TOOLS_POLICY_LAB_WORKLOADS_H_
