// The machine that the cases of LinuxTest share, since a boot under TCG takes long: as many shares as a machine can
// have, two vCPUs, a control plane. Each case mounts afresh and leaves nothing behind.
#ifndef DAXVMM_TESTS_LINUX_LINUX_FIXTURE_H_
#define DAXVMM_TESTS_LINUX_LINUX_FIXTURE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "tests/linux/checks.h"

namespace daxvmm::linux_test {

// Shares on ext4, whose policy is the inode's own hint; there if the environment has such a directory. The first keeps
// it as the host inode's flag, the second where daxvmm does by default.
inline constexpr char kFlagsTag[] = "flags";
inline constexpr char kFlagsMountPoint[] = "/mnt/flags";
inline constexpr char kHintsTag[] = "hints";
inline constexpr char kHintsMountPoint[] = "/mnt/hints";
inline constexpr char kReadOnlyTag[] = "readonly";  // the same files as in kTag, not to be written
inline constexpr char kReadOnlyMountPoint[] = "/mnt/readonly";
// Directories of their own, with a window.
inline constexpr char kPatientTag[] = "patient";  // names and attributes may be trusted for kPatientSeconds
inline constexpr char kPatientMountPoint[] = "/mnt/patient";
inline constexpr int kPatientSeconds = 600;
inline constexpr char kQuotaTag[] = "quota";  // files are made DAX for kQuotaChunks chunks of 8
inline constexpr char kQuotaMountPoint[] = "/mnt/quota";
inline constexpr uint64_t kQuotaChunks = 4;
inline constexpr char kForgetfulTag[] = "forgetful";  // keeps the DAX hint in memory; its policy is the hint
inline constexpr char kForgetfulMountPoint[] = "/mnt/forgetful";
inline constexpr char kManyMountPoint[] = "/mnt/many";  // below it, by their tags, the others
inline constexpr uint64_t kChunk = 2 << 20;             // what one SETUPMAPPING of Linux maps

struct TestFile {
  const char* name;
  uint64_t size;
};
inline constexpr TestFile kFiles[] = {{"small", 4096},      {"below-32k", 32767}, {"exactly-32k", 32768},
                                      {"above-32k", 32769}, {"one-mib", 1 << 20}, {"five-mib", 5 << 20}};
inline constexpr TestFile kSmallFile = kFiles[0];
inline constexpr TestFile kLargeFile = kFiles[5];

inline uint64_t Chunks(uint64_t size) { return (size + kChunk - 1) / kChunk; }
inline bool DaxBySize(const TestFile& file) { return file.size >= kSizeThreshold; }
inline constexpr char kNarrowTag[] = "narrow";  // a window of kNarrowChunks
inline constexpr char kNarrowMountPoint[] = "/mnt/narrow";
inline constexpr uint64_t kNarrowChunks = 8;
std::string GuestPath(const std::string& name);  // of a file of kTag

class LinuxTest : public testing::Test {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  void SetUp() override;
  // After each case: nothing stays mapped once the guest has unmounted, whether or not it removed its mappings.
  void TearDown() override;

  static LinuxGuest& guest() { return *machine_->guest; }
  static control::Client& control() { return *machine_->control; }
  // Where kTag lies on the host.
  static std::string HostPath(const std::string& name);
  // A share that is there only to be one of many.
  struct OtherShare {
    std::string tag;
    std::string host_dir;
  };
  static const std::vector<OtherShare>& other_shares() { return other_shares_; }
  // Those that are there for what they do.
  struct NamedShare {
    std::string tag;
    std::string mount_point;
    std::string host_dir;
  };
  static const std::vector<NamedShare>& named_shares() { return named_shares_; }

  // `option` is what follows -o; empty for none.
  static absl::Status Mount(const std::string& option, const std::string& tag = kTag,
                            const std::string& mount_point = kMountPoint);
  static absl::Status Read(const TestFile& file);
  // Where one of named_shares lies on the host.
  static std::string HostDir(const std::string& tag);
  // Of a file that the guest has read once, as a whole, since its in-core inode was made.
  static void ExpectDax(const TestFile& file, bool dax);
  static void ExpectTold(const TestFile& file, bool dax);
  static v1::MountMode MountMode();
  // Has the guest open and map a file of kTag and load all of it: daxtool holds it, as the job $holder, until
  // descriptor 4 of the shell is closed, takes its orders from there and answers in /tmp/held.
  static absl::Status Hold(const std::string& name);
  // The same, but nothing is loaded yet.
  static absl::Status HoldUntouched(const std::string& name);
  // Gives the holder an order (tests/linux/guest/hold.c) and returns the line that it answers.
  static absl::StatusOr<std::string> AskHolder(const std::string& order);
  // Ends the holder: the file is closed.
  static absl::Status LetGo();

  // The guest has fetched the file's attributes since the call: a mode that the host sets shows in the guest. The guest
  // is asked by `command`, which prints "mode=OCTAL" somewhere in a line.
  static absl::Status WaitForFreshAttributes(const std::string& name, mode_t mode, const std::string& command);
  // The same by the file's path.
  static absl::Status WaitForFreshAttributes(const std::string& name, mode_t mode);

  static Machine* machine_;

 private:
  static absl::Status MakeShares(GuestOptions* options);

  static absl::Status boot_status_;
  static v1::SetPolicyRequest initial_policy_;
  static std::string share_dir_;
  static std::vector<OtherShare> other_shares_;
  static std::vector<NamedShare> named_shares_;
};

}  // namespace daxvmm::linux_test

#endif  // DAXVMM_TESTS_LINUX_LINUX_FIXTURE_H_
