// No operation leaves the share, whatever its names are turned into while it runs: symbolic links to the outside,
// special files that must never be opened, directories that are moved away.
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/named_thread.h"
#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "devices/virtio_fs/fuse/ops.h"
#include "gtest/gtest.h"
#include "tests/races/arena.h"
#include "tests/races/race_cases.h"
#include "tests/races/racer.h"

namespace daxvmm::races {
namespace {

constexpr int kRacers = 2;
constexpr uint64_t kFewestSwaps = 1000;
// For one request. The host's disk may be busy, so it is long; an open that waits for a FIFO's other end is for ever.
constexpr int64_t kRequestDeadlineMs = 60'000;

std::string NameOf(Family family) {
  constexpr const char* kNames[] = {"Looking", "Listing", "Making", "Moving", "Contents", "Attributes", "Session"};
  return kNames[static_cast<size_t>(family)];
}

// Per family: together more than a minute.
int64_t RaceMs() { return getenv("DAXVMM_LONG") != nullptr ? 90'000 : 12'000; }

// In place of a window: reads, and where that was asked for writes, what a guest would then reach.
class MappingReader : public fuse::MappingHandler {
 public:
  MappingReader(fuse::MappingSource* source, Findings* findings) : source_(*source), findings_(*findings) {}

  fuse::Errno SetupMapping(const fuse::RequestContext& /*ctx*/, NodeId node, const fuse_setupmapping_in& in) override {
    const bool writable = (in.flags & FUSE_SETUPMAPPING_FLAG_WRITE) != 0;
    const fuse::Result<UniqueFd> file = source_.OpenForMapping(node, writable);
    if (!file.ok()) return file.error();
    char bytes[256];
    const ssize_t n = pread((*file).get(), bytes, sizeof(bytes), 0);
    if (n > 0 && absl::string_view(bytes, static_cast<size_t>(n)).find(Canary::kMarker) != absl::string_view::npos) {
      findings_.Escape("a mapping shows the marker");
    }
    if (writable && pwrite((*file).get(), "inside", 6, 0) != 6) return fuse::Errno(EIO);
    return fuse::kOk;
  }
  fuse::Errno RemoveMapping(NodeId, std::span<const fuse_removemapping_one>) override { return fuse::kOk; }

 private:
  fuse::MappingSource& source_;
  Findings& findings_;
};

class EscapeTest : public testing::TestWithParam<Family> {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: it makes device nodes";
    top_ = testing::TempDir() + "/escape.XXXXXX";
    ASSERT_NE(mkdtemp(top_.data()), nullptr);
    arena_ = std::make_unique<Arena>(top_);
    fs::ShareOptions options;
    options.path = arena_->share();
    auto fs = fs::PassthroughFs::Create(options, nullptr);
    ASSERT_TRUE(fs.ok()) << fs.status();
    fs_ = *std::move(fs);
    findings_ = std::make_unique<Findings>(&arena_->canary());
    mappings_ = std::make_unique<MappingReader>(fs_.get(), findings_.get());
    dispatcher_ = std::make_unique<fuse::Dispatcher>(fuse::SessionOptions{.dax_window = true}, fs_.get(),
                                                     mappings_.get(), /*listener=*/nullptr);
    for (int i = 0; i < kRacers; ++i) {
      racers_.push_back(std::make_unique<Racer>(dispatcher_.get(), findings_.get(), static_cast<uint32_t>(i + 1)));
    }
    for (const RaceCase& race_case : RaceCases()) {
      if (race_case.family == GetParam()) cases_.push_back(race_case);
      if (race_case.opcode == FUSE_INIT) init_ = race_case;
    }
  }
  void TearDown() override {
    if (arena_ != nullptr) arena_->Stop();
    if (!top_.empty()) std::filesystem::remove_all(top_);
  }

