// Ring 5: the host truncates files while the guest has them mapped (ADR 0008). The guest hears of it when its
// attributes run out, and in between touches what has nothing behind it on the host: the machine lives, no byte is
// wrong, and what was done about it is counted.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "tests/linux/guest/pattern.h"
#include "tests/linux/linux_fixture.h"

namespace daxvmm::linux_test {
namespace {

constexpr uint64_t kStormSize = 5 << 20;
constexpr uint64_t kPage = 4096;

// Somebody on the host at work beside the guest, until Join.
class HostWork {
 public:
  // `round` is called over and over with 0, 1, 2, ... until it fails.
  explicit HostWork(std::function<bool(uint64_t)> round)
      : thread_([this, round = std::move(round)] {
          // A breath between two rounds, or nothing would be left for the guest to read.
          for (; !over_; absl::SleepFor(absl::Milliseconds(5))) {
            if (!round(rounds_)) {
              failed_ = true;
              return;
            }
            ++rounds_;
          }
        }) {}
  ~HostWork() { Join(); }
  void Join() {
    over_ = true;
    if (thread_.joinable()) thread_.join();
  }
  uint64_t rounds() const { return rounds_; }
  bool failed() const { return failed_; }

 private:
  std::atomic<bool> over_ = false;
  std::atomic<bool> failed_ = false;
  std::atomic<uint64_t> rounds_ = 0;
  std::thread thread_;
};

std::string Pattern(uint64_t size) {
  std::string bytes(size, '\0');
  for (uint64_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(PatternByte(i));
  return bytes;
}

// In place, without a truncation.
bool WriteOver(const std::string& path, const std::string& bytes) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd.valid() && pwrite(fd.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
}

// `output` is daxtool storm's: a line for each role. What fails may fail with EIO, which Linux makes of a write(2)
// through DAX that hears of the new size half way (dax_iomap_iter of fs/dax.c, 6.1, meets a hole).
void ExpectNoWrongByte(const std::string& output, size_t roles) {
  const std::vector<std::string> lines = absl::StrSplit(output, '\n');
  EXPECT_EQ(lines.size(), roles) << output;
  for (const std::string& line : lines) {
    EXPECT_TRUE(absl::StrContains(line, " wrong=0 ")) << line;
    EXPECT_TRUE(absl::EndsWith(line, " errors=0") || absl::EndsWith(line, " error=EIO")) << line;
    EXPECT_FALSE(absl::StrContains(line, " rounds=0 ")) << line;
  }
}

void ExpectMapped(Machine& machine, const std::string& name) {
  const absl::StatusOr<FileView> view = Observe(machine, name);
  ASSERT_OK(StatusOf(view));
  EXPECT_TRUE(view->guest_dax);
  EXPECT_GT(view->host.setup_mappings(), 0u);
  EXPECT_EQ(view->host.reads(), 0u);
}

TEST_F(LinuxTest, AStormOfTruncationsOnTheHostLeavesNoWrongByte) {
  const std::string path = HostPath("host-storm");
  ASSERT_OK(WriteFile(path, kStormSize));
  ASSERT_OK(StatusOf(control().SetNamedPolicy("always")));
  ASSERT_OK(Mount("dax=inode"));
  const absl::StatusOr<v1::Window> before = WindowOf(*machine_, kTag);
  ASSERT_OK(StatusOf(before));
  const std::string pattern = Pattern(kStormSize);
  HostWork truncater([&](uint64_t round) {
    if (truncate(path.c_str(), static_cast<off_t>(round * 1234567 % kStormSize)) != 0) return false;
    return round % 8 != 0 || WriteOver(path, pattern);
  });
  const absl::StatusOr<CommandResult> storm = guest().Run(
      absl::StrCat("daxtool storm ", GuestPath("host-storm"), " ", kStormSize, " 4s load read store write append"));
  truncater.Join();
  ASSERT_OK(StatusOf(storm));
  EXPECT_FALSE(truncater.failed());
  EXPECT_GT(truncater.rounds(), 8u);
  EXPECT_EQ(storm->status, 0);
  ExpectNoWrongByte(storm->output, 5);
  ExpectMapped(*machine_, "host-storm");
  const absl::StatusOr<v1::Window> after = WindowOf(*machine_, kTag);
  ASSERT_OK(StatusOf(after));
  EXPECT_GT(after->repairs(), before->repairs());
  EXPECT_GT(after->restores(), before->restores());
  printf("%s\n%llu truncations, %llu repairs, %llu restores, %llu stores past the end, %llu files extended\n",
         storm->output.c_str(), static_cast<unsigned long long>(truncater.rounds()),
         static_cast<unsigned long long>(after->repairs() - before->repairs()),
         static_cast<unsigned long long>(after->restores() - before->restores()),
         static_cast<unsigned long long>(after->stores_past_end() - before->stores_past_end()),
         static_cast<unsigned long long>(after->files_extended() - before->files_extended()));
}

// As logrotate does it with "copytruncate", on the host, while the guest appends to the log and others read it.
TEST_F(LinuxTest, AHostThatRotatesByCopyingAndTruncatingLeavesWritersAlive) {
  const std::string path = HostPath("log");
  ASSERT_OK(WriteFile(path, 1 << 20));
  ASSERT_OK(StatusOf(control().SetNamedPolicy("always")));
  ASSERT_OK(Mount("dax=inode"));
  const absl::StatusOr<v1::Window> before = WindowOf(*machine_, kTag);
  ASSERT_OK(StatusOf(before));
  HostWork rotation([&path](uint64_t round) {
    // Between two rotations the log is to grow.
    if (round % 16 != 15) return true;
    UniqueFd from(open(path.c_str(), O_RDWR | O_CLOEXEC));
    UniqueFd to(open((path + ".1").c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644));
    if (!from.valid() || !to.valid()) return false;
    std::string bytes(kStormSize, '\0');
    const ssize_t got = pread(from.get(), bytes.data(), bytes.size(), 0);
    return got >= 0 && write(to.get(), bytes.data(), static_cast<size_t>(got)) == got && ftruncate(from.get(), 0) == 0;
  });
  const absl::StatusOr<CommandResult> storm = guest().Run(
      absl::StrCat("daxtool storm ", GuestPath("log"), " ", kStormSize, " 4s append append-zeros load read write"));
  rotation.Join();
  ASSERT_OK(StatusOf(storm));
  EXPECT_FALSE(rotation.failed());
  EXPECT_GT(rotation.rounds(), 16u);
  EXPECT_EQ(storm->status, 0);
  ExpectNoWrongByte(storm->output, 5);
  ExpectMapped(*machine_, "log");
  const absl::StatusOr<v1::Window> after = WindowOf(*machine_, kTag);
  ASSERT_OK(StatusOf(after));
  EXPECT_GT(after->repairs(), before->repairs());
}

// One step at a time, so that each counter has its cause.
TEST_F(LinuxTest, WhatTheHostCutOffReadsAsZerosTakesStoresAndComesBack) {
  const std::string path = HostPath("cut");
  constexpr uint64_t kSize = 2 * kChunk;
  ASSERT_OK(WriteFile(path, kSize));
  ASSERT_OK(StatusOf(control().SetNamedPolicy("always")));
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(Hold("cut"));
  // Through writable mappings: what is loaded alone is mapped to be read.
  ASSERT_OK(StatusOf(AskHolder("fill 0 8192")));
  ASSERT_OK(StatusOf(AskHolder(absl::StrCat("fill ", kChunk, " 8192"))));
  const absl::StatusOr<v1::Window> before = WindowOf(*machine_, kTag);
  ASSERT_OK(StatusOf(before));

  // The guest's idea of the size stays as it was: nobody asks for attributes.
  ASSERT_EQ(truncate(path.c_str(), 8192), 0);
  absl::StatusOr<std::string> seen = AskHolder(absl::StrCat("check 0 ", kSize));
  ASSERT_OK(StatusOf(seen));
  EXPECT_TRUE(absl::EndsWith(*seen, absl::StrCat(" good=2 zeros=", kSize / kPage - 2, " wrong=0 sigbus=0"))) << *seen;
  absl::StatusOr<v1::Window> cut = WindowOf(*machine_, kTag);
  ASSERT_OK(StatusOf(cut));
  EXPECT_GT(cut->repairs(), before->repairs());
  EXPECT_EQ(cut->stores_past_end(), before->stores_past_end());

  // A store there makes the file longer, up to that page.
  seen = AskHolder(absl::StrCat("fill ", kChunk, " ", kPage));
  ASSERT_OK(StatusOf(seen));
  EXPECT_TRUE(absl::EndsWith(*seen, " good=1 zeros=0 wrong=0 sigbus=0")) << *seen;
  struct stat st = {};
  ASSERT_EQ(stat(path.c_str(), &st), 0);
  EXPECT_EQ(static_cast<uint64_t>(st.st_size), kChunk + kPage);
  absl::StatusOr<v1::Window> stored = WindowOf(*machine_, kTag);
  ASSERT_OK(StatusOf(stored));
  EXPECT_GT(stored->stores_past_end(), cut->stores_past_end());
  EXPECT_EQ(stored->files_extended(), cut->files_extended() + 1);

  // The host makes it whole again; no mapping is asked for anew.
  ASSERT_TRUE(WriteOver(path, Pattern(kSize)));
  seen = AskHolder(absl::StrCat("check 0 ", kSize));
  for (int i = 0; i < 100 && seen.ok() && !absl::StrContains(*seen, " zeros=0 "); ++i) {
    seen = AskHolder(absl::StrCat("check 0 ", kSize));  // the host's watch runs beside
  }
  ASSERT_OK(StatusOf(seen));
  EXPECT_TRUE(absl::EndsWith(*seen, absl::StrCat(" good=", kSize / kPage, " zeros=0 wrong=0 sigbus=0"))) << *seen;
  const absl::StatusOr<v1::Window> restored = WindowOf(*machine_, kTag);
  ASSERT_OK(StatusOf(restored));
  EXPECT_GT(restored->restores(), before->restores());
  EXPECT_EQ(restored->maps(), stored->maps());
  ASSERT_OK(LetGo());
}

}  // namespace
}  // namespace daxvmm::linux_test
