// Ring 5: an unmodified Linux guest mounts shares in every way it can, and the host says whether DAX was really on.
// What `cat` prints proves nothing: each claim rests on the mappings and the FUSE_READ requests that daxvmm counted.
//
// Cases of LinuxTest share one machine, since a boot under TCG takes long; each mounts afresh and leaves nothing
// behind.
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/parse.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "tests/linux/machine.h"

namespace daxvmm::linux_test {
namespace {

constexpr char kFlagsTag[] = "flags";  // a share on ext4 whose policy is the inode's own flag
constexpr char kFlagsMountPoint[] = "/mnt/flags";
constexpr char kReadOnlyTag[] = "readonly";  // the same files, not to be written
constexpr char kReadOnlyMountPoint[] = "/mnt/readonly";
constexpr uint64_t kChunk = 2 << 20;  // what one SETUPMAPPING of Linux maps

struct TestFile {
  const char* name;
  uint64_t size;
};
constexpr TestFile kFiles[] = {{"small", 4096},      {"below-32k", 32767}, {"exactly-32k", 32768},
                               {"above-32k", 32769}, {"one-mib", 1 << 20}, {"five-mib", 5 << 20}};
constexpr TestFile kSmallFile = kFiles[0];
constexpr TestFile kLargeFile = kFiles[5];

uint64_t Chunks(uint64_t size) { return (size + kChunk - 1) / kChunk; }
bool DaxBySize(const TestFile& file) { return file.size >= kSizeThreshold; }
std::string GuestPath(const std::string& name) { return absl::StrCat(kMountPoint, "/", name); }

#define ASSERT_OK(expression)                                           \
  do {                                                                  \
    const absl::Status ok_status_ = (expression);                       \
    ASSERT_TRUE(ok_status_.ok()) << std::string(ok_status_.ToString()); \
  } while (false)

template <typename T>
absl::Status StatusOf(const absl::StatusOr<T>& value) {
  return value.status();
}

const Environment& TestEnvironment() {
  static const Environment* const environment = [] {
    absl::StatusOr<Environment> flags = EnvironmentFromFlags();
    if (!flags.ok()) {
      fprintf(stderr, "linux_test: %s\n", std::string(flags.status().message()).c_str());
      exit(2);
    }
    return new Environment(*std::move(flags));
  }();
  return *environment;
}

class LinuxTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const Environment& environment = TestEnvironment();
    share_dir_ = absl::StrCat(environment.workdir, "/share");
    mkdir(share_dir_.c_str(), 0755);
    for (const TestFile& file : kFiles) {
      boot_status_ = WriteFile(HostPath(file.name), file.size);
      if (!boot_status_.ok()) return;
    }
    GuestOptions options;
    options.cpus = 2;
    options.shares = {absl::StrCat("path=", share_dir_, ",tag=", kTag, ",dax-window=64M"),
                      absl::StrCat("path=", share_dir_, ",tag=", kReadOnlyTag, ",dax-window=16M,readonly")};
    if (!environment.ext4_dir.empty()) {
      options.shares.push_back(
          absl::StrCat("path=", environment.ext4_dir, ",tag=", kFlagsTag, ",dax-window=16M,policy=inode"));
    }
    absl::StatusOr<Machine> machine = BootMachine(environment, options);
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

  static void TearDownTestSuite() {
    delete machine_;
    machine_ = nullptr;
  }

  void SetUp() override {
    ASSERT_OK(boot_status_);
    // What the command line said, the rules of the shares in front: cases replace it.
    ASSERT_OK(StatusOf(control().SetPolicy(initial_policy_)));
  }

