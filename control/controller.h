// What the control plane asks of a running machine, in plain structs: no protobuf, no gRPC. The machine implements it;
// the gRPC adapters, and an embedder that wants no gRPC, call it.
#ifndef DAXVMM_CONTROL_CONTROLLER_H_
#define DAXVMM_CONTROL_CONTROLLER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/units.h"
#include "control/audit_log.h"
#include "control/console_log.h"
#include "control/event_log.h"
#include "control/metrics_snapshot.h"
#include "devices/virtio_fs/dax/convergence.h"
#include "devices/virtio_fs/dax/policy.h"
#include "devices/virtio_fs/dax/policy_override.h"
#include "devices/virtio_fs/dax/policy_store.h"

namespace daxvmm::control {

// What was wrong with a watched policy file when it was last read.
struct PolicyFileError {
  std::string message;  // "FILE:12: rules[3].size_below: ..."
  absl::Time time;
};

struct PolicyState {
  uint64_t generation = 0;
  dax::Policy policy;
  std::vector<dax::Override> overrides;
  dax::PolicySource source;  // of this generation
  absl::Time since;          // when it came into force; wall clock
  std::string watched_file;  // its path; empty: none
  // Set while the file's present content is not in force because of it.
  std::optional<PolicyFileError> watched_file_error;
  std::string etag;  // names this generation, of this run of this machine
};

struct PolicySetOptions {
  std::optional<uint64_t> expected_generation;  // refuse unless this is in force
  std::string expected_etag;                    // and this; empty: whichever is
  bool force = false;                           // replace what a watched file says, too
  dax::PolicyParts parts;                       // what SetPolicy takes of the policy it is given
  std::string requester;                        // "uid 0"; goes into the source of the generation
};

// What any change of the policy is answered with.
struct PolicyChange {
  uint64_t generation = 0;  // now in force
  std::string etag;         // of it
  // The longest of the shares with a window: after it a guest that uses a file notices. 0 without any.
  absl::Duration attribute_timeout;
};

// What a policy would decide otherwise than the one in force.
struct PolicyPreview {
  PolicyChange in_force;  // nothing changed
  struct File {
    std::string share_tag;
    std::string path;  // bytes
    uint64_t node_id = 0;
    bool dax = false;  // it would become DAX; false: would cease to be
    std::string rule;  // that would decide
  };
  uint64_t gaining = 0;
  uint64_t losing = 0;
  uint64_t live = 0;        // live regular files that were looked at
  std::vector<File> files;  // the first of those that would change, by share and path
};

using dax::Convergence;
using dax::ConvergenceCounts;

// A node that the guest holds a lookup reference to, and that is a regular file.
struct LiveFile {
  std::string share_tag;
  uint64_t node_id = 0;
  std::string path;  // relative to the share, without a leading slash; bytes
  ByteCount size;
  bool decision_dax = false;     // what the policy in force says now
  std::string decision_rule;     // the rule that made it
  std::string reason;            // more about an adaptive verdict; may be empty
  bool overridden = false;       // an override decides
  std::optional<bool> told_dax;  // what the guest was told when its inode was instantiated; nullopt: not known
  uint64_t told_generation = 0;  // the policy generation of that answer
  Convergence convergence = Convergence::kConverged;
  absl::Duration attributes_left;  // until the guest's attributes run out; with kAttributesCached only
  bool open = false;               // some handle is open on it
  uint32_t mapped_chunks = 0;      // 2 MiB ranges of the window that hold it now
  // Since it came to life:
  uint64_t setup_mappings = 0;         // SETUPMAPPING requests that succeeded
  uint64_t unmaps = 0;                 // ranges removed
  uint64_t reads = 0;                  // FUSE_READ requests
  uint64_t writes = 0;                 // FUSE_WRITE requests
  uint64_t mapped_against_policy = 0;  // SETUPMAPPING against the policy: served if advisory, else denied
};

// Which live files a list is to have, and in which order; share and path decide between equals.
struct FileQuery {
  enum class Order { kPath, kMappedChunks, kReads, kSize, kSetupMappings };  // all but kPath: the most first
  // Where a file is in the order.
  struct Place {
    uint64_t amount = 0;  // what the order goes by; 0 with kPath
    std::string share_tag;
    std::string path;  // bytes
    uint64_t node_id = 0;
    bool operator==(const Place&) const = default;
  };

