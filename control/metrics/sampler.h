// Gathers what is served: from the machine, and from the kernel.
#ifndef DAXVMM_CONTROL_METRICS_SAMPLER_H_
#define DAXVMM_CONTROL_METRICS_SAMPLER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/controller.h"
#include "control/metrics/process_facts.h"

namespace daxvmm::control {

// A moment of the machine.
struct MetricsSample {
  MetricsSnapshot machine;
  MachineInfo info;
  std::vector<WindowUse> windows;                                  // one per share
  std::vector<std::pair<std::string, ConvergenceCounts>> follows;  // by share tag
  std::chrono::duration<double> follows_age{0};                    // since those were counted
  ProcessFacts process;
  uint64_t open_fds = 0;
};

// Used by one thread.
class MetricsSampler {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;
  // What costs time by the inode or by the descriptor is counted anew after this time at the earliest, and after so
  // many times the time that it took, so that it costs no more than a twentieth of a processor however often it is
  // asked for.
  static constexpr std::chrono::seconds kRecountAfter{10};
  static constexpr int kRecountShare = 20;

  // `controller` outlives this.
  explicit MetricsSampler(const Controller* controller, Clock clock = [] { return std::chrono::steady_clock::now(); });

  MetricsSample Take();

 private:
  void Recount(std::chrono::steady_clock::time_point now);

  const Controller* const controller_;
  const Clock clock_;
  std::vector<std::pair<std::string, ConvergenceCounts>> follows_;
  uint64_t open_fds_ = 0;
  std::optional<std::chrono::steady_clock::time_point> counted_at_;
  std::chrono::steady_clock::duration counting_took_{0};
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_METRICS_SAMPLER_H_