  // After each case: nothing stays mapped once the guest has unmounted, whether or not it removed its mappings.
  void TearDown() override {
    if (machine_ == nullptr) return;
    absl::StatusOr<CommandResult> left = guest().Run(absl::StrCat(
        "exec 3<&-; exec 4>&-; [ -z \"$holder\" ] || wait $holder; holder=; for m in ", kMountPoint, " ",
        kFlagsMountPoint, " ", kReadOnlyMountPoint, "; do if grep -q \" $m \" /proc/mounts; then umount $m; fi; ",
        "done; grep virtiofs /proc/mounts"));
    ASSERT_OK(StatusOf(left));
    EXPECT_EQ(left->output, "") << "still mounted";
    const absl::StatusOr<v1::Window> window = WindowOf(*machine_, kTag);
    ASSERT_OK(StatusOf(window));
    EXPECT_EQ(window->mount_mode(), v1::MOUNT_MODE_NOT_MOUNTED);
    EXPECT_EQ(window->mapped_chunks(), 0u);
    EXPECT_EQ(window->rejected(), 0u) << "Linux sends no mapping request that may be refused";
  }

  static LinuxGuest& guest() { return *machine_->guest; }
  static control::Client& control() { return *machine_->control; }
  static std::string HostPath(const std::string& name) { return absl::StrCat(share_dir_, "/", name); }

  // `option` is what follows -o; empty for none.
  static absl::Status Mount(const std::string& option, const std::string& tag = kTag,
                            const std::string& mount_point = kMountPoint) {
    return StatusOf(guest().Check(absl::StrCat("mkdir -p ", mount_point, "; mount -t virtiofs ",
                                               option.empty() ? "" : "-o ", option, " ", tag, " ", mount_point)));
  }

  static absl::Status Read(const TestFile& file) {
    return ReadInGuest(*machine_, GuestPath(file.name), HostPath(file.name));
  }

