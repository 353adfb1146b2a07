// What the machine counts, as the control plane sees it.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "devices/virtio_fs/fuse/ops.h"
#include "vmm/machine.h"

namespace daxvmm::vmm {
namespace {

std::string ErrorName(int error) {
  const char* const name = error != 0 ? strerrorname_np(error) : nullptr;
  return name != nullptr ? name : "other";
}

std::string OperationName(uint32_t opcode) {
  const fuse::Op* const op = fuse::FindOp(opcode);
  return op != nullptr ? std::string(op->name) : "unknown";
}

std::vector<control::OperationMetrics> OperationsOf(const fuse::RequestTotals& totals) {
  std::vector<control::OperationMetrics> operations;
  for (uint32_t opcode = 0; opcode < fuse::kCountedOpcodes; ++opcode) {
    const fuse::OperationTotals& from = totals.operations[opcode];
    if (from.requests() == 0) continue;
    control::OperationMetrics to{.operation = OperationName(opcode),
                                 .latency = {from.latency.begin(), from.latency.end()},
                                 .total = absl::Nanoseconds(from.nanoseconds)};
    for (size_t i = 0; i < fuse::kCountedErrors; ++i) {
      if (from.errors[i] != 0) to.errors.push_back({ErrorName(fuse::CountedErrors()[i]), from.errors[i]});
    }
    operations.push_back(std::move(to));
  }
  return operations;
}

control::QueueMetrics QueueOf(const fuse::RequestCounts& counts, unsigned index,
                              std::chrono::steady_clock::time_point now) {
  control::QueueMetrics queue{
      .index = index, .waiting = counts.waiting(), .wakeups = counts.wakeups(), .interrupts = counts.signals()};
  // A request that began since `now` was taken is served for no time yet.
  if (const auto since = counts.serving_since(); since != decltype(since)()) {
    queue.serving_for = absl::FromChrono(std::max(now - since, std::chrono::steady_clock::duration()));
  }
  return queue;
}

std::vector<control::DecisionCount> DecisionsOf(const virtio_fs::VirtioFsDevice& device,
                                                const dax::CompiledPolicy& compiled) {
  std::vector<control::DecisionCount> decisions;
  const std::vector<uint64_t> counts = device.DecisionCounts(compiled);
  for (size_t kind = 0; kind < counts.size(); ++kind) {
    if (counts[kind] == 0) continue;
    const dax::Decision decision = compiled.DecisionOfKind(kind);
    decisions.push_back({std::string(compiled.RuleName(decision)), decision.dax, counts[kind]});
  }
  return decisions;
}

control::ShareMetrics MetricsOf(const virtio_fs::VirtioFsDevice& device, const dax::CompiledPolicy& compiled) {
  const fuse::RequestTotals totals = device.request_totals();
  control::ShareMetrics share{.tag = device.tag(),
                              .operations = OperationsOf(totals),
                              .bytes_read = totals.bytes_read,
                              .bytes_written = totals.bytes_written,
                              .live_inodes = device.node_count(),
                              .open_handles = device.handle_count(),
                              .held_descriptors = device.descriptor_count(),
                              .decisions = DecisionsOf(device, compiled)};
  const auto now = std::chrono::steady_clock::now();
  for (uint16_t i = 0; i < device.queue_count(); ++i) share.queues.push_back(QueueOf(device.queue_counts(i), i, now));
  return share;
}

// By control::EventKind; the first is none.
constexpr std::array<const char*, control::kEventKinds> kEventNames = {
    "",           "started",     "paused",          "resumed",        "shutdown_requested",
    "power_off",  "reset",       "panic",           "fault",          "stopped",
    "host_error", "needs_reset", "window_repaired", "policy_changed", "policy_file_refused"};

control::VcpuMetrics MetricsOf(const VcpuCounts& counts, unsigned index) {
  control::VcpuMetrics vcpu{.index = index,
                            .unreachable_mended = counts.unreachable_mended.value(),
                            .unreachable_retried = counts.unreachable_retried.value()};
  for (size_t i = 0; i < kVcpuExitNames.size(); ++i) {
    vcpu.exits.push_back({kVcpuExitNames[i], counts.exits[i].value()});
  }
  return vcpu;
}

}  // namespace

control::MetricsSnapshot Machine::GetMetrics() const {
  const auto policy = policy_.Get();
  control::MetricsSnapshot snapshot{.policy_generation = policy->generation,
                                    .policy_rules = policy->compiled->policy().rules.size(),
                                    .policy_overrides = policy->compiled->overrides().size(),
                                    .policy_since = policy->since};
  for (const uint64_t bound : fuse::kLatencyBounds) snapshot.latency_bounds.push_back(static_cast<double>(bound) / 1e9);
  for (const Share& share : shares_) snapshot.shares.push_back(MetricsOf(*share.device, *policy->compiled));
  for (size_t i = 0; i < vcpus_.size(); ++i) {
    snapshot.vcpus.push_back(MetricsOf(vcpus_[i]->counts(), static_cast<unsigned>(i)));
  }
  {
    MutexLock lock(&mu_);
    snapshot.policy_file_wrong = policy_file_error_.has_value();
  }
  const std::array<uint64_t, control::kEventKinds> events = events_.counts();
  for (size_t i = 1; i < events.size(); ++i) snapshot.events.push_back({kEventNames[i], events[i]});
  // Held while they are asked, so that SetCallCounts returns to who counts when nobody asks any more.
  MutexLock lock(&call_counts_mu_);
  if (call_counts_ != nullptr) snapshot.control_calls = call_counts_->CallCounts();
  return snapshot;
}

void Machine::SetCallCounts(const control::ControlCallCounts* counts) {
  MutexLock lock(&call_counts_mu_);
  call_counts_ = counts;
}

}  // namespace daxvmm::vmm
