// What each live file of a share was told about DAX, and what the policy says of it now.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_INODE_STATES_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_INODE_STATES_H_

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/mutex.h"
#include "base/units.h"
#include "devices/virtio_fs/dax/adaptive_types.h"
#include "devices/virtio_fs/dax/compiled_policy.h"
#include "devices/virtio_fs/dax/convergence.h"
#include "devices/virtio_fs/dax/inode_record.h"
#include "devices/virtio_fs/dax/policy_store.h"
#include "devices/virtio_fs/dax/window.h"
#include "devices/virtio_fs/fuse/inode_observer.h"
#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::dax {

// How the client of a session goes by the policy.
enum class SessionMode {
  kNone,     // no session
  kNever,    // it maps nothing
  kAlways,   // dax=always: it maps every regular file, whatever it is told
  kPerFile,  // it maps the files that it is told of; FUSE_HAS_INODE_DAX was negotiated
};

// Where the verdicts of the outcome `adaptive` come from. Called on request threads, several at once, under no lock.
class AdaptiveVerdicts {
 public:
  virtual ~AdaptiveVerdicts() = default;
  // The verdict for a file that comes to life. To be kept, until another one is set.
  virtual bool Admit(NodeId node, const NewFile& file) = 0;
  // What that verdict would be.
  virtual bool WouldAdmit(const NewFile& file) const = 0;
  // Why a live file has its verdict, in a line for an operator; empty if nothing is known of it.
  virtual std::string Reason(FileIdentity file) const = 0;
  // Something was mapped for a file that has a verdict.
  virtual void Mapped() = 0;
  // The guest has forgotten the file; `last` is what it did.
  virtual void Forgotten(NodeId node, const FileSample& last) = 0;
};

struct InodeStatesOptions {
  std::string share_tag;
  bool read_only = false;  // the share is
  // For how long a guest may go by what it was told, unasked.
  std::chrono::milliseconds attribute_timeout{1000};
  // Window chunks from which on no further file becomes DAX; 0: all that there are.
  uint64_t quota_chunks = 0;
  // Nanoseconds of a steady clock, for tests; empty: the host's.
  std::function<int64_t()> clock;
};

// What is known of a file when somebody asks what the policy says of it.
struct FileFacts {
  mode_t mode = 0;
  ByteCount size;
  uint32_t uid = 0;
  uint32_t gid = 0;
  bool huge_pages = false;
  uint64_t identity = 0;  // see fuse::ObservedInode; for a file that is not live
  // Called at most once each, and only if a rule needs it.
  absl::FunctionRef<bool()> dax_hint = fuse::NoSuchThing;
  absl::FunctionRef<bool()> security_capability = fuse::NoSuchThing;
  absl::FunctionRef<std::optional<std::string>()> path = fuse::NoPath;
};

// Facts of a live file that its record does not hold, or not yet. Called at most once each, and only if a rule needs
// it.
struct Unrecorded {
  absl::FunctionRef<std::optional<std::string>()> path = fuse::NoPath;
  absl::FunctionRef<bool()> dax_hint = fuse::NoSuchThing;
  // Of use to Compare only.
  absl::FunctionRef<bool()> security_capability = fuse::NoSuchThing;
};

// What the policy in force says of a file, and why.
struct PolicyAnswer {
  bool dax = false;
  bool overridden = false;  // an override decides
  bool adaptive = false;    // what decides says "adaptive"
  std::string rule;
  std::string reason;  // of an adaptive verdict; may be empty
  uint64_t generation = 0;
};

// One live regular file, by what the guest was told of it last: what costs no system call.
struct InodeGlance {
  bool dax = false;
  bool overridden = false;
  std::optional<bool> told_dax;  // as in InodeReport
  ConvergenceState convergence;
  ByteCount size;
  uint64_t setup_mappings = 0;
};

// What the policy in force says of a file, and what another one would say.
struct PolicyComparison {
  bool dax = false;
  bool would_be_dax = false;
  std::string rule;  // that would decide; set if the two differ
};

