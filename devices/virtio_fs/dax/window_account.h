// The books of a DAX window: how much of it is used, by whom, and how quickly that changes. Counts only.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_WINDOW_ACCOUNT_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_WINDOW_ACCOUNT_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/units.h"

namespace daxvmm::dax {

// The monotonic clock, or a test's.
using WindowClock = std::function<std::chrono::steady_clock::time_point()>;

// Events per second, each the mean over the given number of whole seconds before the present one: up to a second late,
// and 0 for the time before the window was made.
struct EventRates {
  double last_1s = 0;
  double last_10s = 0;
  double last_60s = 0;
};

// Counts events by the second they fall into. Not thread-safe.
class RateMeter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  void Add(Time now);
  uint64_t total() const { return total_; }
  EventRates Rates(Time now) const;

 private:
  // The present second and the 60 before it. A bucket whose second is not the one looked for is out of date.
  static constexpr int64_t kBuckets = 61;
  struct Bucket {
    int64_t second = -1;
    uint64_t events = 0;
  };
  uint64_t Sum(int64_t first_second, int64_t end_second) const;

  std::array<Bucket, kBuckets> buckets_;
  uint64_t total_ = 0;
};

// What one node has had of the window since it last had nothing mapped.
struct NodeWindowUse {
  uint32_t chunks = 0;      // that hold a mapping of it now
  uint32_t chunks_max = 0;  // the most at one time
  uint64_t maps = 0;        // Setup calls that succeeded
  uint64_t unmaps = 0;      // entries of Remove that took a mapping of it away

  bool operator==(const NodeWindowUse&) const = default;
};
using NodeWindowUseMap = std::unordered_map<NodeId, NodeWindowUse>;

// Not thread-safe but for mapped_chunks_now. A chunk counts as mapped while any page of it is.
class WindowAccount {
 public:
  // A chunk that is mapped again within `reuse_within` of its removal, when none was free at the removal, counts as
  // reused soon.
  WindowAccount(uint64_t chunks, std::chrono::milliseconds reuse_within, WindowClock clock);

  std::chrono::steady_clock::time_point Now() const { return clock_(); }

  // A Setup of the node succeeded. `filled`: the chunks that held nothing before it; `node_chunks`: what the node has
  // now.
  void Mapped(NodeId node, std::span<const uint64_t> filled, uint32_t node_chunks);
  // An entry of Remove took something away. `emptied`: the chunks that hold nothing any more; `none_was_free`: full()
  // before the request that the entry belongs to.
  void Unmapped(std::span<const uint64_t> emptied, bool none_was_free);
  // Some of the node's pages went, by a removal or because something else was mapped there; `chunks_left` have some.
  enum class Loss { kRemoved, kReplaced };
  void NodeLost(NodeId node, uint32_t chunks_left, Loss how);
  // All mappings of the window went at once: the session is over.
  void Cleared();

  bool full() const { return mapped_chunks_now() == removals_.size(); }
  // Any thread, without a lock; not in step with anything else.
  uint64_t mapped_chunks_now() const { return mapped_chunks_.load(std::memory_order_relaxed); }
  uint64_t chunk_count() const { return removals_.size(); }
  uint64_t mapped_chunks_max() const { return mapped_chunks_max_; }
  uint64_t reused_soon() const { return reused_soon_; }
  const RateMeter& maps() const { return maps_; }
  const RateMeter& unmaps() const { return unmaps_; }

  // All 0 for a node with nothing mapped.
  NodeWindowUse UseOf(NodeId node) const;
  // One entry for each node with something mapped: never more than there are pieces of the window in use.
  const NodeWindowUseMap& UseByNode() const { return nodes_; }

 private:
  using Time = std::chrono::steady_clock::time_point;

  const std::chrono::milliseconds reuse_within_;
  const WindowClock clock_;
  std::atomic<uint64_t> mapped_chunks_{0};
  uint64_t mapped_chunks_max_ = 0;
  uint64_t reused_soon_ = 0;
  RateMeter maps_;
  RateMeter unmaps_;
  // By chunk: when it was emptied while no other was free; nothing once it has been filled again.
  std::vector<std::optional<Time>> removals_;
  NodeWindowUseMap nodes_;
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_WINDOW_ACCOUNT_H_
