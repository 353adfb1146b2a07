// What the guest believes of the sizes of the files that it maps. Read and written with every attribute reply, so it is
// kept apart from the window's table and its lock.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_TOLD_SIZES_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_TOLD_SIZES_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "base/mutex.h"
#include "base/units.h"

namespace daxvmm::dax {

// One mapped file, for all its nodes. Whoever takes pages of the file from the guest stores `wary`, then loads the size
// told and looks at the file's; whoever tells the guest of a size stores it, then loads `wary`. Sequentially consistent
// on both sides, so that one of the two sees the other.
class Belief {
 public:
  // The largest size that the guest was told while the file was mapped; it never falls.
  ByteCount told() const { return ByteCount(told_.load()); }
  void Tell(ByteCount size) {
    uint64_t told = told_.load();
    while (told < size.raw() && !told_.compare_exchange_weak(told, size.raw())) {
    }
  }

  // Whether pages of the file are, or are about to be, out of the guest's reach that a growth brings back.
  bool wary() const { return wary_.load(); }
  void set_wary(bool wary) { wary_.store(wary); }

 private:
  std::atomic<uint64_t> told_{0};
  std::atomic<bool> wary_{false};
};

// Any thread may call any method.
class ToldSizes {
 public:
  // From here on Tell finds `belief` under `node`, in place of what was there.
  void Enter(NodeId node, std::shared_ptr<Belief> belief);
  // Takes the node out if `belief` is what it stands for.
  void Leave(NodeId node, const Belief* belief);

  // The guest is about to be told that the node's file has this size. True: the file is wary, so whoever keeps the
  // window has to look at it. One atomic load while no node is entered, else a lock that few others take.
  bool Tell(NodeId node, ByteCount size);

 private:
  struct Shard {
    Mutex mu;
    std::unordered_map<NodeId, std::shared_ptr<Belief>> beliefs ABSL_GUARDED_BY(mu);
  };
  static constexpr size_t kShards = 16;

  Shard& ShardOf(NodeId node) { return shards_[node.raw() % kShards]; }

  // How many nodes are entered. Sequentially consistent: a Tell that finds none comes before the Enter.
  std::atomic<uint64_t> nodes_{0};
  std::array<Shard, kShards> shards_;
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_TOLD_SIZES_H_