  std::string share_tag;            // empty: all
  std::vector<Convergence> states;  // one of these; empty: any
  std::optional<bool> decision_dax;
  std::optional<bool> told_dax;
  std::optional<bool> open;
  std::optional<bool> mapped;
  std::optional<bool> overridden;
  std::string subtree;  // bytes; below this directory; empty: anywhere
  Order order = Order::kPath;
  std::optional<Place> after;  // only files behind it
  size_t limit = 1000;
};

struct FilePage {
  struct Entry {
    FileQuery::Place place;  // as it was compared; the file below was looked at later
    LiveFile file;
  };
  std::vector<Entry> entries;
  uint64_t total = 0;  // that fulfil the conditions, wherever they are in the order
  // Where the next page begins; nullopt: there is none. May be set with fewer entries than asked for, or none.
  std::optional<FileQuery::Place> next_after;
};

// How the client of a share mounted it, as told by FUSE_INIT.
enum class MountMode { kNotMounted, kNever, kAlways, kPerFile };

// All counters are since start.
struct WindowUse {
  std::string share_tag;
  ByteCount capacity;  // 0: the share has no window
  GuestPhysAddr guest_base;
  bool read_only = false;
  MountMode mount_mode = MountMode::kNotMounted;
  uint64_t mapped_chunks = 0;
  uint64_t mapped_chunks_max = 0;  // high-water mark
  uint64_t maps = 0;               // SETUPMAPPING that succeeded
  uint64_t unmaps = 0;             // ranges removed by REMOVEMAPPING
  uint64_t rejected = 0;           // SETUPMAPPING and REMOVEMAPPING refused
  uint64_t dropped_stores = 0;     // guest stores to a read-only window, dropped
  double maps_per_second[3] = {};  // over the last 1, 10 and 60 s
  double unmaps_per_second[3] = {};
  uint64_t reused_soon = 0;      // ranges mapped again soon after they were removed
  uint64_t repairs = 0;          // mappings found wrong and made anew
  uint64_t restores = 0;         // withdrawn pages given back to files that had grown again
  uint64_t stores_past_end = 0;  // guest stores past the end of a file
  uint64_t files_extended = 0;   // files made longer for such stores
  uint64_t against_policy = 0;   // SETUPMAPPING against the policy that was served (advisory)
  uint64_t denied = 0;           // and that was refused
  ByteCount quota;               // what files may be made DAX for; 0: none
  bool quota_reached = false;    // no further file is made DAX at present
  uint64_t total_chunks = 0;     // 2 MiB ranges
  // With fewer ranges free a Linux guest reclaims in the background; see dax::kReclaimPercent.
  uint64_t reclaim_threshold_chunks = 0;

