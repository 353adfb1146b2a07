// A machine of which everything has been counted. For tests.
#ifndef DAXVMM_CONTROL_METRICS_TESTING_EXAMPLE_METRICS_H_
#define DAXVMM_CONTROL_METRICS_TESTING_EXAMPLE_METRICS_H_

#include <vector>

#include "absl/time/time.h"
#include "control/testing/fake_controller.h"

namespace daxvmm::control {

// A tag with all that a label must escape: a quote, a backslash, a line's end, a byte that is no UTF-8, and text that
// looks like such a byte.
inline constexpr char kHostileTag[] = "a\"b\\c\nd\xff\\xff";

// Before the controller is shared.
inline void FillWithMetrics(FakeController* controller) {
  controller->FillWithExamples();
  controller->windows.push_back({.share_tag = kHostileTag, .capacity = MiB(2)});
  controller->machine = {.state = MachineState::kRunning, .memory = MiB(512)};
  MetricsSnapshot& metrics = controller->metrics;
  metrics.latency_bounds = {1e-6, 2e-6, 5e-6};
  metrics.policy_generation = 3;
  metrics.policy_rules = 2;
  metrics.policy_since = absl::FromUnixSeconds(1'700'000'000);
  for (const char* tag : {"data", "src", kHostileTag}) {
    ShareMetrics share{.tag = tag, .bytes_read = 7, .bytes_written = 9, .live_inodes = 11, .open_handles = 2};
    share.operations = {{.operation = "LOOKUP",
                         .latency = {1, 2, 0, 3},
                         .total = absl::Microseconds(1500),
                         .errors = {{"ENOENT", 4}, {"other", 1}}},
                        {.operation = "READ", .latency = {0, 0, 1, 0}, .total = absl::Microseconds(3)}};
    share.queues = {{.index = 0}, {.index = 1, .waiting = 5, .serving_for = absl::Milliseconds(250), .wakeups = 8}};
    share.decisions = {{"size", true, 5}, {"default", false, 6}};
    metrics.shares.push_back(share);
  }
  metrics.vcpus = {{.index = 0, .exits = {{"io", 12}, {"mmio", 34}}, .unreachable_mended = 1}};
  metrics.events = {{"started", 1}, {"paused", 0}};
  metrics.control_calls = {{"SetPolicy", "OK", 2}, {"SetPolicy", "ABORTED", 1}};
}

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_METRICS_TESTING_EXAMPLE_METRICS_H_
