// A process that changes its policy a thousand times, killed at any instant: what it leaves is the policy that it had
// acknowledged last, or the one that was on its way.
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "control/saved_policy_codec.h"
#include "control/state_directory.h"
#include "devices/virtio_fs/dax/policy_store.h"
#include "gtest/gtest.h"
#include "vmm/policy_keeper.h"

namespace daxvmm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kChanges = 1000;
constexpr std::chrono::milliseconds kRounds{2500};
constexpr std::chrono::seconds kPatience{60};

// Of the writer, seen by whoever kills it.
struct Progress {
  std::atomic<uint64_t> wanted{0};        // the change that was begun last
  std::atomic<uint64_t> acknowledged{0};  // and the one that was done last
};

// What says which change it was of, and is large enough for several pages.
dax::Policy PolicyOf(uint64_t change) {
  dax::Policy policy;
  for (int i = 0; i < 20; ++i) {
    policy.rules.push_back({.name = absl::StrCat("rule-", i), .size_at_least = ByteCount(change * 4096 + 1)});
  }
  return policy;
}

uint64_t ChangeOf(const dax::Policy& policy) { return policy.rules.at(0).size_at_least->raw() / 4096; }

vmm::MachineConfig Config(const std::string& state_dir) {
  vmm::MachineConfig config;
  config.state_dir = state_dir;
  config.state_codec = control::LinkedStateCodec();
  config.policy = PolicyOf(0);
  return config;
}

[[noreturn]] void Change(const std::string& state_dir, Progress* progress) {
  const vmm::MachineConfig config = Config(state_dir);
  auto keeper = vmm::PolicyKeeper::Open(config);
  if (!keeper.ok()) _exit(10);
  dax::PolicyStore store((*keeper)->Start(config));
  if (!store.StartRecording(keeper->get()).ok()) _exit(11);
  for (uint64_t i = 0; i < kChanges; ++i) {
    const uint64_t next = progress->acknowledged + 1;
    progress->wanted = next;
    if (!store.Set(PolicyOf(next)).ok()) _exit(12);
    progress->acknowledged = next;
  }
  _exit(0);
}

// On a disk, where a change waits for it, and in memory, where there is time for many more kills.
class KillTest : public testing::TestWithParam<const char*> {};

TEST_P(KillTest, OneOfTheTwoPoliciesIsLeft) {
  const std::string folder = *GetParam() != '\0' ? GetParam() : testing::TempDir();
  std::string outer = folder + "/killXXXXXX";
  if (mkdtemp(outer.data()) == nullptr) GTEST_SKIP() << "nothing can be made in " << folder;
  const std::string state_dir = outer + "/state";
  void* const shared = mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto* const progress = new (shared) Progress;
  const uint32_t seed = std::random_device{}();
  std::mt19937 random(seed);
  SCOPED_TRACE(absl::StrCat("seed ", seed));

  uint64_t generation = 0;
  int rounds = 0;
  int in_flight = 0;
  for (const auto end = Clock::now() + kRounds; Clock::now() < end; ++rounds) {
    const uint64_t before = progress->acknowledged;
    const pid_t writer = fork();
    ASSERT_GE(writer, 0);
    if (writer == 0) Change(state_dir, progress);
    // Some changes, and then any instant within one.
    const uint64_t target = before + random() % 20;
    const auto deadline = Clock::now() + kPatience;
    while (progress->acknowledged < target && Clock::now() < deadline) sched_yield();
    ASSERT_GE(progress->acknowledged, target) << "the writer did not get so far";
    const auto instant = Clock::now() + std::chrono::microseconds(random() % 3000);
    while (Clock::now() < instant) sched_yield();
    kill(writer, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(writer, &status, 0), writer);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself, with " << WEXITSTATUS(status);

    auto directory = control::StateDirectory::Open(state_dir);
    ASSERT_TRUE(directory.ok()) << directory.status();
    const auto body = (*directory)->Read();
    ASSERT_TRUE(body.ok()) << body.status();
    if (!body->has_value()) {
      ASSERT_EQ(progress->acknowledged, 0u) << "an acknowledged policy is gone";
      continue;
    }
    const auto state = control::DecodeSavedPolicy(**body);
    ASSERT_TRUE(state.ok()) << state.status();
    const uint64_t found = ChangeOf(state->policy);
    ASSERT_EQ(state->policy, PolicyOf(found));
    ASSERT_TRUE(found == progress->acknowledged || found == progress->wanted)
        << found << " is left, " << progress->acknowledged << " was acknowledged, " << progress->wanted << " begun";
    ASSERT_GE(state->generation, generation) << "numbers go on";
    generation = state->generation;
    if (found != progress->acknowledged) ++in_flight;
    progress->acknowledged = progress->wanted = found;
  }
  munmap(shared, sizeof(Progress));
  std::filesystem::remove_all(outer);
  EXPECT_GT(rounds, 1) << "too few to say anything";
  printf("%d rounds, %d of which left the change on its way; generation %d\n", rounds, in_flight,
         static_cast<int>(generation));
}

INSTANTIATE_TEST_SUITE_P(Places, KillTest, testing::Values("", "/dev/shm"));

}  // namespace
}  // namespace daxvmm