// One live regular file, as a list shows it.
struct InodeReport {
  PolicyAnswer policy;
  std::optional<bool> told_dax;  // FUSE_ATTR_DAX when the guest made its inode; nullopt if that cannot be known
  uint64_t told_generation = 0;  // of the policy then
  ConvergenceState convergence;
  uint64_t setup_mappings = 0;  // SETUPMAPPING requests that succeeded since the inode came to life
  uint64_t against_policy = 0;  // of those and of refused ones, how many the policy did not allow; at most 65,535
};

// The one place that decides fuse_attr.flags, so that every kind of reply says the same of an inode: Linux evicts an
// inode at each last close if one of them differs (fuse_change_attributes_common in fs/fuse/inode.c, 6.1).
//
// Any thread may call any method. The policy is fetched anew for each reply, without a lock. Records live in the inodes
// themselves, behind locks by node id that are never held across a system call, a decision or a call to the outside.
class InodeStates final : public fuse::InodeObserver {
 public:
  // `policy` and `window` outlive this; `window` may be null (a share without one).
  InodeStates(InodeStatesOptions options, const PolicyStore* policy, Window* window = nullptr);
  // Where adaptive verdicts come from; without, they are "no". Before the first session; outlives the sessions.
  void SetAdaptive(AdaptiveVerdicts* adaptive) { adaptive_ = adaptive; }

  // A session begins whose client goes by `mode`, which says whether FUSE_ATTR_DAX may be answered: Linux looks at the
  // flag even where it was not negotiated, and then evicts the inode at each close. Before INIT is answered, with no
  // live inode left of an earlier session.
  void SessionStarted(SessionMode mode) { mode_.store(mode, std::memory_order_release); }
  // No flag is answered until the next session.
  void SessionEnded() { mode_.store(SessionMode::kNone, std::memory_order_release); }

  // fuse::InodeObserver. AttrFlags and Grew bring back pages of the window that the reply would let the guest touch
  // (Window::FileSizeSeen) before they return.
  uint32_t AttrFlags(const fuse::RequestContext& ctx, fuse::ObservedInode inode, const fuse::InodeFacts& facts,
                     fuse::AttrReply reply) override;
  void Undelivered(fuse::ObservedInode inode) override;
  void Forgotten(fuse::ObservedInode inode, uint64_t count, bool last) override;
  void Grew(fuse::ObservedInode inode, ByteCount size) override;
  void Read(fuse::ObservedInode inode, FileOffset offset, ByteCount size) override;
  void Write(fuse::ObservedInode inode, FileOffset offset, ByteCount size) override;
  void Closed(fuse::ObservedInode inode) override;
  void Renamed(fuse::ObservedInode inode, bool directory) override;

  // A SETUPMAPPING for the inode is about to be served. kOk, or the errno that refuses it: the policy denies mappings
  // against it, and neither was the guest's inode made as DAX nor would one be now. Counts what is against the policy.
  fuse::Errno PermitSetup(fuse::ObservedInode inode, const Unrecorded& unrecorded);
  // What the window wants to know of the file besides the request.
  SetupContext ContextOf(fuse::ObservedInode inode) const;
  // It succeeded. Brings the window in line with a size that the guest was told meanwhile.
  void NoteSetup(fuse::ObservedInode inode, const fuse_setupmapping_in& in);
  // SETUPMAPPING against the policy that were served, and that were refused.
  uint64_t mapped_against_policy() const { return mapped_against_policy_.load(std::memory_order_relaxed); }
  uint64_t denied() const { return denied_.load(std::memory_order_relaxed); }
  // Whether the share's quota keeps further files from becoming DAX.
  bool quota_reached() const;

  // What the policy says of a live file of those facts, and how it stands with the guest. `open`: it has a handle.
  InodeReport Report(fuse::ObservedInode inode, const FileFacts& facts, bool open) const;
  // The latter alone, by the facts that the guest was told last: for a count of many inodes.
  ConvergenceState StateOf(fuse::ObservedInode inode, const Unrecorded& unrecorded, bool open);
  // The same with what else a list goes by.
  InodeGlance Glance(fuse::ObservedInode inode, const Unrecorded& unrecorded, bool open) const;
  // By the same facts. The guest's quota and the adaptive verdicts are as they are now; a file that has no verdict gets
  // none by this. `candidate` may be of any policy.
  PolicyComparison Compare(const PolicySnapshot& candidate, fuse::ObservedInode inode,
                           const Unrecorded& unrecorded) const;
  // What Report says of a file without an inode of the guest's.
  PolicyAnswer Answer(const FileFacts& facts) const;
  // All rules that were looked at, the last of which decided. `inode` may be null.
  std::vector<CompiledPolicy::Step> Explain(const fuse::ObservedInode* inode, const FileFacts& facts) const;

