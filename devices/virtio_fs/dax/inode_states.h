// What each live file of a share was told about DAX, and what the policy says of it now.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_INODE_STATES_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_INODE_STATES_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/mutex.h"
#include "base/units.h"
#include "devices/virtio_fs/dax/policy_store.h"
#include "devices/virtio_fs/dax/window.h"
#include "devices/virtio_fs/fuse/inode_observer.h"

namespace daxvmm::dax {

// One live regular file, as a list shows it.
struct InodeReport {
  NodeId node;
  ByteCount size;                    // now, where the caller could tell; else as last reported to the guest
  bool decision_dax = false;         // what the policy in force says
  std::string decision_rule;         // the rule that says it
  uint64_t decision_generation = 0;  // the generation of that policy
  bool told_dax = false;             // FUSE_ATTR_DAX in the reply that the guest's inode was made from
  uint64_t told_generation = 0;      // the generation which that reply was decided under
  uint64_t setup_mappings = 0;       // SETUPMAPPING requests that succeeded since the file came to life
};

// The one place that decides fuse_attr.flags, so that every kind of reply says the same of an inode: Linux evicts an
// inode at each last close if one of them differs (fuse_change_attributes_common in fs/fuse/inode.c, 6.1).
//
// Any thread may call any method. The policy is fetched anew for each reply: its store's lock is held for a pointer
// copy only, whoever holds it. Records live in shards, each behind its own lock, which is never held across a system
// call, a decision or a call to the outside.
class InodeStates final : public fuse::InodeObserver {
 public:
  // `policy` and `window` outlive this; `window` may be null (a share without one).
  InodeStates(std::string share_tag, const PolicyStore* policy, Window* window = nullptr);

  // A session begins in which FUSE_ATTR_DAX may be answered (`per_file_dax`: the window exists, and FUSE_HAS_INODE_DAX
  // was negotiated) or must not be: Linux looks at the flag even where it was not negotiated, and then evicts the inode
  // at each close. Drops all records. To be called before INIT is answered.
  void SessionStarted(bool per_file_dax);
  // Drops all records; no flag is answered until the next session.
  void SessionEnded();

  // fuse::InodeObserver. AttrFlags and Grew bring back withdrawn pages of the window that the reply would let the guest
  // touch (Window::FileSizeSeen) before they return.
  uint32_t AttrFlags(const fuse::InodeFacts& facts, fuse::AttrReply reply, bool instantiates) override;
  void Grew(NodeId node, ByteCount size) override;
  void Forgotten(NodeId node) override;

  // The file size that the guest was told last; 0 for a node without a record. What Window::Setup asks for.
  ByteCount ToldSize(NodeId node) const;
  // Counts a SETUPMAPPING that succeeded; nothing for a node without a record.
  void CountSetupMapping(NodeId node);

  // Facts for a list, from whoever knows them; nullopt: use what was recorded. Called under no lock.
  struct CurrentFacts {
    absl::FunctionRef<std::optional<ByteCount>(NodeId)> size;
    absl::FunctionRef<std::optional<bool>(NodeId)> persistent_dax_flag;  // only if a rule needs it
    absl::FunctionRef<std::optional<bool>(NodeId)> set_id = AsRecorded;
    absl::FunctionRef<std::optional<bool>(NodeId)> security_capability = AsRecorded;  // only if a rule says DAX

    static std::optional<bool> AsRecorded(NodeId /*node*/) { return std::nullopt; }
  };
  // Every live regular file, in no order, each decided under the policy in force.
  std::vector<InodeReport> Snapshot() const;
  std::vector<InodeReport> Snapshot(const CurrentFacts& current) const;

  const std::string& share_tag() const { return share_tag_; }

 private:
  struct Record {
    ByteCount size;  // as last told
    bool set_id = false;
    std::optional<bool> persistent_dax_flag;
    std::optional<bool> security_capability;
    bool told_dax = false;
    uint64_t told_generation = 0;
    uint64_t setup_mappings = 0;
  };
  struct Shard {
    mutable Mutex mu;
    std::unordered_map<NodeId, Record> records ABSL_GUARDED_BY(mu);
  };
  static constexpr size_t kShards = 16;

  Shard& ShardOf(NodeId node) { return shards_[node.raw() % kShards]; }
  const Shard& ShardOf(NodeId node) const { return shards_[node.raw() % kShards]; }
  void DropRecords();

  const std::string share_tag_;
  const PolicyStore* const policy_;
  Window* const window_;
  // Stored before INIT is answered and read by replies that follow it, on whichever thread.
  std::atomic<bool> per_file_dax_{false};
  std::array<Shard, kShards> shards_;
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_INODE_STATES_H_
