// Ring 5: how far the guest has come to what the policy wants, as ListFiles, the stream and daxvmmctl tell it. Each
// state is brought about in the guest, and what the host believes is held against STATX_ATTR_DAX there.
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/linux/linux_fixture.h"

namespace daxvmm::linux_test {
namespace {

constexpr absl::Duration kStateDeadline = absl::Seconds(60);
// Of a stream that is not to end: many times what one takes that does.
constexpr absl::Duration kNotSettled = absl::Milliseconds(1500);

// CONVERGENCE_UNSPECIFIED if the guest does not hold the file.
v1::Convergence StateOf(Machine& machine, const std::string& path, const std::string& tag = kTag) {
  const absl::StatusOr<std::optional<v1::LiveFile>> file = FindFile(machine, tag, path);
  return file.ok() && file->has_value() ? (*file)->convergence() : v1::CONVERGENCE_UNSPECIFIED;
}

absl::Status WaitForState(Machine& machine, const std::string& path, v1::Convergence wanted) {
  const absl::Time until = absl::Now() + kStateDeadline;
  v1::Convergence seen;
  while ((seen = StateOf(machine, path)) != wanted) {
    if (absl::Now() >= until) {
      return absl::DeadlineExceededError(absl::StrCat("waited in vain for ", path, " to be ",
                                                      v1::Convergence_Name(wanted), ": it is ",
                                                      v1::Convergence_Name(seen)));
    }
    absl::SleepFor(absl::Milliseconds(20));
  }
  return absl::OkStatus();
}

// The stream until it ends, or `limit`. Its last message goes to `last`.
absl::Status Watch(Machine& machine, const std::string& tag, absl::Duration limit, v1::WatchConvergenceResponse* last) {
  v1::WatchConvergenceRequest request;
  request.set_share(tag);
  request.mutable_interval()->set_nanos(200'000'000);
  return machine.control->WatchConvergence(request, limit, [&](const v1::WatchConvergenceResponse& update) {
    *last = update;
    return true;
  });
}

std::string Ctl(Machine& machine, const std::string& arguments, int status) {
  const absl::StatusOr<HostResult> result = RunDaxvmmctl(TestEnvironment(), machine, arguments);
  EXPECT_TRUE(result.ok()) << result.status();
  if (!result.ok()) return "";
  EXPECT_EQ(result->status, status) << arguments << "\n" << result->output;
  return result->output;
}

TEST_F(LinuxTest, AttributesThatTheGuestMayTrustAreCountedDown) {
  const std::string host = absl::StrCat(HostDir(kPatientTag), "/file");
  ASSERT_OK(WriteFile(host, 1 << 20));
  ASSERT_OK(StatusOf(control().SetNamedPolicy("never")));
  ASSERT_OK(Mount("dax=inode", kPatientTag, kPatientMountPoint));
  const std::string path = absl::StrCat(kPatientMountPoint, "/file");
  ASSERT_OK(ReadInGuest(*machine_, path, host));
  EXPECT_EQ(StateOf(*machine_, "file", kPatientTag), v1::CONVERGENCE_CONVERGED);

  v1::SetPolicyRequest always;
  always.set_named_policy("always");
  const absl::StatusOr<v1::SetPolicyResponse> set = control().ReplacePolicy(always);
  ASSERT_OK(StatusOf(set));
  EXPECT_EQ(set->bound().notice_delay().seconds(), kPatientSeconds) << set->bound().description();
  absl::StatusOr<std::optional<v1::LiveFile>> file = FindFile(*machine_, kPatientTag, "file");
  ASSERT_OK(StatusOf(file));
  ASSERT_TRUE(file->has_value());
  EXPECT_EQ((*file)->convergence(), v1::CONVERGENCE_ATTRIBUTES_CACHED);
  EXPECT_GT((*file)->attributes_left().seconds(), 0);
  EXPECT_LT((*file)->attributes_left().seconds(), kPatientSeconds);
  EXPECT_EQ((*file)->told_dax(), false);
  EXPECT_TRUE((*file)->decision_dax());
  // A use does not change it: the guest does not ask.
  ASSERT_OK(ReadInGuest(*machine_, path, host));
  EXPECT_EQ(StateOf(*machine_, "file", kPatientTag), v1::CONVERGENCE_ATTRIBUTES_CACHED);
  v1::WatchConvergenceResponse counts;
  EXPECT_EQ(Watch(*machine_, kPatientTag, kNotSettled, &counts).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(counts.attributes_cached(), 1u);
  EXPECT_FALSE(counts.settled());
  EXPECT_GT(counts.longest_wait().seconds(), 0);
  EXPECT_LT(counts.longest_wait().seconds(), kPatientSeconds);
  EXPECT_TRUE(absl::StrContains(Ctl(*machine_, absl::StrCat("files --share ", kPatientTag), 0), "cached"));
  // Who drops it in the guest makes it ask at the next use, which is at once as the policy wants it.
  ASSERT_OK(StatusOf(guest().Check("echo 2 >/proc/sys/vm/drop_caches")));
  ASSERT_OK(ReadInGuest(*machine_, path, host));
  const absl::StatusOr<FileView> view = Observe(*machine_, "file", kPatientTag, kPatientMountPoint);
  ASSERT_OK(StatusOf(view));
  EXPECT_TRUE(view->guest_dax);
  EXPECT_EQ(view->host.convergence(), v1::CONVERGENCE_CONVERGED);
  EXPECT_EQ(view->host.reads(), 0u);
}

TEST_F(LinuxTest, AnIdleFileChangesOnItsNextUseAndTheStreamDoesNotWaitForThat) {
  ASSERT_OK(StatusOf(control().SetNamedPolicy("never")));
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(Read(kLargeFile));
  ASSERT_OK(StatusOf(control().SetNamedPolicy("always")));
  ASSERT_OK(WaitForState(*machine_, kLargeFile.name, v1::CONVERGENCE_CHANGES_ON_NEXT_USE));
  v1::WatchConvergenceResponse counts;
  ASSERT_OK(Watch(*machine_, kTag, kStateDeadline, &counts));
  EXPECT_TRUE(counts.settled());
  EXPECT_EQ(counts.changes_on_next_use(), 1u);
  EXPECT_EQ(counts.converged(), 0u);
  ASSERT_OK(WaitForDax(*machine_, kLargeFile.name, true));
  EXPECT_EQ(StateOf(*machine_, kLargeFile.name), v1::CONVERGENCE_CONVERGED);
}

TEST_F(LinuxTest, TheStreamEndsWhenTheLastHolderHasLetGo) {
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(Hold(kLargeFile.name));
  const absl::StatusOr<uint64_t> generation = control().SetNamedPolicy("never");
  ASSERT_OK(StatusOf(generation));
  ASSERT_OK(WaitForFreshAttributes(kLargeFile.name, 0640));
  EXPECT_EQ(StateOf(*machine_, kLargeFile.name), v1::CONVERGENCE_NOTICED_HELD_OPEN);
  v1::WatchConvergenceResponse counts;
  EXPECT_EQ(Watch(*machine_, kTag, kNotSettled, &counts).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(counts.noticed_held_open(), 1u);
  EXPECT_EQ(counts.generation(), *generation);

  absl::Status ended;
  std::thread watcher([&] { ended = Watch(*machine_, kTag, kStateDeadline, &counts); });
  const absl::Status let_go = LetGo();
  watcher.join();
  ASSERT_OK(let_go);
  ASSERT_OK(ended);
  EXPECT_TRUE(counts.settled());
  EXPECT_EQ(counts.noticed_held_open(), 0u);
  ASSERT_OK(WaitForDax(*machine_, kLargeFile.name, false));
  EXPECT_EQ(StateOf(*machine_, kLargeFile.name), v1::CONVERGENCE_CONVERGED);
  chmod(HostPath(kLargeFile.name).c_str(), 0644);
}

// A bind mount holds the inode, and no handle is open: as containers have single files of the host.
TEST_F(LinuxTest, AFileThatAMountHoldsHasNoticedAndIsStillHeld) {
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(Read(kLargeFile));
  ASSERT_OK(StatusOf(
      guest().Check(absl::StrCat("touch /tmp/bound; mount --bind ", GuestPath(kLargeFile.name), " /tmp/bound"))));
  ASSERT_OK(StatusOf(control().SetNamedPolicy("never")));
  ASSERT_OK(WaitForFreshAttributes(kLargeFile.name, 0640));
  absl::StatusOr<FileView> view = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(view));
  EXPECT_EQ(view->host.convergence(), v1::CONVERGENCE_NOTICED_STILL_HELD);
  EXPECT_FALSE(view->host.open());
  EXPECT_TRUE(view->guest_dax);
  v1::WatchConvergenceResponse counts;
  EXPECT_EQ(Watch(*machine_, kTag, kNotSettled, &counts).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(counts.noticed_still_held(), 1u);
  ASSERT_OK(StatusOf(guest().Check("umount /tmp/bound")));
  ASSERT_OK(Watch(*machine_, kTag, kStateDeadline, &counts));
  ASSERT_OK(WaitForDax(*machine_, kLargeFile.name, false));
  chmod(HostPath(kLargeFile.name).c_str(), 0644);
}

TEST_F(LinuxTest, DaxvmmctlWaitsUntilTheGuestHasFollowed) {
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(Read(kLargeFile));
  // Idle: it does not wait for a use.
  std::string output = Ctl(*machine_, "policy set never --wait --timeout 60", 0);
  EXPECT_TRUE(absl::StrContains(output, "Settled: generation ")) << output;
  EXPECT_TRUE(absl::StrContains(output, "1 on next use")) << output;
  ASSERT_OK(WaitForDax(*machine_, kLargeFile.name, false));
  output = Ctl(*machine_, "watch --timeout 60", 0);
  EXPECT_TRUE(absl::StrContains(output, "1 converged")) << output;
  // Held open: it gives up when told to.
  ASSERT_OK(Hold(kLargeFile.name));
  Ctl(*machine_, "policy set always", 0);
  ASSERT_OK(WaitForFreshAttributes(kLargeFile.name, 0640));
  output = Ctl(*machine_, "watch --timeout 3", 3);
  output = Ctl(*machine_, "files", 0);
  EXPECT_TRUE(absl::StrContains(output, "held open")) << output;
  ASSERT_OK(LetGo());
  Ctl(*machine_, "watch --timeout 60", 0);
  chmod(HostPath(kLargeFile.name).c_str(), 0644);
}

// Replies to look-ups, listings and FORGETs cross each other while the answer changes: what the host then believes of
// each inode has to be what the guest has.
TEST_F(LinuxTest, WhatTheHostBelievesIsTrueAfterManyFlipsUnderLoad) {
  constexpr int kCount = 12;
  mkdir(HostPath("flips").c_str(), 0755);
  for (int i = 0; i < kCount; ++i) ASSERT_OK(WriteFile(HostPath(absl::StrCat("flips/", i)), 40 << 10));
  ASSERT_OK(Mount("dax=inode"));
  const std::string dir = GuestPath("flips");
  // Two jobs in the guest; they end on a file that is seen by the shell alone.
  ASSERT_OK(StatusOf(guest().Check(absl::StrCat(
      "rm -f /tmp/over; (while [ ! -e /tmp/over ]; do ls -l ", dir, " >/dev/null; cat ", dir,
      "/* >/dev/null; done) & one=$!; (while [ ! -e /tmp/over ]; do echo 2 >/proc/sys/vm/drop_caches; stat ", dir,
      "/* >/dev/null; done) & two=$!"))));
  uint64_t most_unknown = 0;
  const absl::Time until = absl::Now() + absl::Seconds(4);
  uint64_t flips = 0;
  for (; absl::Now() < until; ++flips) {
    ASSERT_OK(StatusOf(control().SetNamedPolicy(flips % 2 == 0 ? "never" : "always")));
    const absl::StatusOr<v1::ListFilesResponse> files = control().ListFiles(kTag);
    ASSERT_OK(StatusOf(files));
    uint64_t unknown = 0;
    for (const v1::LiveFile& file : files->files()) unknown += file.convergence() == v1::CONVERGENCE_UNKNOWN;
    most_unknown = std::max(most_unknown, unknown);
  }
  ASSERT_OK(StatusOf(guest().Check("touch /tmp/over; wait $one $two")));
  EXPECT_GT(flips, 20u);
  printf("%llu flips, at most %llu files in an unknown state\n", static_cast<unsigned long long>(flips),
         static_cast<unsigned long long>(most_unknown));

  int known = 0;
  for (int i = 0; i < kCount; ++i) {
    const absl::StatusOr<FileView> view = Observe(*machine_, absl::StrCat("flips/", i));
    if (absl::IsNotFound(view.status())) continue;  // dropped by that very stat
    ASSERT_OK(StatusOf(view));
    if (!view->host.has_told_dax()) continue;
    ++known;
    // The stat may have been the use after which the inode is made anew: then both are asked again.
    if (view->host.told_dax() != view->guest_dax) {
      const absl::StatusOr<FileView> again = Observe(*machine_, absl::StrCat("flips/", i));
      ASSERT_OK(StatusOf(again));
      EXPECT_EQ(again->host.told_dax(), again->guest_dax) << i;
    }
  }
  EXPECT_GT(known, 0);
  // What could not be known stays so until the guest uses the file, or drops it.
  ASSERT_OK(StatusOf(guest().Check("echo 2 >/proc/sys/vm/drop_caches")));
  v1::WatchConvergenceResponse counts;
  ASSERT_OK(Watch(*machine_, kTag, kStateDeadline, &counts));
  EXPECT_EQ(counts.unknown(), 0u);
}

}  // namespace
}  // namespace daxvmm::linux_test