  // Of a file that the guest has read once, as a whole, since its in-core inode was made.
  static void ExpectDax(const TestFile& file, bool dax) {
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

  static void ExpectTold(const TestFile& file, bool dax) {
    SCOPED_TRACE(file.name);
    const absl::StatusOr<FileView> view = Observe(*machine_, file.name);
    ASSERT_OK(StatusOf(view));
    EXPECT_EQ(view->host.told_dax(), dax);
    EXPECT_EQ(view->host.decision_dax(), dax);
  }

  static v1::MountMode MountMode() {
    const absl::StatusOr<v1::Window> window = WindowOf(*machine_, kTag);
    return window.ok() ? window->mount_mode() : v1::MOUNT_MODE_UNSPECIFIED;
  }

  // The guest has fetched the file's attributes since the call: a mode that the host sets shows in the guest.
  static absl::Status WaitForFreshAttributes(const std::string& name, mode_t mode) {
    if (chmod(HostPath(name).c_str(), mode) != 0) return absl::InternalError("chmod");
    char text[8];
    snprintf(text, sizeof(text), "%o", mode);
    const absl::Time until = absl::Now() + absl::Seconds(60);
    while (absl::Now() < until) {
      absl::StatusOr<std::string> seen = guest().Check(absl::StrCat("stat -c %a ", GuestPath(name)));
      if (!seen.ok()) return seen.status();
      if (*seen == text) return absl::OkStatus();
      absl::SleepFor(absl::Milliseconds(50));
    }
    return absl::DeadlineExceededError(absl::StrCat("waited in vain for the guest to see mode ", text, " of ", name));
  }

  static Machine* machine_;

 private:
  static absl::Status boot_status_;
  static v1::SetPolicyRequest initial_policy_;
  static std::string share_dir_;
};

Machine* LinuxTest::machine_ = nullptr;
absl::Status LinuxTest::boot_status_ = absl::OkStatus();
v1::SetPolicyRequest LinuxTest::initial_policy_;
std::string LinuxTest::share_dir_;

TEST_F(LinuxTest, HasTwoCpusThatBothReachTheWindow) {
  ASSERT_OK(Mount("dax=always"));
  const absl::StatusOr<std::string> cpus = guest().Check("nproc");
  ASSERT_OK(StatusOf(cpus));
  EXPECT_EQ(*cpus, "2");
  const absl::StatusOr<std::string> first =
      guest().Check(absl::StrCat("taskset 1 daxtool read ", GuestPath("five-mib")));
  const absl::StatusOr<std::string> second =
      guest().Check(absl::StrCat("taskset 2 daxtool read ", GuestPath("five-mib")));
  ASSERT_OK(StatusOf(first));
  ASSERT_OK(StatusOf(second));
  EXPECT_EQ(*first, *second);
  ExpectDax(kLargeFile, true);
}

TEST_F(LinuxTest, DaxAlwaysMapsEveryFileWhateverThePolicy) {
  ASSERT_OK(StatusOf(control().SetNamedPolicy("never")));
  ASSERT_OK(Mount("dax=always"));
  for (const TestFile& file : kFiles) {
    ASSERT_OK(Read(file));
    ExpectDax(file, true);
  }
  EXPECT_EQ(MountMode(), v1::MOUNT_MODE_ALWAYS);
}

TEST_F(LinuxTest, DaxNeverMapsNoFileWhateverThePolicy) {
  ASSERT_OK(StatusOf(control().SetNamedPolicy("always")));
  ASSERT_OK(Mount("dax=never"));
  for (const TestFile& file : kFiles) {
    ASSERT_OK(Read(file));
    ExpectDax(file, false);
  }
  EXPECT_EQ(MountMode(), v1::MOUNT_MODE_NEVER);
}

TEST_F(LinuxTest, DaxInodeFollowsThePolicyFileByFile) {
  ASSERT_OK(Mount("dax=inode"));
  for (const TestFile& file : kFiles) {
    ASSERT_OK(Read(file));
    ExpectDax(file, DaxBySize(file));
    ExpectTold(file, DaxBySize(file));
  }
  EXPECT_EQ(MountMode(), v1::MOUNT_MODE_PER_FILE);
  const absl::StatusOr<std::string> mounts = guest().Check(absl::StrCat("grep ", kMountPoint, " /proc/mounts"));
  ASSERT_OK(StatusOf(mounts));
  EXPECT_TRUE(absl::StrContains(*mounts, "dax=inode")) << *mounts;
}

TEST_F(LinuxTest, NoOptionFollowsThePolicyFileByFile) {
  ASSERT_OK(Mount(""));
  for (const TestFile& file : kFiles) {
    ASSERT_OK(Read(file));
    ExpectDax(file, DaxBySize(file));
    ExpectTold(file, DaxBySize(file));
  }
  EXPECT_EQ(MountMode(), v1::MOUNT_MODE_PER_FILE);
  const absl::StatusOr<std::string> mounts = guest().Check(absl::StrCat("grep ", kMountPoint, " /proc/mounts"));
  ASSERT_OK(StatusOf(mounts));
  EXPECT_FALSE(absl::StrContains(*mounts, "dax=")) << *mounts;
}

// Stats and listings between the uses of a file carry attributes too. One reply among them without FUSE_ATTR_DAX would
// have the guest drop the inode at its last close, and its mappings with it.
TEST_F(LinuxTest, StatsAndListingsLeaveMappedFilesMapped) {
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(Read(kLargeFile));
  const absl::StatusOr<FileView> before = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(before));
  ASSERT_OK(StatusOf(guest().Check(absl::StrCat("ls -l ", kMountPoint))));
  ASSERT_OK(WaitForFreshAttributes(kLargeFile.name, 0640));
  ASSERT_OK(StatusOf(guest().Check(absl::StrCat("ls -l ", kMountPoint))));
  ASSERT_OK(WaitForFreshAttributes(kLargeFile.name, 0644));
  ASSERT_OK(Read(kLargeFile));
  const absl::StatusOr<FileView> after = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(after));
  EXPECT_EQ(after->host.node_id(), before->host.node_id());
  EXPECT_EQ(after->host.setup_mappings(), before->host.setup_mappings());
  ExpectDax(kLargeFile, true);
}

