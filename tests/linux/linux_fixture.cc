#include "tests/linux/linux_fixture.h"

#include <sys/stat.h>

#include <cstdio>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "vmm/layout.h"

namespace daxvmm::linux_test {

Machine* LinuxTest::machine_ = nullptr;
absl::Status LinuxTest::boot_status_ = absl::OkStatus();
v1::SetPolicyRequest LinuxTest::initial_policy_;
std::string LinuxTest::share_dir_;
std::vector<LinuxTest::OtherShare> LinuxTest::other_shares_;
std::vector<LinuxTest::NamedShare> LinuxTest::named_shares_;

std::string GuestPath(const std::string& name) { return absl::StrCat(kMountPoint, "/", name); }

absl::Status LinuxTest::MakeShares(GuestOptions* options) {
  const Environment& environment = TestEnvironment();
  share_dir_ = absl::StrCat(environment.workdir, "/share");
  mkdir(share_dir_.c_str(), 0755);
  for (const TestFile& file : kFiles) RETURN_IF_ERROR(WriteFile(HostPath(file.name), file.size));
  const auto add = [&](const std::string& tag, const std::string& mount_point, const std::string& dir,
                       const std::string& more) {
    mkdir(dir.c_str(), 0755);
    options->shares.push_back(absl::StrCat("path=", dir, ",tag=", tag, ",", more));
    named_shares_.push_back({tag, mount_point, dir});
  };
  const auto add_own = [&](const std::string& tag, const std::string& mount_point, const std::string& more) {
    add(tag, mount_point, absl::StrCat(environment.workdir, "/", tag), more);
  };
  add(kTag, kMountPoint, share_dir_, "dax-window=64M");
  add(kReadOnlyTag, kReadOnlyMountPoint, share_dir_, "dax-window=16M,readonly");
  add_own(kPatientTag, kPatientMountPoint,
          absl::StrCat("dax-window=16M,attr-timeout=", kPatientSeconds, ",entry-timeout=", kPatientSeconds));
  add_own(kQuotaTag, kQuotaMountPoint, absl::StrCat("dax-window=16M,dax-quota=", kQuotaChunks * kChunk));
  add_own(kForgetfulTag, kForgetfulMountPoint, "dax-window=8M,policy=inode,dax-hint=memory");
  add_own(kNarrowTag, kNarrowMountPoint, absl::StrCat("dax-window=", kNarrowChunks * kChunk));
  if (!environment.ext4_dir.empty()) {
    add(kFlagsTag, kFlagsMountPoint, absl::StrCat(environment.ext4_dir, "/", kFlagsTag),
        "dax-window=16M,policy=inode,dax-hint=host");
    add(kHintsTag, kHintsMountPoint, absl::StrCat(environment.ext4_dir, "/", kHintsTag), "dax-window=16M,policy=inode");
  }
  while (options->shares.size() < vmm::layout::kMaxVirtioDevices) {
    const size_t number = options->shares.size();
    const std::string tag = absl::StrCat("other-", number);
    const std::string dir = absl::StrCat(environment.workdir, "/", tag);
    mkdir(dir.c_str(), 0755);
    // With a window and without one, in turn.
    options->shares.push_back(absl::StrCat("path=", dir, ",tag=", tag, number % 2 == 0 ? ",dax-window=4M" : ""));
    other_shares_.push_back({tag, dir});
  }
  return absl::OkStatus();
}

void LinuxTest::SetUpTestSuite() {
  GuestOptions options;
  options.cpus = 2;
  boot_status_ = MakeShares(&options);
  if (!boot_status_.ok()) return;
  absl::StatusOr<Machine> machine = BootMachine(TestEnvironment(), options);
  boot_status_ = machine.status();
  if (!machine.ok()) return;
  machine_ = new Machine(*std::move(machine));
  const absl::StatusOr<v1::GetPolicyResponse> policy = control().GetPolicy();
  boot_status_ = policy.status();
  if (!policy.ok()) return;
  *initial_policy_.mutable_policy() = policy->policy();
  printf("the guest was ready after %.1f s\n", machine_->guest->boot_seconds());
  fflush(stdout);
}

void LinuxTest::TearDownTestSuite() {
  delete machine_;
  machine_ = nullptr;
}

void LinuxTest::SetUp() {
  ASSERT_OK(boot_status_);
  // What the command line said, the rules of the shares in front: cases replace it.
  ASSERT_OK(StatusOf(control().SetPolicy(initial_policy_)));
}

void LinuxTest::TearDown() {
  if (machine_ == nullptr) return;
  absl::StatusOr<CommandResult> left = guest().Run(
      "exec 3<&-; exec 4>&-; [ -z \"$holder\" ] || wait $holder; holder=; "
      "for m in $(grep virtiofs /proc/mounts | cut -d' ' -f2); do umount $m; done; grep virtiofs /proc/mounts");
  ASSERT_OK(StatusOf(left));
  EXPECT_EQ(left->output, "") << "still mounted";
  const absl::StatusOr<v1::Window> window = WindowOf(*machine_, kTag);
  ASSERT_OK(StatusOf(window));
  EXPECT_EQ(window->mount_mode(), v1::MOUNT_MODE_NOT_MOUNTED);
  EXPECT_EQ(window->mapped_chunks(), 0u);
  EXPECT_EQ(window->rejected(), 0u) << "Linux sends no mapping request that may be refused";
}

std::string LinuxTest::HostDir(const std::string& tag) {
  for (const NamedShare& share : named_shares_) {
    if (share.tag == tag) return share.host_dir;
  }
  return "";
}

std::string LinuxTest::HostPath(const std::string& name) { return absl::StrCat(share_dir_, "/", name); }

absl::Status LinuxTest::Mount(const std::string& option, const std::string& tag, const std::string& mount_point) {
  return StatusOf(guest().Check(absl::StrCat("mkdir -p ", mount_point, "; mount -t virtiofs ",
                                             option.empty() ? "" : "-o ", option, " ", tag, " ", mount_point)));
}

absl::Status LinuxTest::Read(const TestFile& file) {
  return ReadInGuest(*machine_, GuestPath(file.name), HostPath(file.name));
}

void LinuxTest::ExpectDax(const TestFile& file, bool dax) {
  SCOPED_TRACE(absl::StrCat(file.name, dax ? " is to be mapped" : " is not to be mapped"));
  const absl::StatusOr<FileView> view = Observe(*machine_, file.name);
  ASSERT_OK(StatusOf(view));
  EXPECT_EQ(view->guest_size, file.size);
  EXPECT_EQ(view->host.size_bytes(), file.size);
  EXPECT_EQ(view->guest_dax, dax);
  EXPECT_EQ(view->host.setup_mappings(), dax ? Chunks(file.size) : 0);
  EXPECT_EQ(view->host.mapped_chunks(), dax ? Chunks(file.size) : 0);
  if (dax) {
    EXPECT_EQ(view->host.reads(), 0u);
  } else {
    EXPECT_GT(view->host.reads(), 0u);
  }
}

void LinuxTest::ExpectTold(const TestFile& file, bool dax) {
  SCOPED_TRACE(file.name);
  const absl::StatusOr<FileView> view = Observe(*machine_, file.name);
  ASSERT_OK(StatusOf(view));
  EXPECT_EQ(view->host.told_dax(), dax);
  EXPECT_EQ(view->host.decision_dax(), dax);
}

v1::MountMode LinuxTest::MountMode() {
  const absl::StatusOr<v1::Window> window = WindowOf(*machine_, kTag);
  return window.ok() ? window->mount_mode() : v1::MOUNT_MODE_UNSPECIFIED;
}

absl::Status LinuxTest::Hold(const std::string& name) {
  RETURN_IF_ERROR(HoldUntouched(name));
  return AskHolder("sum").status();
}

absl::Status LinuxTest::HoldUntouched(const std::string& name) {
  return StatusOf(guest().Check(absl::StrCat("mkfifo /tmp/hold; daxtool hold ", GuestPath(name),
                                             " </tmp/hold >/tmp/held & holder=$!; exec 4>/tmp/hold; "
                                             "until grep -q held /tmp/held; do usleep 10000; done; rm /tmp/hold")));
}

absl::StatusOr<std::string> LinuxTest::AskHolder(const std::string& order) {
  return guest().Check(absl::StrCat("n=$(wc -l </tmp/held); echo ", order,
                                    " >&4; until [ $(wc -l </tmp/held) -gt $n ]; do usleep 10000; done; "
                                    "tail -n 1 /tmp/held"));
}

absl::Status LinuxTest::LetGo() { return StatusOf(guest().Check("exec 4>&-; wait $holder; holder=")); }

absl::Status LinuxTest::WaitForFreshAttributes(const std::string& name, mode_t mode, const std::string& command) {
  if (chmod(HostPath(name).c_str(), mode) != 0) return absl::InternalError("chmod");
  char text[16];
  snprintf(text, sizeof(text), "mode=%o", mode);
  const absl::Time until = absl::Now() + absl::Seconds(60);
  while (absl::Now() < until) {
    ASSIGN_OR_RETURN(const std::string seen, guest().Check(command));
    if (absl::StrContains(seen, text)) return absl::OkStatus();
    absl::SleepFor(absl::Milliseconds(50));
  }
  return absl::DeadlineExceededError(absl::StrCat("waited in vain for the guest to see mode ", text, " of ", name));
}

absl::Status LinuxTest::WaitForFreshAttributes(const std::string& name, mode_t mode) {
  return WaitForFreshAttributes(name, mode, absl::StrCat("stat -c mode=%a ", GuestPath(name)));
}

}  // namespace daxvmm::linux_test
