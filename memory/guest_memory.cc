#include "memory/guest_memory.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "memory/fault_tolerant_copy.h"

namespace daxvmm::memory {
namespace {

std::string Describe(const Region& region) {
  return absl::StrFormat("region at %#x of %u bytes", region.base.raw(), region.size.raw());
}

// Calls visit(region, host address, size) for each piece of [at, at + size) that lies in one region, in order. False
// as soon as a piece is not guest memory or `visit` says so.
template <typename Visitor>
bool VisitPieces(const GuestMemory& memory, GuestPhysAddr at, uint64_t size, Visitor visit) {
  while (size > 0) {
    const Region* region = memory.Find(at);
    if (region == nullptr) return false;
    const uint64_t within = (at - region->base).raw();
    const uint64_t piece = std::min(size, region->size.raw() - within);
    if (!visit(*region, region->host + within, piece)) return false;
    size -= piece;
    // Cannot wrap: Create saw to it that the end of every region is an address.
    at += ByteCount(piece);
  }
  return true;
}

}  // namespace

size_t IoVecs::TotalBytes() const {
  size_t total = 0;
  for (const iovec& piece : iov) total += piece.iov_len;
  return total;
}

absl::StatusOr<GuestMemory> GuestMemory::Create(std::vector<Region> regions) {
  std::sort(regions.begin(), regions.end(), [](const Region& a, const Region& b) { return a.base < b.base; });
  GuestPhysAddr previous_end;
  for (const Region& region : regions) {
    if (region.size == ByteCount(0)) return absl::InvalidArgumentError(absl::StrCat(Describe(region), " is empty"));
    if (region.host == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(Describe(region), " has no host memory"));
    }
    const std::optional<GuestPhysAddr> end = CheckedAdd(region.base, region.size);
    if (!end.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat(Describe(region), " wraps around the address space"));
    }
    if (region.base < previous_end) {
      return absl::InvalidArgumentError(absl::StrCat(Describe(region), " overlaps the one before it"));
    }
    previous_end = *end;
  }
  return GuestMemory(std::move(regions));
}

const Region* GuestMemory::Find(GuestPhysAddr at) const {
  const auto after = std::upper_bound(regions_.begin(), regions_.end(), at,
                                      [](GuestPhysAddr value, const Region& region) { return value < region.base; });
  if (after == regions_.begin()) return nullptr;
  const Region& region = *std::prev(after);
  return at - region.base < region.size ? &region : nullptr;
}

bool GuestMemory::Read(GuestPhysAddr at, std::span<std::byte> to) const {
  std::byte* next = to.data();
  return VisitPieces(*this, at, to.size(), [&next](const Region& region, const std::byte* host, size_t size) {
    if (region.kind == RegionKind::kRam) {
      std::memcpy(next, host, size);
    } else if (!FaultTolerantRead(host, {next, size})) {
      return false;
    }
    next += size;
    return true;
  });
}

bool GuestMemory::Write(GuestPhysAddr at, std::span<const std::byte> from) const {
  const std::byte* next = from.data();
  return VisitPieces(*this, at, from.size(), [&next](const Region& region, std::byte* host, size_t size) {
    if (!region.writable) return false;
    if (region.kind == RegionKind::kRam) {
      std::memcpy(host, next, size);
    } else if (!FaultTolerantWrite(host, {next, size})) {
      return false;
    }
    next += size;
    return true;
  });
}

bool GuestMemory::AppendIoVecs(GuestPhysAddr at, ByteCount size, Access access, IoVecs* out) const {
  return VisitPieces(*this, at, size.raw(), [access, out](const Region& region, std::byte* host, size_t piece) {
    if (access == Access::kDeviceWrites && !region.writable) return false;
    if (region.kind != RegionKind::kRam) out->all_ram = false;
    out->iov.push_back({host, piece});
    return true;
  });
}

std::byte* GuestMemory::RamPointer(GuestPhysAddr at, ByteCount size) const {
  const Region* region = Find(at);
  if (region == nullptr || region->kind != RegionKind::kRam) return nullptr;
  const ByteCount within = at - region->base;
  if (size > region->size - within) return nullptr;
  return region->host + within.raw();
}

}  // namespace daxvmm::memory
