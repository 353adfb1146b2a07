// Ring 5: files that stay open and mapped while the policy changes or the guest truncates them, and a trace of
// accesses. What the guest reads must be the bytes of guest/pattern.h, or zeros where somebody truncated.
#include <sys/stat.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tests/linux/linux_fixture.h"

namespace daxvmm::linux_test {
namespace {

constexpr uint64_t kPages = (5 << 20) / 4096;  // of kLargeFile

std::string AllGood(uint64_t pages) { return absl::StrCat(" good=", pages, " zeros=0 wrong=0 sigbus=0"); }

TEST_F(LinuxTest, AHeldFileShowsItsBytesAcrossAFlipInChunksTouchedBeforeAndAfter) {
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(HoldUntouched(kLargeFile.name));
  absl::StatusOr<std::string> seen = AskHolder(absl::StrCat("check 0 ", kChunk));
  ASSERT_OK(StatusOf(seen));
  EXPECT_TRUE(absl::EndsWith(*seen, AllGood(512))) << *seen;
  absl::StatusOr<FileView> view = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(view));
  EXPECT_EQ(view->host.setup_mappings(), 1u);

  ASSERT_OK(StatusOf(control().SetNamedPolicy("never")));
  ASSERT_OK(WaitForFreshAttributes(kLargeFile.name, 0640));
  seen = AskHolder(absl::StrCat("check 0 ", kLargeFile.size));
  ASSERT_OK(StatusOf(seen));
  EXPECT_TRUE(absl::EndsWith(*seen, AllGood(kPages))) << *seen;
  seen = AskHolder(absl::StrCat("pread 0 ", kLargeFile.size));
  ASSERT_OK(StatusOf(seen));
  EXPECT_TRUE(absl::EndsWith(*seen, absl::StrCat(AllGood(kPages), " bytes=", kLargeFile.size))) << *seen;
  view = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(view));
  EXPECT_EQ(view->host.setup_mappings(), Chunks(kLargeFile.size));
  EXPECT_EQ(view->host.reads(), 0u);
  ASSERT_OK(LetGo());
  chmod(HostPath(kLargeFile.name).c_str(), 0644);
}

TEST_F(LinuxTest, AFileHeldWithoutDaxGoesOnWithoutAfterAFlip) {
  ASSERT_OK(StatusOf(control().SetNamedPolicy("never")));
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(HoldUntouched(kLargeFile.name));
  absl::StatusOr<std::string> seen = AskHolder(absl::StrCat("check 0 ", kChunk));
  ASSERT_OK(StatusOf(seen));
  EXPECT_TRUE(absl::EndsWith(*seen, AllGood(512))) << *seen;

  ASSERT_OK(StatusOf(control().SetNamedPolicy("always")));
  ASSERT_OK(WaitForFreshAttributes(kLargeFile.name, 0640));
  seen = AskHolder(absl::StrCat("check 0 ", kLargeFile.size));
  ASSERT_OK(StatusOf(seen));
  EXPECT_TRUE(absl::EndsWith(*seen, AllGood(kPages))) << *seen;
  const absl::StatusOr<FileView> view = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(view));
  EXPECT_EQ(view->host.setup_mappings(), 0u);
  EXPECT_GT(view->host.reads(), 0u);
  ASSERT_OK(LetGo());
  chmod(HostPath(kLargeFile.name).c_str(), 0644);
}

// `output` is daxtool storm's: a line for each role.
void ExpectCalm(const std::string& output, size_t roles) {
  const std::vector<std::string> lines = absl::StrSplit(output, '\n');
  EXPECT_EQ(lines.size(), roles) << output;
  for (const std::string& line : lines) {
    EXPECT_TRUE(absl::StrContains(line, " wrong=0 ")) << line;
    EXPECT_TRUE(absl::StrContains(line, " errors=0")) << line;
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

constexpr char kStorm[] = "daxtool storm ";
constexpr uint64_t kStormSize = 5 << 20;

TEST_F(LinuxTest, AStormOfTruncationsInTheGuestLeavesNoWrongByte) {
  ASSERT_OK(WriteFile(HostPath("storm"), kStormSize));
  // By size it would lose DAX, and its inode with that, whenever it is short.
  ASSERT_OK(StatusOf(control().SetNamedPolicy("always")));
  ASSERT_OK(Mount("dax=inode"));
  const absl::StatusOr<CommandResult> storm = guest().Run(
      absl::StrCat(kStorm, GuestPath("storm"), " ", kStormSize, " 5s load read store write append truncate rotate"));
  ASSERT_OK(StatusOf(storm));
  EXPECT_EQ(storm->status, 0);
  ExpectCalm(storm->output, 7);
  ExpectMapped(*machine_, "storm");
}

TEST_F(LinuxTest, PlaysATrace) {
  std::ofstream(HostPath("trace")) << "open large five-mib r\n"
                                   << "map large\n"
                                   << "touch large 0 4096         # the first chunk\n"
                                   << "touch large 2097152 4096\n"
                                   << "read large 5238784 100000  # the last, to the end\n"
                                   << "open new made create\n"
                                   << "append new 10000\n"
                                   << "map new\n"
                                   << "store new 0 10000\n"
                                   << "close new\n"
                                   << "close large\n";
  ASSERT_OK(Mount("dax=always"));
  const absl::StatusOr<CommandResult> played =
      guest().Run(absl::StrCat("cd ", kMountPoint, "; daxtool play trace; r=$?; cd /; (exit $r)"));
  ASSERT_OK(StatusOf(played));
  EXPECT_EQ(played->status, 0);
  EXPECT_EQ(played->output, "trace played=11 failed=0 bytes=32288 good=6 zeros=0 wrong=0 sigbus=0");
  const absl::StatusOr<FileView> view = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(view));
  EXPECT_EQ(view->host.setup_mappings(), Chunks(kLargeFile.size));
}

}  // namespace
}  // namespace daxvmm::linux_test