  // The verdict of the adaptive policy from now on; a file that has none yet stays so.
  void SetAdaptiveVerdict(fuse::ObservedInode inode, bool dax);
  // What the files with an adaptive verdict did that were read, written, mapped or closed since the last call; without
  // what the window knows of them, and whether they are open. Of more than kMaxCounted live ones the others are not
  // counted.
  struct Active {
    NodeId node;
    FileSample sample;
  };
  std::vector<Active> TakeActive();
  static constexpr size_t kMaxCounted = 65536;

 private:
  // The requests about a file with an adaptive verdict.
  struct Counted {
    FileSample sample;
    uint64_t next_chunk = 0;  // of the file, after the one that was mapped last
    uint64_t next_read = 0;   // where the last FUSE_READ ended
    bool active = false;      // since the last TakeActive
  };
  struct Shard {
    mutable Mutex mu;  // of the records of its nodes
    std::unordered_map<NodeId, Counted> counted ABSL_GUARDED_BY(mu);
    std::vector<NodeId> active ABSL_GUARDED_BY(mu);
  };
  static constexpr size_t kShards = 64;
  // What a decision took from the file, to be remembered.
  struct Asked {
    std::optional<bool> dax_hint;
    std::optional<bool> security_capability;
  };

  Shard& ShardOf(NodeId node) const { return shards_[node.raw() % kShards]; }
  int64_t Now() const;
  uint32_t NowMilliseconds() const;
  RuleClass ClassOf(const PolicySnapshot& policy, fuse::ObservedInode inode,
                    absl::FunctionRef<std::optional<std::string>()> path) const;
  Placement PlacementOf(NodeId node, const FileFacts& facts) const;
  bool HasRoomFor(fuse::ObservedInode inode) const;
  Decision DecideFor(const PolicySnapshot& policy, fuse::ObservedInode inode, const FileFacts& facts,
                     Asked* asked) const;
  Decision DecideBy(const PolicySnapshot& policy, RuleClass rule_class, const FileFacts& facts, bool room,
                    absl::FunctionRef<bool()> adaptive, Asked* asked) const;
  // What it was told as far as that can be known; where flags are not answered, none was told.
  std::optional<bool> ToldDax(const InodeRecord& record) const;
  static PolicyAnswer AnswerOf(const PolicySnapshot& policy, const Decision& decision);
  // By what the record says of the file.
  Decision DecideRecorded(const PolicySnapshot& policy, fuse::ObservedInode inode, const InodeRecord& record,
                          const Unrecorded& unrecorded) const;
  ConvergenceState Converged(const InodeRecord& record, bool dax, bool open) const;
  bool AdaptiveVerdict(fuse::ObservedInode inode, const FileFacts& facts) const;
  InodeRecord Copy(fuse::ObservedInode inode) const;
  // The counts of a file with an adaptive verdict, which is active from now on; null for another file, or if there are
  // too many. With the shard's lock held.
  static Counted* CountsOf(Shard& shard, fuse::ObservedInode inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mu);

  const InodeStatesOptions options_;
  const PolicyStore* const policy_;
  Window* const window_;
  AdaptiveVerdicts* adaptive_ = nullptr;
  // Stored before INIT is answered and read by replies that follow it, on whichever thread.
  std::atomic<SessionMode> mode_{SessionMode::kNone};
  // How often the guest renamed a directory: paths below it that rule classes follow from are others now.
  std::atomic<uint32_t> directory_renames_{0};
  std::atomic<uint64_t> mapped_against_policy_{0};
  std::atomic<uint64_t> denied_{0};
  mutable std::atomic<bool> quota_reached_{false};
  mutable std::array<Shard, kShards> shards_;
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_INODE_STATES_H_
