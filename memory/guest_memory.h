// The guest's physical memory as a device sees it: RAM and DAX windows.
//
// This package alone dereferences guest pages. RAM is anonymous host memory that never faults once mapped. A window is
// a reservation whose pages come and go: what lies there may be absent or past the end of a truncated file, so the
// functions here reach it by system calls that answer EFAULT, never by a load that would raise SIGBUS. Windows are
// guest memory in every respect: a driver may put a request's buffers there (a write(2) from a DAX mapping does).
#ifndef DAXVMM_MEMORY_GUEST_MEMORY_H_
#define DAXVMM_MEMORY_GUEST_MEMORY_H_

#include <sys/uio.h>

#include <cstddef>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "absl/status/statusor.h"
#include "base/units.h"

namespace daxvmm::memory {

enum class RegionKind { kRam, kWindow };

// A run of guest-physical addresses backed by one run of host addresses. Does not own the host mapping.
struct Region {
  GuestPhysAddr base;
  ByteCount size;
  std::byte* host = nullptr;
  RegionKind kind = RegionKind::kRam;
  bool writable = true;  // false: the window of a read-only share
};

// Guest memory laid out as iovecs, ready for preadv/pwritev.
struct IoVecs {
  std::vector<iovec> iov;
  // Whether every byte lies in RAM, so that a plain copy cannot fault.
  bool all_ram = true;

  size_t TotalBytes() const;
  void Clear() {
    iov.clear();
    all_ram = true;
  }
};

// What the device is going to do with the memory.
enum class Access { kDeviceReads, kDeviceWrites };

// Immutable once made, so any thread may use it. The regions' host mappings must outlive it.
class GuestMemory {
 public:
  // INVALID_ARGUMENT if a region is empty, wraps, or overlaps another.
  static absl::StatusOr<GuestMemory> Create(std::vector<Region> regions);

  // Sorted by base.
  std::span<const Region> regions() const { return regions_; }
  // The region that holds `at`, or nullptr.
  const Region* Find(GuestPhysAddr at) const;

  // Copies, across regions where need be. False if any byte lies outside of guest memory, in an unusable window page,
  // or (Write) in a read-only region; some bytes may have been copied by then.
  bool Read(GuestPhysAddr at, std::span<std::byte> to) const;
  bool Write(GuestPhysAddr at, std::span<const std::byte> from) const;

  template <typename T>
    requires std::is_trivially_copyable_v<T>
  std::optional<T> ReadObject(GuestPhysAddr at) const {
    T value;
    if (!Read(at, std::as_writable_bytes(std::span<T, 1>(&value, 1)))) return std::nullopt;
    return value;
  }
  template <typename T>
    requires std::is_trivially_copyable_v<T>
  bool WriteObject(GuestPhysAddr at, const T& value) const {
    return Write(at, std::as_bytes(std::span<const T, 1>(&value, 1)));
  }

  // Appends [at, at + size) to `out`. False (and `out` unspecified) if part of it is not guest memory, or is read-only
  // and the device wants to write. An empty range appends nothing.
  bool AppendIoVecs(GuestPhysAddr at, ByteCount size, Access access, IoVecs* out) const;

  // The host address of [at, at + size) if all of it lies in one RAM region, else nullptr. For rings, which are
  // accessed atomically in place and therefore must never fault.
  std::byte* RamPointer(GuestPhysAddr at, ByteCount size) const;

 private:
  explicit GuestMemory(std::vector<Region> regions) : regions_(std::move(regions)) {}
  std::vector<Region> regions_;
};

}  // namespace daxvmm::memory

#endif  // DAXVMM_MEMORY_GUEST_MEMORY_H_
