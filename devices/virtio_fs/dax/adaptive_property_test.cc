// What holds of the adaptive policy whatever the guest does: random and senseless calls, and what must be true after
// each of them.
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "devices/virtio_fs/dax/adaptive.h"
#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  uint64_t Below(uint64_t n) {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % n;
  }

 private:
  uint64_t state_;
};

struct Change {
  AdaptiveTime at;
  FileIdentity file;
  bool dax;
};

// A hostile guest: files come and go, counts jump.
class Storm {
 public:
  Storm(uint64_t seed, const AdaptiveTuning& tuning, uint64_t files)
      : random_(seed), tuning_(tuning), policy_(32, tuning), files_(files) {}

  void Step() {
    now_ += AdaptiveTime(random_.Below(400));
    for (uint64_t i = random_.Below(20); i > 0; --i) ComeOrGo(random_.Below(files_));
    std::vector<FileSample> active;
    for (auto& [id, sample] : live_) {
      if (random_.Below(3) == 0) continue;
      Use(&sample);
      active.push_back(sample);
    }
    window_.used_chunks = random_.Below(33);
    window_.maps += random_.Below(200);
    window_.reused_soon += random_.Below(50);
    for (const VerdictChange& change : policy_.Tick(now_, window_, active)) {
      EXPECT_NE(change.verdict.dax, latched_[change.file]) << "a change that is none";
      Note(change.file, change.verdict.dax);
    }
    absl::StrAppend(&log_, now_.count(), ":", policy_.bespoken_chunks(), ";");
  }

  const std::vector<Change>& changes() const { return changes_; }
  const AdaptivePolicy& policy() const { return policy_; }
  const std::string& log() const { return log_; }
  AdaptiveTime now() const { return now_; }

 private:
  void Note(FileIdentity file, bool dax) {
    latched_[file] = dax;
    changes_.push_back({now_, file, dax});
    absl::StrAppend(&log_, file.raw(), dax ? "+" : "-", policy_.Explain(file), ";");
  }
  void ComeOrGo(uint64_t n) {
    const FileIdentity file(n);
    const auto it = live_.find(file);
    if (it != live_.end()) {
      policy_.Forgotten(now_, it->second);
      live_.erase(it);
      return;
    }
    const ByteCount size(random_.Below(2) == 0 ? random_.Below(1 << 16) : random_.Below(uint64_t{64} << 20));
    const bool huge = random_.Below(4) == 0;
    const Verdict verdict = policy_.Instantiated(now_, {.file = file, .size = size, .huge_pages = huge});
    // A file that comes back may have changed while it was away: that is a change like any other.
    const auto before = latched_.find(file);
    if (before != latched_.end() && before->second != verdict.dax) {
      Note(file, verdict.dax);
    } else {
      latched_[file] = verdict.dax;
    }
    live_[file] = {.file = file, .size = size, .huge_pages = huge, .dax = verdict.dax};
  }
  void Use(FileSample* sample) {
    sample->dax = latched_[sample->file];
    if (random_.Below(10) == 0) sample->size = ByteCount(random_.Below(uint64_t{64} << 20));
    if (random_.Below(50) == 0) sample->setups = sample->reads = 0;  // counts that run backwards
    sample->setups += random_.Below(40);
    sample->sequential_setups += random_.Below(40);
    sample->mapped_chunks = static_cast<uint32_t>(random_.Below(33));
    sample->reads += random_.Below(500);
    sample->read_bytes += random_.Below(uint64_t{8} << 20);
    sample->writes += random_.Below(20);
    sample->write_bytes += random_.Below(1 << 20);
  }

  Random random_;
  const AdaptiveTuning tuning_;
  AdaptivePolicy policy_;
  const uint64_t files_;
  AdaptiveTime now_{0};
  WindowSample window_{.capacity_chunks = 32};
  std::map<FileIdentity, FileSample> live_;
  std::map<FileIdentity, bool> latched_;
  std::vector<Change> changes_;
  std::string log_;
};

class AdaptivePropertyTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(AdaptivePropertyTest, NoMoreChangesInAnySecondThanTheBound) {
  AdaptiveTuning tuning;
  tuning.max_changes_per_second = 3;
  tuning.dwell = AdaptiveTime(1);
  tuning.max_dwell = AdaptiveTime(1);
  Storm storm(GetParam(), tuning, 300);
  for (int i = 0; i < 400; ++i) storm.Step();
  std::deque<AdaptiveTime> second;
  for (const Change& change : storm.changes()) {
    while (!second.empty() && second.front() + std::chrono::seconds(1) <= change.at) second.pop_front();
    second.push_back(change.at);
    ASSERT_LE(second.size(), 3u) << "in the second up to " << change.at.count() << " ms";
  }
  EXPECT_GT(storm.changes().size(), 50u) << "the storm is too mild to show anything";
}

TEST_P(AdaptivePropertyTest, NoFileChangesWithinItsDwellTime) {
  AdaptiveTuning tuning;
  tuning.dwell = std::chrono::seconds(4);
  tuning.max_dwell = std::chrono::seconds(16);
  Storm storm(GetParam(), tuning, 60);
  for (int i = 0; i < 600; ++i) storm.Step();
  std::map<FileIdentity, std::vector<AdaptiveTime>> of_file;
  size_t again = 0;
  for (const Change& change : storm.changes()) {
    std::vector<AdaptiveTime>& times = of_file[change.file];
    if (!times.empty()) {
      ++again;
      const AdaptiveTime least =
          std::min(tuning.dwell * (1 << std::min<size_t>(times.size() - 1, 4)), tuning.max_dwell);
      ASSERT_GE(change.at - times.back(), least) << "file " << change.file.raw() << ", change " << times.size() + 1;
    }
    times.push_back(change.at);
  }
  EXPECT_GT(again, 20u) << "the storm is too mild to show anything";
}

TEST_P(AdaptivePropertyTest, MemoryIsBounded) {
  AdaptiveTuning tuning;
  tuning.max_live_files = 50;
  tuning.max_forgotten_files = 30;
  Storm storm(GetParam(), tuning, 5000);
  for (int i = 0; i < 400; ++i) {
    storm.Step();
    ASSERT_LE(storm.policy().live_files(), 50u);
    ASSERT_LE(storm.policy().forgotten_files(), 30u);
    // Chunks of no more files than are remembered, each at most its size or the window.
    ASSERT_LE(storm.policy().bespoken_chunks(), 50u * 33u);
  }
  EXPECT_EQ(storm.policy().forgotten_files(), 30u);
}

TEST_P(AdaptivePropertyTest, NothingIsRememberedWhereNothingMayBe) {
  AdaptiveTuning tuning;
  tuning.max_live_files = 0;
  tuning.max_forgotten_files = 0;
  Storm storm(GetParam(), tuning, 100);
  for (int i = 0; i < 100; ++i) storm.Step();
  EXPECT_EQ(storm.policy().live_files() + storm.policy().forgotten_files(), 0u);
  EXPECT_EQ(storm.policy().bespoken_chunks(), 0u);
}

TEST_P(AdaptivePropertyTest, TheSameCallsGiveTheSameVerdicts) {
  Storm first(GetParam(), {}, 300);
  Storm second(GetParam(), {}, 300);
  for (int i = 0; i < 200; ++i) {
    first.Step();
    second.Step();
  }
  EXPECT_EQ(first.log(), second.log());
  EXPECT_FALSE(first.changes().empty());
}

INSTANTIATE_TEST_SUITE_P(Seeds, AdaptivePropertyTest, ::testing::Range<uint64_t>(1, 9));

}  // namespace
}  // namespace daxvmm::dax
