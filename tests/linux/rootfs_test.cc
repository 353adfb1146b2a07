// Ring 5, with scripts/test --long only: a Debian tree made by debootstrap is the root file system of a guest.
#include <sys/stat.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/linux/checks.h"

namespace daxvmm::linux_test {
namespace {

constexpr char kRootTag[] = "rootfs";
// systemd starts some hundred processes, each of them emulated twice over one level down.
constexpr absl::Duration kLoginDeadline = absl::Minutes(15);
constexpr absl::Duration kLongCommand = absl::Minutes(5);
constexpr absl::Duration kShutdownDeadline = absl::Minutes(5);

class LongRootfsTest : public testing::Test {
 protected:
  void BootFromShare(const std::string& rootflags) {
    const Environment& environment = TestEnvironment();
    if (environment.rootfs.empty()) GTEST_SKIP() << "no root file system (--rootfs): only with scripts/test --long";
    GuestOptions options;
    options.memory = "768M";
    options.shares = {absl::StrCat("path=", environment.rootfs, ",tag=", kRootTag, ",dax-window=256M")};
    options.kernel_arguments =
        absl::StrCat("root=", kRootTag, " rootfstype=virtiofs rw rootflags=", rootflags, " systemd.show_status=1");
    absl::StatusOr<Machine> machine = StartMachine(environment, options);
    ASSERT_OK(StatusOf(machine));
    machine_ = *std::move(machine);
    ASSERT_OK(guest().LogIn(kLoginDeadline));
    printf("the login prompt was there after %.1f s\n", guest().boot_seconds());
    fflush(stdout);
  }

  LinuxGuest& guest() { return *machine_.guest; }
  // What the command prints; the test fails if it does.
  std::string Output(const std::string& command) {
    absl::StatusOr<std::string> output = guest().Check(command, kLongCommand);
    EXPECT_TRUE(output.ok()) << output.status();
    return output.value_or("");
  }

  Machine machine_;
};

TEST_F(LongRootfsTest, DebianBootsFromAShareToALoginAndShutsDownClean) {
  ASSERT_NO_FATAL_FAILURE(BootFromShare("dax=inode"));
  if (IsSkipped()) return;
  const std::string host_root = TestEnvironment().rootfs;

  const std::string mounts = Output("grep ' / ' /proc/mounts");
  EXPECT_TRUE(absl::StartsWith(mounts, absl::StrCat(kRootTag, " / virtiofs rw,"))) << mounts;
  EXPECT_TRUE(absl::StrContains(mounts, "dax=inode")) << mounts;
  // "degraded" would name a unit that failed.
  const absl::StatusOr<CommandResult> state = guest().Run("systemctl is-system-running --wait", kLongCommand);
  ASSERT_OK(StatusOf(state));
  EXPECT_EQ(state->output, "running") << Output("systemctl --failed --no-legend --plain");
  EXPECT_EQ(Output("id -un"), "root");
  EXPECT_EQ(Output("findmnt -no FSTYPE /"), "virtiofs");
  EXPECT_TRUE(absl::StrContains(Output("df -P /"), kRootTag));
  EXPECT_TRUE(absl::StartsWith(Output("apt-get --version"), "apt "));
  EXPECT_EQ(Output("dpkg -V coreutils libc6"), "");

  // What runs was mapped, not copied.
  const absl::StatusOr<v1::ListFilesResponse> files = machine_.control->ListFiles(kRootTag);
  ASSERT_OK(StatusOf(files));
  bool libc_found = false;
  for (const v1::LiveFile& file : files->files()) {
    if (!absl::EndsWith(file.path(), "/libc.so.6")) continue;
    libc_found = true;
    EXPECT_TRUE(file.told_dax());
    EXPECT_GT(file.mapped_chunks(), 0u);
    EXPECT_EQ(file.reads(), 0u);
  }
  EXPECT_TRUE(libc_found);
  const absl::StatusOr<v1::Window> window = WindowOf(machine_, kRootTag);
  ASSERT_OK(StatusOf(window));
  EXPECT_EQ(window->rejected(), 0u);

  Output("echo written-by-the-guest >/root/mark && chmod 600 /root/mark && sync");
  struct stat mark = {};
  ASSERT_EQ(stat(absl::StrCat(host_root, "/root/mark").c_str(), &mark), 0);
  EXPECT_EQ(mark.st_size, 21);
  EXPECT_EQ(mark.st_mode & 07777, 0600u);
  Output("rm /root/mark");
  EXPECT_NE(stat(absl::StrCat(host_root, "/root/mark").c_str(), &mark), 0);

  ASSERT_OK(guest().Send("systemctl poweroff"));
  const absl::StatusOr<int> status = guest().WaitForExit(kShutdownDeadline);
  ASSERT_OK(StatusOf(status));
  EXPECT_EQ(*status, 0) << guest().ConsoleTail();
}

}  // namespace
}  // namespace daxvmm::linux_test
