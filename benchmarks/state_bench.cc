// What a change of the policy costs when it is kept: SetPolicy with a state directory on the file system of DIRECTORY,
// against the same without one.
//
//   state_bench DIRECTORY [CHANGES]
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "control/saved_policy_codec.h"
#include "devices/virtio_fs/dax/policy_store.h"
#include "vmm/policy_keeper.h"

namespace daxvmm {
namespace {

using Clock = std::chrono::steady_clock;

dax::Policy PolicyOf(int rules, int change) {
  dax::Policy policy;
  for (int i = 0; i < rules; ++i) {
    policy.rules.push_back({.name = absl::StrCat("rule-", i), .size_at_least = ByteCount(change + 1)});
  }
  return policy;
}

int Measure(const std::string& state_dir, int rules, int overrides, int changes) {
  vmm::MachineConfig config;
  config.state_dir = state_dir;
  config.state_codec = control::LinkedStateCodec();
  auto keeper = vmm::PolicyKeeper::Open(config);
  if (!keeper.ok()) {
    fprintf(stderr, "%s\n", keeper.status().ToString().c_str());
    return 1;
  }
  dax::PolicyStart start;
  start.policy = PolicyOf(rules, 0);
  for (int i = 0; i < overrides; ++i) {
    start.overrides.push_back({.share_tag = "data", .file = absl::StrCat("usr/lib/some/file-", i)});
  }
  dax::PolicyStore store(std::move(start));
  if (absl::Status status = store.StartRecording(keeper->get()); !status.ok()) {
    fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }
  std::vector<double> microseconds;
  for (int i = 0; i < changes; ++i) {
    dax::Policy policy = PolicyOf(rules, i);
    const auto before = Clock::now();
    if (!store.Set(std::move(policy)).ok()) return 1;
    microseconds.push_back(std::chrono::duration<double, std::micro>(Clock::now() - before).count());
  }
  std::sort(microseconds.begin(), microseconds.end());
  printf("%-6s %5d rules %6d overrides: median %9.0f us, p99 %9.0f us\n", state_dir.empty() ? "memory" : "disk", rules,
         overrides, microseconds[changes / 2], microseconds[changes * 99 / 100]);
  return 0;
}

int Main(int argc, char** argv) {
  int changes = 200;
  if (argc < 2 || (argc > 2 && (!absl::SimpleAtoi(argv[2], &changes) || changes < 1))) {
    fprintf(stderr, "usage: state_bench DIRECTORY [CHANGES]\n");
    return 2;
  }
  std::string scratch = absl::StrCat(argv[1], "/state-bench-XXXXXX");
  if (mkdtemp(scratch.data()) == nullptr) {
    perror(argv[1]);
    return 1;
  }
  int failed = 0;
  for (const auto& [rules, overrides] : {std::pair(1, 0), std::pair(100, 0), std::pair(1000, 0), std::pair(1, 10000)}) {
    failed |= Measure("", rules, overrides, changes);
    failed |= Measure(absl::StrCat(scratch, "/", rules, "-", overrides), rules, overrides, changes);
  }
  std::filesystem::remove_all(scratch);
  return failed;
}

}  // namespace
}  // namespace daxvmm

int main(int argc, char** argv) { return daxvmm::Main(argc, argv); }
