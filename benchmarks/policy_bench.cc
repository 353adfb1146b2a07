// What a decision costs on the path of every reply that carries attributes.
#include <benchmark/benchmark.h>

#include <string>
#include <utility>

#include "devices/virtio_fs/dax/policy.h"
#include "devices/virtio_fs/dax/policy_store.h"

namespace daxvmm::dax {
namespace {

// Rules that all have to be looked at and of which only the last one matches.
Policy LastOfManyMatches(int64_t rules) {
  Policy policy;
  for (int64_t i = 0; i < rules; ++i) {
    Rule rule;
    rule.name = "rule" + std::to_string(i);
    rule.outcome = Outcome::kDax;
    if (i + 1 < rules) {
      rule.share_tag = "another share";
      rule.size_at_least = KiB(4);
    }
    policy.rules.push_back(std::move(rule));
  }
  return policy;
}

void BM_Decide(benchmark::State& state) {
  const Policy policy = LastOfManyMatches(state.range(0));
  const auto flag = [] { return false; };
  Facts facts{.share_tag = "share", .regular_file = true, .size = KiB(64), .persistent_dax_flag = flag};
  for (auto _ : state) {
    benchmark::DoNotOptimize(facts);
    benchmark::DoNotOptimize(Decide(policy, facts));
  }
}
BENCHMARK(BM_Decide)->Arg(1)->Arg(32)->Arg(1000);

// The snapshot that each decision begins with.
void BM_PolicyStoreGet(benchmark::State& state) {
  static PolicyStore* const store = new PolicyStore(DefaultPolicy());
  for (auto _ : state) benchmark::DoNotOptimize(store->Get());
}
BENCHMARK(BM_PolicyStoreGet)->Threads(1)->Threads(2);

}  // namespace
}  // namespace daxvmm::dax

BENCHMARK_MAIN();
