// The host side of a DAX window: a reserved address range, registered as one KVM memslot for the machine's life, inside
// which file mappings come and go. It never has a hole: what is not mapped is PROT_NONE.
#ifndef DAXVMM_MEMORY_MAPPING_WINDOW_H_
#define DAXVMM_MEMORY_MAPPING_WINDOW_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/units.h"
#include "memory/mapping.h"

namespace daxvmm::memory {

enum class Protection { kReadOnly, kReadWrite };

// Map and Unmap of overlapping ranges must not run at the same time (the caller's lock sees to that). Each is one mmap
// call: the guest sees the old pages or the new ones, and none of the old ones once the call has returned, since the
// kernel's MMU notifier has by then dropped them from the guest's page tables.
class [[nodiscard]] MappingWindow {
 public:
  // `size` is a multiple of 2 MiB. The host address is 2 MiB aligned, as the guest address is, so that huge host pages
  // can back huge guest pages.
  static absl::StatusOr<MappingWindow> Create(ByteCount size);

  std::byte* host() const { return reservation_.data(); }
  ByteCount size() const { return reservation_.size(); }

  // Whether [at, at + length) is page-aligned, not empty and inside the window; safe for any input.
  bool Contains(WindowOffset at, ByteCount length) const;

  // Maps length bytes of `fd` from `from` (MAP_SHARED | MAP_FIXED), replacing whatever was there. The whole length is
  // mapped even past the end of the file, since a guest does not ask again when the file grows. The descriptor may be
  // closed afterwards. INVALID_ARGUMENT unless Contains(at, length) and `from` is page-aligned and from + length fits
  // in off_t; or the code of mmap's errno, and then the old state stands.
  absl::Status Map(WindowOffset at, ByteCount length, int fd, FileOffset from, Protection protection);

  // Back to PROT_NONE; idempotent.
  absl::Status Unmap(WindowOffset at, ByteCount length);

  // Lays read-only zeros over the range: a load gives 0, a store faults. They take no memory of their own. Idempotent.
  // Errors as for Map; the old state stands then.
  absl::Status MapZeros(WindowOffset at, ByteCount length);

 private:
  explicit MappingWindow(Mapping reservation) : reservation_(std::move(reservation)) {}
  Mapping reservation_;
};

}  // namespace daxvmm::memory

#endif  // DAXVMM_MEMORY_MAPPING_WINDOW_H_
