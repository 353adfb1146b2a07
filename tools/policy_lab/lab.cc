#include "tools/policy_lab/lab.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/policy_lab/workloads.h"

namespace daxvmm::lab {
namespace {

constexpr double kMiB = 1 << 20;

double Seconds(Nanos ns) { return static_cast<double>(ns) / 1e9; }

// The time of the other by this one's.
double Speed(const Metrics& other, const Metrics& it) {
  return static_cast<double>(other.io_ns) / static_cast<double>(std::max<Nanos>(it.io_ns, 1));
}

const LabResult* Find(const std::vector<LabResult>& results, const std::string& trace, absl::string_view policy) {
  for (const LabResult& result : results) {
    if (result.trace == trace && absl::string_view(result.policy) == policy) return &result;
  }
  return nullptr;
}

std::string Fields(const Metrics& m) {
  return absl::StrFormat(
      "\"io_seconds\": %.6f, \"elapsed_seconds\": %.6f, \"waits\": %d, \"wait_seconds\": %.6f, \"setup_mappings\": %d, "
      "\"ranges_removed\": %d, \"remove_requests\": %d, \"fuse_reads\": %d, \"fuse_writes\": %d, \"copied_bytes\": %d, "
      "\"descriptor_bytes_peak\": %d, \"descriptor_bytes_mean\": %.0f, \"cache_bytes_peak\": %d, "
      "\"cache_bytes_mean\": %.0f, \"verdict_changes\": %d, \"dropped_inodes\": %d",
      Seconds(m.io_ns), Seconds(m.elapsed_ns), m.waits, Seconds(m.wait_ns), m.setups, m.removes, m.remove_requests,
      m.fuse_reads, m.fuse_writes, m.copied_bytes, m.peak_chunks * kDescriptorBytesPerChunk,
      m.mean_chunks * static_cast<double>(kDescriptorBytesPerChunk), m.peak_cache_bytes, m.mean_cache_bytes,
      m.verdict_changes, m.dropped_inodes);
}

}  // namespace

absl::string_view BackingName(Backing backing) {
  switch (backing) {
    case Backing::kTmpfs:
      return "tmpfs";
    case Backing::kExt4:
      return "ext4";
    case Backing::kHuge:
      return "huge";
  }
  return "";
}

std::vector<LabResult> RunAll(const Trace& trace, const std::vector<std::string>& policies, const GuestConfig& config,
                              const VerdictLog& log) {
  std::vector<LabResult> results;
  for (const std::string& name : policies) {
    const std::unique_ptr<LabPolicy> policy = MakePolicy(name, config.window_bytes / kChunk, {}, log);
    if (policy == nullptr) continue;
    results.push_back({trace.name, name, Guest(config, policy.get()).Run(trace)});
  }
  return results;
}

std::string FormatTable(const std::vector<LabResult>& results) {
  std::string text =
      absl::StrFormat("%-10s %-9s %8s %6s %8s %8s %9s %9s %9s %9s %9s %8s %7s\n", "trace", "policy", "seconds", "speed",
                      "waits", "waited", "setups", "removed", "copied", "descr.", "descr.", "cache", "changes");
  absl::StrAppend(&text, absl::StrFormat("%-10s %-9s %8s %6s %8s %8s %9s %9s %9s %9s %9s %8s %7s\n", "", "", "", "", "",
                                         "s", "", "ranges", "MiB", "peak KiB", "mean KiB", "MiB mean", ""));
  for (const LabResult& result : results) {
    const Metrics& m = result.metrics;
    const LabResult* never = Find(results, result.trace, "never");
    const std::string speed = never == nullptr ? "-" : absl::StrFormat("%.2f", Speed(never->metrics, m));
    absl::StrAppend(
        &text,
        absl::StrFormat("%-10s %-9s %8.3f %6s %8d %8.3f %9d %9d %9.0f %9d %9.0f %8.1f %7d\n", result.trace,
                        result.policy, Seconds(m.io_ns), speed, m.waits, Seconds(m.wait_ns), m.setups, m.removes,
                        static_cast<double>(m.copied_bytes) / kMiB, m.peak_chunks * kDescriptorBytesPerChunk / 1024,
                        m.mean_chunks * static_cast<double>(kDescriptorBytesPerChunk) / 1024, m.mean_cache_bytes / kMiB,
                        m.verdict_changes));
  }
  return text;
}

std::string FormatGoals(const std::vector<LabResult>& results) {
  std::string text;
  for (const LabResult& result : results) {
    if (result.policy != "adaptive") continue;
    const LabResult* best = nullptr;
    for (const LabResult& other : results) {
      if (other.trace != result.trace || other.policy == "adaptive") continue;
      if (best == nullptr || other.metrics.io_ns < best->metrics.io_ns) best = &other;
    }
    const LabResult* never = Find(results, result.trace, "never");
    if (best == nullptr || never == nullptr) continue;
    const double of_best = Speed(best->metrics, result.metrics);
    const double of_never = Speed(never->metrics, result.metrics);
    const double wanted = result.trace == "mixed" ? 1.0 : 0.9;
    const bool holds = of_best >= wanted && of_never >= 0.9;
    absl::StrAppend(
        &text, absl::StrFormat("%-10s adaptive is %.2f of the best fixed policy (%s), %.2f of no DAX%s\n", result.trace,
                               of_best, best->policy, of_never, holds ? "" : "   <-- MISSES ITS GOAL"));
  }
  return text;
}

std::vector<CurvePoint> RunCurve(uint64_t window_bytes, const std::vector<std::string>& policies, GuestConfig config,
                                 uint64_t seed, uint32_t length_percent) {
  std::vector<CurvePoint> points;
  config.window_bytes = window_bytes;
  // In quarters of the window.
  for (const uint64_t quarters : {1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32}) {
    const uint64_t working_set = window_bytes / 4 * quarters;
    const Trace trace = MakeWorkingSet(working_set, {.seed = seed, .length_percent = length_percent});
    uint64_t reads = 0;
    for (const Op& op : trace.ops) reads += op.kind == OpKind::kRead ? 1 : 0;
    for (const LabResult& result : RunAll(trace, policies, config)) {
      points.push_back({.window_bytes = window_bytes,
                        .working_set_bytes = working_set,
                        .policy = result.policy,
                        .reads_per_second = static_cast<double>(reads) / Seconds(result.metrics.io_ns),
                        .metrics = result.metrics});
    }
  }
  return points;
}

std::string FormatJson(const GuestConfig& config, uint64_t seed, const std::vector<LabResult>& results,
                       const std::vector<CurvePoint>& curves) {
  std::string text = absl::StrFormat(
      "{\n  \"configuration\": {\"window_bytes\": %d, \"cache_bytes\": %d, \"backing\": \"%s\", \"seed\": %d},\n"
      "  \"results\": [\n",
      config.window_bytes, config.cache_bytes, BackingName(config.backing), seed);
  for (size_t i = 0; i < results.size(); ++i) {
    // Names of traces come from a file's name: no quotes or control characters.
    std::string name = results[i].trace;
    for (char& c : name) {
      if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') c = '_';
    }
    absl::StrAppend(&text, "    {\"trace\": \"", name, "\", \"policy\": \"", results[i].policy, "\", ",
                    Fields(results[i].metrics), "}", i + 1 < results.size() ? ",\n" : "\n");
  }
  absl::StrAppend(&text, "  ],\n  \"curves\": [\n");
  for (size_t i = 0; i < curves.size(); ++i) {
    absl::StrAppend(&text,
                    absl::StrFormat("    {\"window_bytes\": %d, \"working_set_bytes\": %d, \"policy\": \"%s\", "
                                    "\"reads_per_second\": %.0f, ",
                                    curves[i].window_bytes, curves[i].working_set_bytes, curves[i].policy,
                                    curves[i].reads_per_second),
                    Fields(curves[i].metrics), "}", i + 1 < curves.size() ? ",\n" : "\n");
  }
  absl::StrAppend(&text, "  ]\n}\n");
  return text;
}

}  // namespace daxvmm::lab