// protocol: an open file keeps its state; a change is noticed by a request after the attribute timeout, and is in force
// on the use after the last close.
TEST_F(LinuxTest, FlipIsNotSeenByAnOpenFileAndIsInForceAfterItsLastClose) {
  ASSERT_OK(Mount("dax=inode"));
  const std::string path = GuestPath(kLargeFile.name);
  ASSERT_OK(StatusOf(guest().Check(absl::StrCat("exec 3<", path, "; dd bs=4096 count=1 <&3 2>/dev/null | wc -c"))));
  const absl::StatusOr<FileView> open = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(open));
  EXPECT_TRUE(open->host.open());
  EXPECT_TRUE(open->host.told_dax());
  EXPECT_EQ(open->host.setup_mappings(), 1u);

  const absl::StatusOr<uint64_t> generation = control().SetNamedPolicy("never");
  ASSERT_OK(StatusOf(generation));
  ASSERT_OK(WaitForFreshAttributes(kLargeFile.name, 0640));
  // The guest has noticed. What is open goes on as it was: the rest of the file comes through new mappings.
  ASSERT_OK(StatusOf(guest().Check("cat <&3 >/dev/null")));
  const absl::StatusOr<FileView> noticed = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(noticed));
  EXPECT_TRUE(noticed->guest_dax);
  EXPECT_TRUE(noticed->host.told_dax());
  EXPECT_LT(noticed->host.told_generation(), *generation);
  EXPECT_FALSE(noticed->host.decision_dax());
  EXPECT_EQ(noticed->host.setup_mappings(), Chunks(kLargeFile.size));
  EXPECT_EQ(noticed->host.reads(), 0u);

  ASSERT_OK(StatusOf(guest().Check("exec 3<&-")));
  ASSERT_OK(WaitForDax(*machine_, kLargeFile.name, false));
  ASSERT_OK(Read(kLargeFile));
  const absl::StatusOr<FileView> reopened = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(reopened));
  EXPECT_FALSE(reopened->guest_dax);
  EXPECT_FALSE(reopened->host.told_dax());
  EXPECT_EQ(reopened->host.told_generation(), *generation);
  EXPECT_EQ(reopened->host.mapped_chunks(), 0u);
  EXPECT_GT(reopened->host.reads(), 0u);
  chmod(HostPath(kLargeFile.name).c_str(), 0644);
}

TEST_F(LinuxTest, MountedUnderNeverTheGuestGetsDaxAfterAFlipToAlways) {
  ASSERT_OK(StatusOf(control().SetNamedPolicy("never")));
  ASSERT_OK(Mount("dax=inode"));
  for (const TestFile& file : {kSmallFile, kLargeFile}) {
    ASSERT_OK(Read(file));
    ExpectDax(file, false);
  }
  ASSERT_OK(StatusOf(control().SetNamedPolicy("always")));
  for (const TestFile& file : {kSmallFile, kLargeFile}) {
    ASSERT_OK(WaitForDax(*machine_, file.name, true));
    const absl::StatusOr<FileView> before = Observe(*machine_, file.name);
    ASSERT_OK(StatusOf(before));
    ASSERT_OK(Read(file));
    const absl::StatusOr<FileView> after = Observe(*machine_, file.name);
    ASSERT_OK(StatusOf(after));
    EXPECT_TRUE(after->host.told_dax());
    EXPECT_EQ(after->host.reads(), before->host.reads());
    EXPECT_EQ(after->host.setup_mappings(), Chunks(file.size));
    EXPECT_EQ(after->host.mapped_chunks(), Chunks(file.size));
  }
}

TEST_F(LinuxTest, MountedUnderAlwaysTheGuestLosesDaxAfterAFlipToNever) {
  ASSERT_OK(StatusOf(control().SetNamedPolicy("always")));
  ASSERT_OK(Mount("dax=inode"));
  for (const TestFile& file : {kSmallFile, kLargeFile}) {
    ASSERT_OK(Read(file));
    ExpectDax(file, true);
  }
  ASSERT_OK(StatusOf(control().SetNamedPolicy("never")));
  for (const TestFile& file : {kSmallFile, kLargeFile}) {
    ASSERT_OK(WaitForDax(*machine_, file.name, false));
    ASSERT_OK(Read(file));
    const absl::StatusOr<FileView> after = Observe(*machine_, file.name);
    ASSERT_OK(StatusOf(after));
    EXPECT_FALSE(after->host.told_dax());
    EXPECT_GT(after->host.reads(), 0u);
    EXPECT_EQ(after->host.mapped_chunks(), 0u);
  }
}

