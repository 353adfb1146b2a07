// A booted guest on a share, with its control plane: what the Linux tests and the quick start have in common.
#ifndef DAXVMM_TESTS_LINUX_MACHINE_H_
#define DAXVMM_TESTS_LINUX_MACHINE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "control/client.h"
#include "tests/linux/guest.h"

namespace daxvmm::linux_test {

// From the flags --daxvmm, --kernel, --initrd, --workdir, --ext4_dir, --rootfs, which machine.cc defines.
struct Environment {
  std::string daxvmm;
  std::string kernel;
  std::string initrd;
  std::string workdir;   // an existing directory for shares and sockets
  std::string ext4_dir;  // a writable directory on ext4; empty if there is none
  std::string rootfs;    // a Debian tree, as scripts/lib/fetch-rootfs makes it; empty if there is none
};
// INVALID_ARGUMENT naming the flag that lacks a value or points nowhere.
absl::StatusOr<Environment> EnvironmentFromFlags();

inline constexpr char kTag[] = "data";
inline constexpr char kMountPoint[] = "/mnt/share";
inline constexpr uint64_t kSizeThreshold = 32 * 1024;  // of the default policy; DAX from here up

struct Machine {
  std::unique_ptr<LinuxGuest> guest;
  std::unique_ptr<control::Client> control;
  std::string control_socket;
};
// `options` says all but the paths and the control socket, which come from `environment`.
absl::StatusOr<Machine> BootMachine(const Environment& environment, GuestOptions options);
// The same, but without waiting for the guest: see LinuxGuest::Start.
absl::StatusOr<Machine> StartMachine(const Environment& environment, GuestOptions options);

// What a host program printed, both outputs, and how it ended.
struct HostResult {
  int status = 0;  // -1 if a signal ended it
  std::string output;
};
// Runs `daxvmmctl` of the environment's directory on the machine's socket.
absl::StatusOr<HostResult> RunDaxvmmctl(const Environment& environment, const Machine& machine,
                                        const std::string& arguments);

// nullopt if the guest does not hold the file.
absl::StatusOr<std::optional<v1::LiveFile>> FindFile(Machine& machine, const std::string& tag, const std::string& path);
absl::StatusOr<v1::Window> WindowOf(Machine& machine, const std::string& tag);

// Makes `path` with `size` bytes of guest/pattern.h, which daxtool knows.
absl::Status WriteFile(const std::string& path, uint64_t size);

// The guest reads all of a file: OK if it saw the very bytes that the host has at `host_path`.
absl::Status ReadInGuest(Machine& machine, const std::string& guest_path, const std::string& host_path);

// One file, as both sides see it.
struct FileView {
  v1::LiveFile host;
  uint64_t guest_size = 0;
  bool guest_dax = false;  // STATX_ATTR_DAX
};
// `path` is relative to the share `tag`, mounted on `mount_point`. NOT_FOUND if the host does not list it.
absl::StatusOr<FileView> Observe(Machine& machine, const std::string& path, const std::string& tag = kTag,
                                 const std::string& mount_point = kMountPoint);

// The guest stats the file until it sees STATX_ATTR_DAX as `dax`: the attribute timeout has to pass, and the use that
// notices a change is still served by the old inode. No file descriptor may be open on it.
absl::Status WaitForDax(Machine& machine, const std::string& path, bool dax,
                        const std::string& mount_point = kMountPoint);

}  // namespace daxvmm::linux_test

#endif  // DAXVMM_TESTS_LINUX_MACHINE_H_
