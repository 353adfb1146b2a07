// The guest's uids (or gids) as the host's, and back.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_ID_MAP_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_ID_MAP_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"

namespace daxvmm::fs {

// What an id becomes in the guest that no range holds (the kernel's default overflow id).
inline constexpr uint32_t kOverflowId = 65534;

// Ranges, and maybe one id for all that is outside of them. Without either, every id is itself. A plain value.
class IdMap {
 public:
  // Guest ids [guest, guest + count) are host ids [host, host + count). INVALID_ARGUMENT for an empty range, one that
  // reaches 2^32 - 1 (no id), or one that overlaps an earlier one on either side.
  absl::Status AddRange(uint32_t guest, uint32_t host, uint32_t count);
  // Every guest id outside of the ranges is the host's `host`.
  absl::Status SetSquash(uint32_t host);

  bool identity() const { return ranges_.empty() && !squash_; }
  // nullopt: the guest's id has no meaning on the host, and the request that would use it is refused (EOVERFLOW, as an
  // id-mapped mount of Linux does).
  std::optional<uint32_t> ToHost(uint32_t guest) const;
  // kOverflowId for what no guest id stands for; with a squash, which many stand for, the squashed id shows as itself
  // if no range holds it.
  uint32_t ToGuest(uint32_t host) const;

 private:
  struct Range {
    uint32_t guest, host, count;
  };
  std::vector<Range> ranges_;
  std::optional<uint32_t> squash_;
};

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_ID_MAP_H_
