// What a decision costs on the path of every reply that carries attributes, and what it costs to find a file's class,
// which is done once per file and policy.
//
//   bazel run -c opt //benchmarks:policy_bench -- --benchmark_repetitions=9 --benchmark_report_aggregates_only=true
#include <benchmark/benchmark.h>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "devices/virtio_fs/dax/compiled_policy.h"
#include "devices/virtio_fs/dax/policy.h"
#include "devices/virtio_fs/dax/policy_store.h"

namespace daxvmm::dax {
namespace {

enum Mixture {
  kSizes,
  kPaths,
  kEverything,
  kHints,  // all but the hint hold, which every rule asks for
};

// Rules of which only the last holds for most files, so that none can be found early. All bounds differ.
Policy ManyRules(size_t rules, Mixture mixture) {
  Policy policy;
  for (size_t i = 0; i < rules; ++i) {
    Rule rule;
    rule.name = "rule" + std::to_string(i);
    rule.outcome = Outcome::kDax;
    policy.rules.push_back(std::move(rule));
    if (i + 1 == rules) break;
    Rule& at = policy.rules.back();
    const auto n = static_cast<uint32_t>(i);
    if (mixture == kHints) {
      at.size_below = GiB(4) + KiB(n);
      at.owner_uid = at.owner_gid = IdRange{0, 4000 + n};
      at.huge_pages = false;
      at.dax_hint = true;
      continue;
    }
    if (mixture != kPaths) {
      at.size_at_least = GiB(1) + KiB(n);
      at.size_below = GiB(2) + KiB(n);
    }
    if (mixture != kSizes) at.paths = {"dir" + std::to_string(i) + "/**/*.so"};
    if (mixture == kEverything) {
      if (i % 5 == 0) at.share_tag = "tag" + std::to_string(i % 50);
      if (i % 3 == 0) at.subtrees = {"dir" + std::to_string(i)};
      if (i % 4 == 0) at.extensions = {"so"};
      at.owner_uid = IdRange{n, 2000 + n};
      at.owner_gid = IdRange{n, 3000 + n};
      if (i % 2 == 0) at.executable = true;
      if (i % 7 == 0) at.huge_pages = false;
      if (i % 11 == 0) at.dax_hint = true;
    }
  }
  return policy;
}

std::shared_ptr<const CompiledPolicy> Compiled(const benchmark::State& state) {
  return CompiledPolicy::Compile(ManyRules(static_cast<size_t>(state.range(0)), static_cast<Mixture>(state.range(1))))
      .value();
}

std::optional<std::string> SomePath() { return "usr/lib/x86_64-linux-gnu/gconv/ISO8859-16.so"; }

// Files that differ in every fact, so that no branch of a decision can be learnt by heart.
void BM_Decide(benchmark::State& state) {
  struct File {
    mode_t mode;
    ByteCount size;
    uint32_t uid;
    uint32_t gid;
  };
  std::vector<File> files(4096);
  std::mt19937_64 random(1);
  for (File& file : files) {
    file = {static_cast<mode_t>(random() % 2 == 0 ? 0644 : 0755), ByteCount(random() % (uint64_t{1} << 32)),
            static_cast<uint32_t>(random() % 4000), static_cast<uint32_t>(random() % 4000)};
  }
  const auto policy = Compiled(state);
  const RuleClass rule_class = policy->Classify({.share_tag = "share", .path = SomePath});
  size_t next = 0;
  for (auto _ : state) {
    const File& file = files[next++ % files.size()];
    benchmark::DoNotOptimize(policy->Decide(
        rule_class, {.regular_file = true, .mode = file.mode, .size = file.size, .uid = file.uid, .gid = file.gid}));
  }
}

void BM_Classify(benchmark::State& state) {
  const auto policy = Compiled(state);
  for (auto _ : state) {
    benchmark::DoNotOptimize(policy->Classify({.share_tag = "share", .path = SomePath}));
  }
}

void BM_Compile(benchmark::State& state) {
  const Policy policy = ManyRules(static_cast<size_t>(state.range(0)), static_cast<Mixture>(state.range(1)));
  for (auto _ : state) benchmark::DoNotOptimize(CompiledPolicy::Compile(policy));
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"rules", "mixture"});
  for (const int64_t rules : {1, 32, 1000}) {
    for (const Mixture mixture : {kSizes, kPaths, kEverything, kHints}) benchmark->Args({rules, mixture});
  }
}
BENCHMARK(BM_Decide)->Apply(Sizes);
BENCHMARK(BM_Classify)->Apply(Sizes);
BENCHMARK(BM_Compile)->Apply(Sizes)->Unit(benchmark::kMicrosecond);

// The snapshot that each decision begins with.
void BM_PolicyStoreGet(benchmark::State& state) {
  static PolicyStore* const store = new PolicyStore(DefaultPolicy());
  for (auto _ : state) benchmark::DoNotOptimize(store->Get());
}
BENCHMARK(BM_PolicyStoreGet)->Threads(1)->Threads(2);

void BM_PolicyStoreCurrent(benchmark::State& state) {
  static PolicyStore* const store = new PolicyStore(DefaultPolicy());
  for (auto _ : state) benchmark::DoNotOptimize(&store->Current());
}
BENCHMARK(BM_PolicyStoreCurrent)->Threads(1)->Threads(2);

}  // namespace
}  // namespace daxvmm::dax

BENCHMARK_MAIN();
