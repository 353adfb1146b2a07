// What a machine is to be. A plain value: the command line makes one, and so does an embedder.
#ifndef DAXVMM_VMM_CONFIG_H_
#define DAXVMM_VMM_CONFIG_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/units.h"
#include "devices/virtio_fs/dax/policy.h"
#include "devices/virtio_fs/fs/share_options.h"

namespace daxvmm::control {
class StateCodec;
}  // namespace daxvmm::control

namespace daxvmm::vmm {

// A host directory that the guest mounts by its tag.
struct ShareConfig {
  // The directory, and how it is served. `max_descriptors` 0: an equal part of three quarters of RLIMIT_NOFILE.
  fs::ShareOptions options;
  std::string tag;       // 1 to 36 bytes, without a newline; unique in the machine
  ByteCount dax_window;  // a multiple of 2 MiB; 0: no window, hence no DAX
  // As much of the window is for files that become DAX; a multiple of 2 MiB, at most the window; 0: all of it.
  ByteCount dax_quota;
  // Rules that stand before the machine's for files of this share.
  std::optional<dax::Policy> policy;
};

struct MachineConfig {
  std::string kernel;
  std::string initrd;  // empty: none
  std::string cmdline = "console=ttyS0";
  unsigned cpus = 1;
  ByteCount memory = MiB(512);
  std::vector<ShareConfig> shares;
  dax::Policy policy = dax::DefaultPolicy();
  // Where `policy` was read from, if somebody watches that file and tells the machine of its changes; empty: nobody
  // does. While it is not empty, a policy from the control plane has to be forced.
  std::string policy_file;
  // `policy` was asked for, and is not the one of a machine that was told nothing: worth a line where it does not
  // count.
  bool policy_given = false;
  // Where policy, overrides and history are kept over a restart (docs/policy_state.md); empty: they are not. One
  // machine at a time.
  std::string state_dir;
  // A state there that is torn, damaged or of another version is set aside, and the machine starts as with none; else
  // it does not start.
  bool reset_bad_state = false;
  // Null: that of the control library, which is located and loaded. A process that has the contract linked in gives
  // control/saved_policy_codec.h's.
  std::shared_ptr<const control::StateCodec> state_codec;
  // The file that tells who changed the policy; empty: none does.
  std::string audit_log;
  std::string kvm_path = "/dev/kvm";
  // How long the guest may take to power off when it is asked to, if nobody says otherwise.
  std::chrono::seconds shutdown_timeout{30};
};

inline constexpr unsigned kMaxCpus = 64;
inline constexpr ByteCount kMinMemory = MiB(32);
inline constexpr ByteCount kMaxMemory = GiB(1024);

// What can be said without opening anything. INVALID_ARGUMENT whose message begins with the name of the field at fault
// as the command line spells it, without dashes: "mem: ...", "share: tag 'x': ...".
absl::Status Validate(const MachineConfig& config);

// One list: each share's rules, in the order of the shares, before those of `policy`, the machine's.
dax::Policy ComposePolicy(const MachineConfig& config, const dax::Policy& policy);

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_CONFIG_H_
