// What one file has cost, and what it would have cost the other way. Pure arithmetic.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_ADAPTIVE_EVIDENCE_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_ADAPTIVE_EVIDENCE_H_

#include <algorithm>
#include <cstdint>

#include "devices/virtio_fs/dax/adaptive_types.h"

namespace daxvmm::dax {

// The window's ranges that a file of this size fills.
inline uint64_t ChunksOfSize(ByteCount size) {
  return size.raw() / kDaxRangeSize.raw() + (size.IsMultipleOf(kDaxRangeSize) ? 0 : 1);
}

// The fewest chunks that have an order, and not by chance.
inline constexpr uint64_t kFewestInOrder = 4;

// Chunk after chunk, and never to write.
inline bool ReadInOrder(const FileSample& seen) {
  return ChunksOfSize(seen.size) >= kFewestInOrder && seen.setups >= kFewestInOrder && seen.write_setups == 0 &&
         seen.sequential_setups * 4 >= (seen.setups - 1) * 3;
}

// The same, of a file that is not mapped: by requests that readahead has made large.
inline bool ServedInOrder(const FileSample& seen) {
  return seen.setups == 0 && seen.writes == 0 && seen.reads > 0 && seen.read_bytes >= seen.reads * KiB(64).raw() &&
         seen.sequential_reads * 4 >= (seen.reads - 1) * 3;
}

// Enough to tell in which order.
inline bool SeenInPart(const FileSample& seen) {
  if (seen.setups > 0) return seen.setups >= kFewestInOrder && 2 * seen.setups >= ChunksOfSize(seen.size);
  return seen.reads >= 2 || (seen.reads > 0 && seen.read_bytes >= seen.size.raw());
}

inline bool SeenWhole(const FileSample& seen) { return seen.setups * 10 >= ChunksOfSize(seen.size) * 9; }

// Counts that fade: each halves in a half-life.
class Evidence {
 public:
  // Fades what there is up to `now`.
  void FadeTo(AdaptiveTime now, AdaptiveTime half_life);
  // Adds what has happened between two samples of one life of the file. FUSE_WRITEs that made the file longer are left
  // out: they are FUSE_WRITEs with DAX too.
  void Add(const FileSample& before, const FileSample& after);
  void Clear();

  double requests() const { return requests_; }
  double bytes() const { return bytes_; }
  double setups() const { return setups_; }
  // When the oldest of what counts began.
  AdaptiveTime since() const { return since_; }

  // What the requests have cost.
  double FuseNs(const AdaptiveTuning& tuning) const;
  // What mapping what they touched would have cost, of a file of this size.
  double MappingNs(const AdaptiveTuning& tuning, ByteCount size, bool huge_pages) const;

 private:
  double requests_ = 0;
  double bytes_ = 0;
  double setups_ = 0;
  AdaptiveTime at_{0};
  AdaptiveTime since_{0};
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_ADAPTIVE_EVIDENCE_H_
