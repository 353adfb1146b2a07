// What the control plane asks of a running machine, in plain structs: no protobuf, no gRPC. The machine implements it;
// the gRPC adapters, and an embedder that wants no gRPC, call it.
#ifndef DAXVMM_CONTROL_CONTROLLER_H_
#define DAXVMM_CONTROL_CONTROLLER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/units.h"
#include "devices/virtio_fs/dax/policy.h"

namespace daxvmm::control {

struct PolicyState {
  uint64_t generation = 0;
  dax::Policy policy;
};

// A node that the guest holds a lookup reference to, and that is a regular file.
struct LiveFile {
  std::string share_tag;
  uint64_t node_id = 0;
  std::string path;  // relative to the share, without a leading slash; of the name it was first looked up by
  ByteCount size;
  bool decision_dax = false;     // what the policy in force says now
  std::string decision_rule;     // the rule that made it
  bool told_dax = false;         // what the guest was told when its inode was instantiated
  uint64_t told_generation = 0;  // the policy generation of that answer
  bool open = false;             // some handle is open on it
  uint32_t mapped_chunks = 0;    // 2 MiB ranges of the window that hold it now
  uint64_t setup_mappings = 0;   // SETUPMAPPING requests that succeeded since it came to life
  uint64_t reads = 0;            // FUSE_READ requests since then
  uint64_t writes = 0;           // FUSE_WRITE requests since then
};

// How the client of a share mounted it, as told by FUSE_INIT.
enum class MountMode { kNotMounted, kNever, kAlways, kPerFile };

struct WindowUse {
  std::string share_tag;
  ByteCount capacity;  // 0: the share has no window
  GuestPhysAddr guest_base;
  bool read_only = false;
  MountMode mount_mode = MountMode::kNotMounted;
  uint64_t mapped_chunks = 0;
  uint64_t mapped_chunks_max = 0;  // high-water mark since start
  uint64_t maps = 0;               // SETUPMAPPING that succeeded since start
  uint64_t unmaps = 0;             // ranges removed by REMOVEMAPPING since start
  uint64_t rejected = 0;           // SETUPMAPPING and REMOVEMAPPING refused since start
  uint64_t dropped_stores = 0;     // guest stores to a read-only window, dropped
};

// Any thread may call any method; none blocks on the guest.
class Controller {
 public:
  virtual ~Controller() = default;
  virtual PolicyState GetPolicy() const = 0;
  // The new generation; see dax::PolicyStore::Set for the errors.
  virtual absl::StatusOr<uint64_t> SetPolicy(const dax::Policy& policy,
                                             std::optional<uint64_t> expected_generation) = 0;
  // Of one share, or of all if `share_tag` is empty; sorted by share and path. NOT_FOUND for an unknown tag.
  virtual absl::StatusOr<std::vector<LiveFile>> ListFiles(const std::string& share_tag) const = 0;
  virtual absl::StatusOr<std::vector<WindowUse>> GetWindows(const std::string& share_tag) const = 0;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CONTROLLER_H_
