// The lab's program. scripts/policy-lab builds it and says how it is used.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/size_text.h"
#include "tools/policy_lab/lab.h"
#include "tools/policy_lab/workloads.h"

namespace daxvmm::lab {
namespace {

constexpr int kUsageError = 2;

struct Options {
  GuestConfig guest;
  uint64_t seed = 1;
  uint32_t length_percent = 100;
  std::vector<std::string> policies;
  std::vector<std::string> workloads;
  std::string trace;
  std::string json;
  std::string write_trace;
  std::vector<uint64_t> curves;
  bool explain = false;
};

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "policy-lab: %s\n", why.c_str());
  std::exit(kUsageError);
}

std::string ReadFile(const std::string& path) {
  FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) Die(absl::StrCat("cannot read ", path));
  std::string text;
  char buffer[65536];
  for (size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
  std::fclose(file);
  return text;
}

void WriteFile(const std::string& path, const std::string& text) {
  FILE* file = std::fopen(path.c_str(), "we");
  if (file == nullptr || std::fwrite(text.data(), 1, text.size(), file) != text.size() || std::fclose(file) != 0) {
    Die(absl::StrCat("cannot write ", path));
  }
}

uint64_t SizeOrDie(absl::string_view option, absl::string_view text) {
  const absl::StatusOr<ByteCount> size = ParseSize(text);
  if (!size.ok() || size->raw() > GiB(64).raw()) {
    Die(absl::StrCat(option, ": expected a size of up to 64G, as in 64M"));
  }
  return size->raw();
}

std::vector<std::string> Names(absl::string_view text) {
  std::vector<std::string> names;
  for (const absl::string_view name : absl::StrSplit(text, ',', absl::SkipEmpty())) names.emplace_back(name);
  return names;
}

void Set(absl::string_view name, absl::string_view value, Options* options) {
  if (name == "--window") {
    options->guest.window_bytes = SizeOrDie(name, value);
  } else if (name == "--cache") {
    options->guest.cache_bytes = SizeOrDie(name, value);
  } else if (name == "--backing") {
    bool known = false;
    for (const Backing backing : {Backing::kTmpfs, Backing::kExt4, Backing::kHuge}) {
      if (BackingName(backing) != value) continue;
      options->guest.backing = backing;
      known = true;
    }
    if (!known) Die("--backing: must be tmpfs, ext4 or huge");
  } else if (name == "--seed") {
    if (!absl::SimpleAtoi(value, &options->seed)) Die("--seed: expected a number");
  } else if (name == "--length") {
    if (!absl::SimpleAtoi(value, &options->length_percent) || options->length_percent == 0 ||
        options->length_percent > 1000) {
      Die("--length: expected percent, 1 to 1000");
    }
  } else if (name == "--policies") {
    options->policies = Names(value);
    for (const std::string& policy : options->policies) {
      if (MakePolicy(policy, 1) == nullptr) Die(absl::StrCat("--policies: unknown policy ", policy));
    }
  } else if (name == "--workloads") {
    options->workloads = Names(value);
  } else if (name == "--trace") {
    options->trace = std::string(value);
  } else if (name == "--write-trace") {
    options->write_trace = std::string(value);
  } else if (name == "--json") {
    options->json = std::string(value);
  } else if (name == "--curves") {
    for (const std::string& window : Names(value)) options->curves.push_back(SizeOrDie(name, window));
  } else {
    Die(absl::StrCat("unknown option ", name, " (--help lists them)"));
  }
}

std::vector<Trace> Traces(const Options& options) {
  std::vector<Trace> traces;
  if (!options.trace.empty()) {
    const std::string name = options.trace.substr(options.trace.rfind('/') + 1);
    absl::StatusOr<Trace> trace = ParseTrace(name, ReadFile(options.trace));
    if (!trace.ok()) Die(absl::StrCat(options.trace, ": ", trace.status().message()));
    traces.push_back(*std::move(trace));
  }
  for (const std::string& name : options.workloads) {
    std::optional<Trace> trace = MakeWorkload(
        name,
        {.seed = options.seed, .window_bytes = options.guest.window_bytes, .length_percent = options.length_percent});
    if (!trace) Die(absl::StrCat("--workloads: unknown workload ", name));
    traces.push_back(*std::move(trace));
  }
  return traces;
}

int Main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const absl::string_view argument = argv[i];
    if (argument == "--explain") {
      options.explain = true;
      continue;
    }
    const size_t equals = argument.find('=');
    if (equals != absl::string_view::npos) {
      Set(argument.substr(0, equals), argument.substr(equals + 1), &options);
    } else if (i + 1 < argc) {
      Set(argument, argv[++i], &options);
    } else {
      Die(absl::StrCat(argument, " needs a value (--help lists the options)"));
    }
  }
  if (options.policies.empty()) {
    for (const absl::string_view policy : kPolicyNames) options.policies.emplace_back(policy);
  }
  if (options.workloads.empty() && options.trace.empty() && options.curves.empty()) {
    for (const WorkloadName& workload : kWorkloads) options.workloads.emplace_back(workload.name);
  }

  VerdictLog log;
  if (options.explain) {
    log = [](Nanos now, FileId file, const std::string& why) {
      std::printf("%9.3f s  file %u  %s\n", static_cast<double>(now) / 1e9, file, why.c_str());
    };
  }
  std::vector<LabResult> results;
  for (const Trace& trace : Traces(options)) {
    if (!options.write_trace.empty()) WriteFile(options.write_trace, FormatTrace(trace));
    for (LabResult& result : RunAll(trace, options.policies, options.guest, log)) results.push_back(std::move(result));
  }
  if (!results.empty()) {
    std::printf("window %s, guest cache %s, host pages %s, seed %llu\n\n%s\n%s",
                FormatSize(ByteCount(options.guest.window_bytes)).c_str(),
                FormatSize(ByteCount(options.guest.cache_bytes)).c_str(),
                std::string(BackingName(options.guest.backing)).c_str(), static_cast<unsigned long long>(options.seed),
                FormatTable(results).c_str(), FormatGoals(results).c_str());
  }
  std::vector<CurvePoint> curves;
  for (const uint64_t window : options.curves) {
    for (CurvePoint& point : RunCurve(window, options.policies, options.guest, options.seed, options.length_percent)) {
      std::printf("window %s, working set %s, %-8s %9.0f reads/s\n", FormatSize(ByteCount(window)).c_str(),
                  FormatSize(ByteCount(point.working_set_bytes)).c_str(), point.policy.c_str(), point.reads_per_second);
      curves.push_back(std::move(point));
    }
  }
  if (!options.json.empty()) WriteFile(options.json, FormatJson(options.guest, options.seed, results, curves));
  return 0;
}

}  // namespace
}  // namespace daxvmm::lab

int main(int argc, char** argv) { return daxvmm::lab::Main(argc, argv); }