  // Until `end`, every case of the family in turn.
  void Race(Racer* racer, int64_t end) {
    for (bool first = true; MonotonicMs() < end; first = false) {
      for (const RaceCase& race_case : cases_) {
        if (!first && racer->Random(race_case.one_in) != 0) continue;
        race_case.run(racer);
        racer->Finish();
      }
    }
  }
  // While the race lasts: nothing outside is touched, no special file is opened, no request hangs.
  void Watch(int64_t end) {
    while (MonotonicMs() < end) {
      poll(nullptr, 0, 50);
      Note();
      for (const auto& racer : racers_) {
        const int64_t since = racer->busy_since();
        if (since == 0 || MonotonicMs() - since < kRequestDeadlineMs) continue;
        // The thread cannot be got back, so there is no way to end the test in order.
        fprintf(stderr, "FAILED: opcode %u was not answered within %d ms\n", racer->busy_with(),
                static_cast<int>(kRequestDeadlineMs));
        std::_Exit(1);
      }
    }
  }
  void Note() {
    for (const std::string& events : {arena_->canary().Events(), arena_->SpecialFilesOpened()}) {
      if (!events.empty()) findings_->Escape(events);
    }
  }

  std::string top_;
  std::unique_ptr<Arena> arena_;
  std::unique_ptr<fs::PassthroughFs> fs_;
  std::unique_ptr<Findings> findings_;
  std::unique_ptr<MappingReader> mappings_;
  std::unique_ptr<fuse::Dispatcher> dispatcher_;
  std::vector<std::unique_ptr<Racer>> racers_;
  std::vector<RaceCase> cases_;
  RaceCase init_ = {};
};

TEST_P(EscapeTest, NothingLeavesTheShare) {
  init_.run(racers_[0].get());
  racers_[0]->Finish();
  arena_->Start();
  const int64_t end = MonotonicMs() + RaceMs();
  {
    std::vector<NamedThread> threads;
    for (const auto& racer : racers_) {
      threads.emplace_back("racer", [this, r = racer.get(), end] { Race(r, end); });
    }
    // A racer's last case may run past the end.
    Watch(end + 100);
    for (const auto& racer : racers_) {
      while (racer->busy_since() != 0) Watch(MonotonicMs() + 100);
    }
  }
  arena_->Stop();
  Note();

  EXPECT_EQ(findings_->escapes(), "");
  EXPECT_EQ(arena_->canary().Differences(), "");
  EXPECT_EQ(arena_->MarkedFiles(), "");
  EXPECT_GT(arena_->swaps(), kFewestSwaps);
  for (const RaceCase& race_case : cases_) {
    const fuse::Op* op = fuse::FindOp(race_case.opcode);
    if (op == nullptr) continue;  // not served yet
    const uint64_t tried = findings_->tried(race_case.opcode), succeeded = findings_->succeeded(race_case.opcode);
    printf("%-16s %9llu requests, %9llu succeeded\n", std::string(op->name).c_str(),
           static_cast<unsigned long long>(tried), static_cast<unsigned long long>(succeeded));
    EXPECT_GT(succeeded, 0u) << op->name << " never got anywhere: the race proves nothing of it";
  }
  printf("%llu swaps\n", static_cast<unsigned long long>(arena_->swaps()));
  dispatcher_->Reset();
  EXPECT_EQ(fs_->node_count(), 1u);
  EXPECT_EQ(fs_->handle_count(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Family, EscapeTest,
                         testing::Values(Family::kLooking, Family::kListing, Family::kMaking, Family::kMoving,
                                         Family::kContents, Family::kAttributes, Family::kSession),
                         [](const auto& family) { return NameOf(family.param); });

TEST(RaceCasesTest, EveryOperationHasOne) {
  for (const fuse::Op& op : fuse::AllOps()) {
    bool found = false;
    for (const RaceCase& race_case : RaceCases()) found = found || race_case.opcode == op.opcode;
    EXPECT_TRUE(found) << op.name << " is served, and never raced";
  }
}

}  // namespace
}  // namespace daxvmm::races
