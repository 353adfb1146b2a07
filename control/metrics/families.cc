#include "control/metrics/families.h"

#include <prometheus/text_serializer.h>

#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/version.h"
#include "control/metrics/family_list.h"

namespace daxvmm::control {
namespace {

absl::string_view NameOf(MachineState state) {
  switch (state) {
    case MachineState::kCreated:
      return "created";
    case MachineState::kRunning:
      return "running";
    case MachineState::kPaused:
      return "paused";
    case MachineState::kShuttingDown:
      return "shutting_down";
    case MachineState::kEnded:
      return "ended";
  }
  return "";
}

absl::string_view NameOf(MountMode mode) {
  switch (mode) {
    case MountMode::kNotMounted:
      return "not_mounted";
    case MountMode::kNever:
      return "never";
    case MountMode::kAlways:
      return "always";
    case MountMode::kPerFile:
      return "per_file";
  }
  return "";
}

void AddMachine(const MetricsSample& sample, FamilyList* list) {
  list->Gauge("build_info", "Always 1; what the label says is the version of daxvmm.");
  list->Add({{"version", kVersion}}, 1.0);
  list->Gauge("machine_state", "1 for the state that the machine is in, 0 for all others.");
  for (const MachineState state : {MachineState::kCreated, MachineState::kRunning, MachineState::kPaused,
                                   MachineState::kShuttingDown, MachineState::kEnded}) {
    list->Add({{"state", NameOf(state)}}, state == sample.info.state ? 1.0 : 0.0);
  }
  list->Gauge("machine_memory_bytes", "Memory of the guest.");
  list->Add({}, sample.info.memory.raw());
  list->Counter("vcpu_exits_total", "Times that a virtual CPU left the guest for user space, by reason.");
  for (const VcpuMetrics& vcpu : sample.machine.vcpus) {
    for (const NamedCount& exit : vcpu.exits) {
      list->Add({{"vcpu", absl::StrCat(vcpu.index)}, {"reason", exit.name}}, exit.count);
    }
  }
  list->Counter("vcpu_unreachable_pages_total",
                "Touches of a page with nothing behind it after which the guest went on, by what was done about them.");
  for (const VcpuMetrics& vcpu : sample.machine.vcpus) {
    list->Add({{"vcpu", absl::StrCat(vcpu.index)}, {"outcome", "mended"}}, vcpu.unreachable_mended);
    list->Add({{"vcpu", absl::StrCat(vcpu.index)}, {"outcome", "retried"}}, vcpu.unreachable_retried);
  }
  list->Counter("events_total", "Events of the machine, by kind.");
  for (const NamedCount& event : sample.machine.events) list->Add({{"kind", event.name}}, event.count);
  list->Counter("control_calls_total", "Calls of the control API, by method and canonical code.");
  for (const ControlCallCount& call : sample.machine.control_calls) {
    list->Add({{"method", call.method}, {"code", call.code}}, call.count);
  }
}

void AddRequests(const MetricsSnapshot& machine, FamilyList* list) {
  list->Histogram("fuse_request_duration_seconds",
                  "Time from when a request was taken from its queue to its reply, by operation.");
  for (const ShareMetrics& share : machine.shares) {
    for (const OperationMetrics& operation : share.operations) {
      list->AddHistogram({{"share", share.tag}, {"operation", operation.operation}}, machine.latency_bounds,
                         operation.latency, absl::ToDoubleSeconds(operation.total));
    }
  }
  list->Counter("fuse_request_errors_total", "Requests that were answered with an error, by operation and error.");
  for (const ShareMetrics& share : machine.shares) {
    for (const OperationMetrics& operation : share.operations) {
      for (const NamedCount& error : operation.errors) {
        list->Add({{"share", share.tag}, {"operation", operation.operation}, {"error", error.name}}, error.count);
      }
    }
  }
  list->Counter("fuse_read_bytes_total", "Bytes of files that READ requests were answered with.");
  for (const ShareMetrics& share : machine.shares) list->Add({{"share", share.tag}}, share.bytes_read);
  list->Counter("fuse_written_bytes_total", "Bytes that WRITE requests put into files.");
  for (const ShareMetrics& share : machine.shares) list->Add({{"share", share.tag}}, share.bytes_written);
}

template <typename Value>
void AddQueues(const MetricsSnapshot& machine, FamilyList* list, Value value) {
  for (const ShareMetrics& share : machine.shares) {
    for (const QueueMetrics& queue : share.queues) {
      list->Add({{"share", share.tag}, {"queue", absl::StrCat(queue.index)}}, value(queue));
    }
  }
}

void AddShares(const MetricsSample& sample, FamilyList* list) {
  const MetricsSnapshot& machine = sample.machine;
  list->Gauge("virtqueue_waiting_requests", "Requests in a queue that have not begun, as of its last reply.");
  AddQueues(machine, list, [](const QueueMetrics& queue) { return queue.waiting; });
  list->Gauge("virtqueue_request_age_seconds", "How long the request that a queue serves has been served; 0: none is.");
  AddQueues(machine, list, [](const QueueMetrics& queue) {
    return queue.serving_for.has_value() ? absl::ToDoubleSeconds(*queue.serving_for) : 0.0;
  });
  list->Counter("virtqueue_wakeups_total", "Times that the driver woke the thread of a queue.");
  AddQueues(machine, list, [](const QueueMetrics& queue) { return queue.wakeups; });
  list->Counter("virtqueue_interrupts_total", "Interrupts that were sent to the driver for replies of a queue.");
  AddQueues(machine, list, [](const QueueMetrics& queue) { return queue.interrupts; });
  list->Gauge("share_live_inodes", "Inodes that the guest holds references to.");
  for (const ShareMetrics& share : machine.shares) list->Add({{"share", share.tag}}, share.live_inodes);
  list->Gauge("share_open_handles", "Files and directories that the guest has open.");
  for (const ShareMetrics& share : machine.shares) list->Add({{"share", share.tag}}, share.open_handles);
  list->Gauge("share_held_descriptors", "Descriptors of the host that are held for inodes and open files.");
  for (const ShareMetrics& share : machine.shares) list->Add({{"share", share.tag}}, share.held_descriptors);
  list->Gauge("share_mount_info", "Always 1; the labels say how the guest has mounted the share.");
  for (const WindowUse& share : sample.windows) {
    list->Add({{"share", share.share_tag},
               {"mode", NameOf(share.mount_mode)},
               {"read_only", share.read_only ? "true" : "false"}},
              1.0);
  }
}

void AddPolicy(const MetricsSample& sample, FamilyList* list) {
  const MetricsSnapshot& machine = sample.machine;
  list->Gauge("policy_generation", "Generation of the policy in force.");
  list->Add({}, machine.policy_generation);
  list->Gauge("policy_in_force_timestamp_seconds", "When that generation came into force, since the epoch.");
  list->Add({}, absl::ToDoubleSeconds(machine.policy_since - absl::UnixEpoch()));
  list->Gauge("policy_rules", "Rules of the policy in force.");
  list->Add({}, machine.policy_rules);
  list->Gauge("policy_overrides", "Overrides above the policy in force.");
  list->Add({}, machine.policy_overrides);
  list->Gauge("policy_file_wrong", "1 while the present content of the watched policy file is not in force.");
  list->Add({}, machine.policy_file_wrong ? 1.0 : 0.0);
  list->Counter("policy_decisions_total",
                "Attributes that were answered by each rule of the policy in force, since its rules are.");
  for (const ShareMetrics& share : machine.shares) {
    for (const DecisionCount& decision : share.decisions) {
      list->Add({{"share", share.tag}, {"rule", decision.rule}, {"decision", decision.dax ? "dax" : "no-dax"}},
                decision.count);
    }
  }
  list->Gauge("policy_live_files", "Regular files that the guest holds, by how far it has followed the policy.");
  for (const auto& [tag, counts] : sample.follows) {
    list->Add({{"share", tag}, {"state", "converged"}}, counts.converged);
    list->Add({{"share", tag}, {"state", "attributes_cached"}}, counts.attributes_cached);
    list->Add({{"share", tag}, {"state", "changes_on_next_use"}}, counts.changes_on_next_use);
    list->Add({{"share", tag}, {"state", "noticed_held_open"}}, counts.noticed_held_open);
    list->Add({{"share", tag}, {"state", "noticed_still_held"}}, counts.noticed_still_held);
    list->Add({{"share", tag}, {"state", "unknown"}}, counts.unknown);
  }
  list->Gauge("policy_live_files_age_seconds",
              "Time since those files were counted, which is not done at each scrape.");
  list->Add({}, sample.follows_age.count());
}

// Of what every window has one.
struct WindowRow {
  prometheus::MetricType type;
  const char* name;
  const char* help;
  double (*value)(const WindowUse&);
};

template <auto Member>
double Count(const WindowUse& use) {
  return static_cast<double>(use.*Member);
}
double Bytes(ByteCount bytes) { return static_cast<double>(bytes.raw()); }

constexpr prometheus::MetricType kCounter = prometheus::MetricType::Counter;
constexpr prometheus::MetricType kGauge = prometheus::MetricType::Gauge;

constexpr WindowRow kWindowRows[] = {
    {kGauge, "window_capacity_bytes", "Size of the DAX window.",
     [](const WindowUse& use) { return Bytes(use.capacity); }},
    {kGauge, "window_quota_bytes", "As much of the window is for files that become DAX; 0: all of it.",
     [](const WindowUse& use) { return Bytes(use.quota); }},
    {kGauge, "window_quota_reached", "1 while the quota keeps further files from becoming DAX.",
     [](const WindowUse& use) { return use.quota_reached ? 1.0 : 0.0; }},
    {kGauge, "window_mapped_chunks", "Ranges of 2 MiB that hold a mapping.", Count<&WindowUse::mapped_chunks>},
    {kGauge, "window_mapped_chunks_max", "The most of them at one time.", Count<&WindowUse::mapped_chunks_max>},
    {kGauge, "window_reclaim_threshold_chunks",
     "With fewer free chunks than this a Linux guest reclaims ranges in the background.",
     Count<&WindowUse::reclaim_threshold_chunks>},
    {kCounter, "window_maps_total", "SETUPMAPPING requests that succeeded.", Count<&WindowUse::maps>},
    {kCounter, "window_unmaps_total", "Ranges that REMOVEMAPPING took away.", Count<&WindowUse::unmaps>},
    {kCounter, "window_rejected_requests_total", "SETUPMAPPING and REMOVEMAPPING requests that were refused.",
     Count<&WindowUse::rejected>},
    {kCounter, "window_reused_soon_total",
     "Ranges that were mapped again soon after their removal from a full window: it is too small.",
     Count<&WindowUse::reused_soon>},
    {kCounter, "window_repairs_total", "Times that pages past the end of a truncated file were replaced by zeros.",
     Count<&WindowUse::repairs>},
    {kCounter, "window_restores_total", "Times that such pages were given back to a file that had grown again.",
     Count<&WindowUse::restores>},
    {kCounter, "window_stores_past_end_total", "Stores of the guest past the end of a truncated file.",
     Count<&WindowUse::stores_past_end>},
    {kCounter, "window_extended_files_total", "Those of them that were served by making the file longer.",
     Count<&WindowUse::files_extended>},
    {kCounter, "window_dropped_stores_total", "Stores of the guest to a read-only window, which were dropped.",
     Count<&WindowUse::dropped_stores>},
    {kCounter, "window_mappings_against_policy_total", "SETUPMAPPING requests against the policy that were served.",
     Count<&WindowUse::against_policy>},
    {kCounter, "window_denied_mappings_total", "SETUPMAPPING requests against the policy that were refused.",
     Count<&WindowUse::denied>},
};

// For whoever looks at one scrape alone; Prometheus computes its own from the counters.
void AddWindowRates(const std::vector<WindowUse>& windows, FamilyList* list) {
  constexpr const char* kOver[] = {"1s", "10s", "60s"};
  const auto add = [&](const char* name, const char* help, double(WindowUse::* rates)[3]) {
    list->Gauge(name, help);
    for (const WindowUse& window : windows) {
      if (window.capacity == ByteCount(0)) continue;
      for (size_t i = 0; i < std::size(kOver); ++i) {
        list->Add({{"share", window.share_tag}, {"over", kOver[i]}}, (window.*rates)[i]);
      }
    }
  };
  add("window_maps_per_second", "SETUPMAPPING requests that succeeded, by the second, over the last time.",
      &WindowUse::maps_per_second);
  add("window_unmaps_per_second", "Ranges that REMOVEMAPPING took away, by the second, over the last time.",
      &WindowUse::unmaps_per_second);
}

void AddWindows(const std::vector<WindowUse>& windows, FamilyList* list) {
  for (const WindowRow& row : kWindowRows) {
    row.type == kCounter ? list->Counter(row.name, row.help) : list->Gauge(row.name, row.help);
    for (const WindowUse& window : windows) {
      if (window.capacity != ByteCount(0)) list->Add({{"share", window.share_tag}}, row.value(window));
    }
  }
  AddWindowRates(windows, list);
}

void AddProcess(const MetricsSample& sample, FamilyList* list) {
  const ProcessFacts& process = sample.process;
  list->StandardCounter("process_cpu_seconds_total",
                        "Time on processors, of user and system, the virtual CPUs' included.");
  list->Add({}, process.cpu_seconds);
  list->StandardGauge("process_start_time_seconds", "When the process was started, since the epoch.");
  list->Add({}, process.start_time);
  list->StandardGauge("process_resident_memory_bytes",
                      "Resident memory, with what the guest has touched of its own and of its windows.");
  list->Add({}, process.resident_bytes);
  list->StandardGauge("process_virtual_memory_bytes", "Virtual memory.");
  list->Add({}, process.virtual_bytes);
  list->StandardGauge("process_threads", "Threads.");
  list->Add({}, process.threads);
  list->StandardGauge("process_open_fds", "Open descriptors; not counted at each scrape.");
  list->Add({}, sample.open_fds);
  list->StandardGauge("process_max_fds", "The most descriptors that the process may have open.");
  if (process.max_fds.has_value()) list->Add({}, *process.max_fds);
}

}  // namespace

std::vector<prometheus::MetricFamily> MakeFamilies(const MetricsSample& sample) {
  FamilyList list;
  AddMachine(sample, &list);
  AddRequests(sample.machine, &list);
  AddShares(sample, &list);
  AddPolicy(sample, &list);
  AddWindows(sample.windows, &list);
  AddProcess(sample, &list);
  return list.Take();
}

std::string Exposition(const std::vector<prometheus::MetricFamily>& families) {
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace daxvmm::control