  uint64_t free_chunks() const { return total_chunks > mapped_chunks ? total_chunks - mapped_chunks : 0; }
};

// A range of a window that lies over a range of a file.
struct WindowMapping {
  std::string share_tag;
  WindowOffset at;
  ByteCount length;
  GuestPhysAddr guest_address;  // of its first byte
  uint64_t node_id = 0;
  std::string path;  // bytes; empty: not known any more
  FileOffset from;   // what of the file lies there
  bool writable = false;
  uint64_t policy_generation = 0;  // in force when the guest mapped it
  absl::Time mapped_at;            // wall clock
};

struct MappingQuery {
  struct Place {
    std::string share_tag;
    WindowOffset at;
    bool operator==(const Place&) const = default;
  };
  std::string share_tag;                                    // empty: all
  std::optional<std::variant<uint64_t, std::string>> file;  // of this file of the share alone: node id, or path (bytes)
  std::optional<Place> after;                               // only mappings behind it
  size_t limit = 1000;
};

// Sorted by share and offset.
struct MappingPage {
  std::vector<WindowMapping> mappings;
  uint64_t total = 0;  // that fulfil the conditions
  bool more = false;   // there are mappings behind the last one
};

enum class MachineState { kCreated, kRunning, kPaused, kShuttingDown, kEnded };

struct ShareInfo {
  std::string tag;
  std::string path;  // of the host
  bool read_only = false;
  ByteCount window;  // 0: none
  MountMode mount_mode = MountMode::kNotMounted;
};

struct MachineInfo {
  MachineState state = MachineState::kCreated;
  unsigned cpus = 0;
  ByteCount memory;
  std::vector<ShareInfo> shares;
  absl::Time created;
  std::optional<absl::Time> started;   // when the first vCPU ran
  std::optional<absl::Time> force_at;  // with kShuttingDown: when it is ended by force
  std::string end_reason;              // with kEnded
};

struct ShutdownOptions {
  std::optional<absl::Duration> timeout;  // from now to the end by force; nullopt: the machine's own
  bool force = false;                     // at once
  std::string requester;                  // "uid 0"
};

struct FactLine {
  std::string name;   // "size", "owner", "path"
  std::string value;  // bytes
};

struct ExplainStep {
  std::string rule;
  bool matched = false;
  std::string why;
};

struct Explanation {
  std::string share_tag;
  std::string path;      // bytes
  uint64_t node_id = 0;  // 0: not live
  bool live = false;     // the guest holds it
  std::vector<FactLine> facts;
  std::vector<ExplainStep> steps;  // rules looked at, in order; the last one decided
  bool dax = false;
  std::string rule;
  std::string reason;  // as in LiveFile
  uint64_t generation = 0;
  // Of live files only, as in LiveFile:
  std::optional<bool> told_dax;
  uint64_t told_generation = 0;
  Convergence convergence = Convergence::kConverged;
  absl::Duration attributes_left;
  bool open = false;
  uint32_t mapped_chunks = 0;
  uint64_t setup_mappings = 0;
  uint64_t unmaps = 0;
  uint64_t reads = 0;
  uint64_t writes = 0;
  uint64_t mapped_against_policy = 0;
  // Of every file:
  std::optional<dax::Override> override;  // that decides
  bool adaptive = false;                  // what decides says "adaptive"
  dax::Enforcement enforcement = dax::Enforcement::kAdvisory;
  MountMode mount_mode = MountMode::kNotMounted;
};

// A file by what names it: a node id, or a path relative to the share.
struct FileRef {
  std::string share_tag;
  std::variant<uint64_t, std::string> file;
};

// Any thread may call any method; none blocks on the guest. A share's tag that the machine does not have is NOT_FOUND.
class Controller {
 public:
  virtual ~Controller() = default;
  virtual PolicyState GetPolicy() const = 0;
  // Replaces the policy; overrides stay. See dax::PolicyStore for the errors.
  virtual absl::StatusOr<PolicyChange> SetPolicy(const dax::Policy& policy, const PolicySetOptions& options) = 0;
  // Replaces the override of the same file.
  virtual absl::StatusOr<PolicyChange> SetOverride(const dax::Override& override, const PolicySetOptions& options) = 0;
  // NOT_FOUND if the file has none.
  virtual absl::StatusOr<PolicyChange> ClearOverride(const FileRef& file, const PolicySetOptions& options) = 0;
  // The last 256 generations, oldest first.
  virtual std::vector<dax::PolicyHistoryEntry> PolicyHistory() const = 0;
  // NOT_FOUND if there is no such file.
  virtual absl::StatusOr<Explanation> Explain(const FileRef& file) const = 0;
  // Of one share, or of all if `share_tag` is empty; sorted by share and path.
  virtual absl::StatusOr<std::vector<LiveFile>> ListFiles(const std::string& share_tag) const = 0;
  // A part of them. Goes through all live files by what the guest was told of them last, and looks only at those of the
  // page more closely, whatever the limit.
  virtual absl::StatusOr<FilePage> QueryFiles(const FileQuery& query) const = 0;
  // Looks at every live file, off the data path: some 0.2 s for a million.
  virtual absl::StatusOr<ConvergenceCounts> GetConvergence(const std::string& share_tag) const = 0;
  virtual absl::StatusOr<std::vector<WindowUse>> GetWindows(const std::string& share_tag) const = 0;
  // What SetPolicy with the same arguments would answer, and if that is a change, what it would mean: decided for every
  // live file, off the data path. At most `limit` files are named.
  virtual absl::StatusOr<PolicyPreview> PreviewPolicy(const dax::Policy& policy, const PolicySetOptions& options,
                                                      size_t limit) const = 0;
  // NOT_FOUND also for a file that neither is live nor has mappings.
  virtual absl::StatusOr<MappingPage> QueryMappings(const MappingQuery& query) const = 0;

  virtual MachineInfo GetMachine() const = 0;
  // FAILED_PRECONDITION that names the state, where the machine is not in one for it; see control/machine_state.h.
  virtual absl::Status StartMachine() = 0;
  // Returns when no vCPU runs guest code any more. ABORTED, and the machine runs on, if one does not leave it in time.
  virtual absl::Status PauseMachine() = 0;
  virtual absl::Status ResumeMachine() = 0;
  // When it is ended by force. A machine that has not started is ended now, a paused one is resumed for it.
  virtual absl::StatusOr<absl::Time> ShutdownMachine(const ShutdownOptions& options) = 0;

  // Takes microseconds, and for moments locks that requests take too: not to be asked for without end.
  virtual MetricsSnapshot GetMetrics() const = 0;
  // Who counts control calls, for GetMetrics; null: nobody does any more, and on return nobody is being asked.
  virtual void SetCallCounts(const ControlCallCounts* counts) = 0;
  // Where calls that were not let through are to be written as well; null: there is none. Changes of the policy that
  // reached the controller are written by it, refused ones too.
  virtual AuditLog* audit_log() { return nullptr; }
  // What has happened, and what the guest wrote: as old as the machine, and read while it happens.
  virtual EventLog& events() = 0;
  virtual ConsoleLog& console() = 0;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CONTROLLER_H_