TEST_F(LinuxTest, StoreThroughAMappingReachesTheHostFileWithoutAWriteRequest) {
  ASSERT_OK(WriteFile(HostPath("stored"), 1 << 20));
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(
      StatusOf(guest().Check(absl::StrCat("daxtool mmap-write ", GuestPath("stored"), " 700000 from-the-guest"))));
  UniqueFd fd(open(HostPath("stored").c_str(), O_RDONLY | O_CLOEXEC));
  char text[14] = {};
  ASSERT_EQ(pread(fd.get(), text, 14, 700000), 14);
  EXPECT_EQ(std::string(text, 14), "from-the-guest");
  const absl::StatusOr<FileView> view = Observe(*machine_, "stored");
  ASSERT_OK(StatusOf(view));
  EXPECT_TRUE(view->guest_dax);
  EXPECT_GT(view->host.setup_mappings(), 0u);
  EXPECT_EQ(view->host.writes(), 0u);
  EXPECT_EQ(view->host.reads(), 0u);
}

TEST_F(LinuxTest, HostStoresShowThroughAMappingThatTheGuestHolds) {
  ASSERT_OK(WriteFile(HostPath("watched"), 64 << 10));
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(StatusOf(guest().Check(absl::StrCat("mkfifo /tmp/hold; daxtool hold ", GuestPath("watched"),
                                                " </tmp/hold >/tmp/held & holder=$!; exec 4>/tmp/hold; echo sum >&4; "
                                                "until grep -q sum= /tmp/held; do usleep 10000; done; rm /tmp/hold"))));
  UniqueFd fd(open(HostPath("watched").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(pwrite(fd.get(), "\xff", 1, 40000), 1);
  const absl::StatusOr<std::string> sums = guest().Check(
      "echo sum >&4; until [ $(grep -c sum= /tmp/held) = 2 ]; do usleep 10000; done; grep sum= /tmp/held | uniq | wc "
      "-l");
  ASSERT_OK(StatusOf(sums));
  EXPECT_EQ(*sums, "2") << "the second sum is that of the old bytes";
  const absl::StatusOr<FileView> view = Observe(*machine_, "watched");
  ASSERT_OK(StatusOf(view));
  EXPECT_TRUE(view->host.open());
  EXPECT_EQ(view->host.reads(), 0u);
}

TEST_F(LinuxTest, ReadOnlyShareIsMappedAndRefusesWrites) {
  ASSERT_OK(Mount("dax=always", kReadOnlyTag, kReadOnlyMountPoint));
  const std::string path = absl::StrCat(kReadOnlyMountPoint, "/", kLargeFile.name);
  ASSERT_OK(ReadInGuest(*machine_, path, HostPath(kLargeFile.name)));
  const absl::StatusOr<FileView> view = Observe(*machine_, kLargeFile.name, kReadOnlyTag, kReadOnlyMountPoint);
  ASSERT_OK(StatusOf(view));
  EXPECT_EQ(view->host.mapped_chunks(), Chunks(kLargeFile.size));
  EXPECT_EQ(view->host.reads(), 0u);
  const absl::StatusOr<CommandResult> store = guest().Run(absl::StrCat("daxtool mmap-write ", path, " 0 x"));
  ASSERT_OK(StatusOf(store));
  EXPECT_NE(store->status, 0);
  EXPECT_TRUE(absl::StrContains(store->output, "Read-only file system")) << store->output;
}

absl::Status SetPersistentDaxFlag(const std::string& path, bool on) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  fsxattr attributes = {};
  if (!fd.valid() || ioctl(fd.get(), FS_IOC_FSGETXATTR, &attributes) < 0) {
    return absl::InternalError(absl::StrCat(path, ": cannot get FS_XFLAG_DAX"));
  }
  attributes.fsx_xflags &= ~static_cast<uint32_t>(FS_XFLAG_DAX);
  if (on) attributes.fsx_xflags |= FS_XFLAG_DAX;
  if (ioctl(fd.get(), FS_IOC_FSSETXATTR, &attributes) < 0) {
    return absl::InternalError(absl::StrCat(path, ": cannot set FS_XFLAG_DAX"));
  }
  return absl::OkStatus();
}

TEST_F(LinuxTest, PersistentFlagPolicyFollowsTheFlagOfTheInode) {
  const std::string& dir = TestEnvironment().ext4_dir;
  if (dir.empty()) GTEST_SKIP() << "no directory on ext4 (--ext4_dir)";
  const std::string with = absl::StrCat(dir, "/with");
  const std::string without = absl::StrCat(dir, "/without");
  ASSERT_OK(WriteFile(with, 8192));
  ASSERT_OK(WriteFile(without, 1 << 20));
  ASSERT_OK(SetPersistentDaxFlag(with, true));
  ASSERT_OK(Mount("dax=inode", kFlagsTag, kFlagsMountPoint));
  ASSERT_OK(ReadInGuest(*machine_, absl::StrCat(kFlagsMountPoint, "/with"), with));
  ASSERT_OK(ReadInGuest(*machine_, absl::StrCat(kFlagsMountPoint, "/without"), without));

  absl::StatusOr<FileView> flagged = Observe(*machine_, "with", kFlagsTag, kFlagsMountPoint);
  ASSERT_OK(StatusOf(flagged));
  EXPECT_TRUE(flagged->guest_dax);
  EXPECT_EQ(flagged->host.setup_mappings(), 1u);
  EXPECT_EQ(flagged->host.reads(), 0u);
  EXPECT_TRUE(absl::StartsWith(flagged->host.decision_rule(), "flags/")) << flagged->host.decision_rule();
  absl::StatusOr<FileView> plain = Observe(*machine_, "without", kFlagsTag, kFlagsMountPoint);
  ASSERT_OK(StatusOf(plain));
  EXPECT_FALSE(plain->guest_dax);
  EXPECT_EQ(plain->host.setup_mappings(), 0u);
  EXPECT_GT(plain->host.reads(), 0u);

  ASSERT_OK(SetPersistentDaxFlag(without, true));
  ASSERT_OK(WaitForDax(*machine_, "without", true, kFlagsMountPoint));
}

// How a machine ends. Each case needs one of its own.
class LinuxEndTest : public testing::Test {
 protected:
  void SetUp() override {
    GuestOptions options;
    options.daxvmm = TestEnvironment().daxvmm;
    options.kernel = TestEnvironment().kernel;
    options.initrd = TestEnvironment().initrd;
    options.memory = "256M";
    absl::StatusOr<std::unique_ptr<LinuxGuest>> guest = LinuxGuest::Boot(options);
    ASSERT_OK(StatusOf(guest));
    guest_ = *std::move(guest);
  }

  void ExpectExitStatus(int expected) {
    const absl::StatusOr<int> status = guest_->WaitForExit();
    ASSERT_OK(StatusOf(status));
    EXPECT_EQ(*status, expected) << guest_->ConsoleTail();
  }

  std::unique_ptr<LinuxGuest> guest_;
};

TEST_F(LinuxEndTest, PowerOffIsStatus0) {
  ASSERT_OK(guest_->Send("poweroff -f"));
  ExpectExitStatus(0);
}

TEST_F(LinuxEndTest, RebootIsStatus3) {
  ASSERT_OK(guest_->Send("reboot -f"));
  ExpectExitStatus(3);
}

TEST_F(LinuxEndTest, PanicIsStatus4) {
  ASSERT_OK(guest_->Send("echo c >/proc/sysrq-trigger"));
  ExpectExitStatus(4);
}

TEST_F(LinuxEndTest, CtrlAXIsStatus6) {
  ASSERT_OK(guest_->Type("\x01x"));
  ExpectExitStatus(6);
}

TEST_F(LinuxEndTest, SigtermPressesThePowerButton) {
  // init has started the listener before it was ready; wait until it holds the button's device.
  ASSERT_OK(StatusOf(
      guest_->Check("until ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q /dev/input/event; do usleep 50000; done")));
  guest_->Signal(SIGTERM);
  ExpectExitStatus(0);
}

}  // namespace
}  // namespace daxvmm::linux_test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  absl::ParseCommandLine(argc, argv);
  return RUN_ALL_TESTS();
}
