// The guest's half of the DAX window, as Linux 6.1 keeps it (fs/fuse/dax.c): ranges of 2 MiB, a free list, a busy list,
// and a worker that takes ranges back when few are free. Time is the caller's.
#ifndef DAXVMM_TOOLS_POLICY_LAB_WINDOW_MODEL_H_
#define DAXVMM_TOOLS_POLICY_LAB_WINDOW_MODEL_H_

#include <bitset>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "tools/policy_lab/costs.h"

namespace daxvmm::lab {

using FileId = uint32_t;
using RangeId = uint32_t;

struct Range {
  FileId file = 0;
  uint64_t chunk = 0;  // of the file
  bool busy = false;
  bool writable = false;
  bool touched_huge = false;
  uint32_t pins = 0;                    // I/O in flight: dmap->refcnt > 1
  std::bitset<kPagesPerChunk> touched;  // pages that the host has mapped since SETUPMAPPING
  std::list<RangeId>::iterator place;   // in the busy list
  Nanos freed_at = -1;
};

class WindowModel {
 public:
  // The worker frees so many ranges before it looks at the clock again, and starts when fewer than
  // max(20 %, 1) are free.
  static constexpr uint32_t kReclaimChunk = 10;
  static constexpr uint64_t kThresholdPercent = 20;

  WindowModel(uint64_t ranges, const Costs& costs);

  uint64_t capacity() const { return ranges_.size(); }
  uint64_t free_ranges() const { return free_.size(); }
  uint64_t used() const { return ranges_.size() - free_.size(); }
  uint64_t threshold() const;

  // Called for each range that the worker or inline reclaim takes away, before it is free.
  void OnReclaim(std::function<void(const Range&)> listener) { on_reclaim_ = std::move(listener); }

  // Lets the worker do what it does until `now`.
  void AdvanceTo(Nanos now);

  // The range that holds the chunk, or null.
  Range* Find(FileId file, uint64_t chunk);

  // Takes the first free range, if there is one, and wakes the worker if few are left (alloc_dax_mapping).
  std::optional<RangeId> TryAllocate(Nanos now);
  // The same file's idle range of the lowest offset, taken away from it (inode_inline_reclaim_one_dmap); the caller
  // pays Costs::reclaim_range. nullopt if it has none.
  std::optional<RangeId> ReclaimInline(FileId file);
  // When the next range becomes free if nobody but the worker acts, with the worker advanced to then; nullopt if that
  // will never be.
  std::optional<Nanos> WaitForFree(Nanos now);
  // Puts an allocated range to use: at the tail of the busy list.
  Range* Install(RangeId id, FileId file, uint64_t chunk, bool writable);

  void Pin(Range* range) { ++range->pins; }
  void Unpin(Range* range) { --range->pins; }

  // All ranges of a file are free again (its inode was evicted). Returns how many.
  uint64_t Evict(FileId file, Nanos now);
  uint64_t RangesOf(FileId file) const;

  // Maps of a range that became free less than 1 ms before.
  uint64_t reused_soon() const { return reused_soon_; }
  uint64_t background_reclaims() const { return background_reclaims_; }
  uint64_t inline_reclaims() const { return inline_reclaims_; }

 private:
  void Kick(Nanos now, Nanos delay);
  // Starts to reclaim the next victim; false if there is none.
  bool StartVictim(Nanos now);
  void Step();
  Nanos NextEvent() const;
  void TakeAway(RangeId id);

  const Costs costs_;
  std::vector<Range> ranges_;
  std::deque<RangeId> free_;
  std::list<RangeId> busy_;
  std::unordered_map<FileId, std::map<uint64_t, RangeId>> files_;
  std::function<void(const Range&)> on_reclaim_ = [](const Range&) {};

  static constexpr Nanos kNever = INT64_MAX;
  Nanos scheduled_ = kNever;    // when the worker's next run begins
  Nanos victim_done_ = kNever;  // when the victim in its hands is free
  static constexpr RangeId kNoVictim = UINT32_MAX;
  RangeId victim_ = kNoVictim;
  uint32_t left_in_run_ = 0;
  uint64_t reused_soon_ = 0;
  uint64_t background_reclaims_ = 0;
  uint64_t inline_reclaims_ = 0;
};

}  // namespace daxvmm::lab

#endif  // DAXVMM_TOOLS_POLICY_LAB_WINDOW_MODEL_H_
