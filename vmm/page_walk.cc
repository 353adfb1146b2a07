#include "vmm/page_walk.h"

namespace daxvmm::vmm {
namespace {

// Intel SDM volume 3, 4.5.
constexpr uint64_t kPresent = 1 << 0;
constexpr uint64_t kLargePage = 1 << 7;
constexpr uint64_t kAddressMask = 0x000f'ffff'ffff'f000;
constexpr unsigned kPageShift = 12;
constexpr unsigned kIndexBits = 9;
constexpr unsigned kLevelsWithLargePages = 3;  // 2 MiB and 1 GiB

}  // namespace

std::optional<GuestPhysAddr> WalkPageTables(const memory::GuestMemory& memory, const PageTables& tables,
                                            uint64_t linear) {
  uint64_t table = tables.cr3 & kAddressMask;
  for (unsigned level = tables.five_levels ? 5 : 4; level > 0; --level) {
    const unsigned shift = kPageShift + (level - 1) * kIndexBits;
    const uint64_t index = (linear >> shift) & ((1 << kIndexBits) - 1);
    const std::optional<uint64_t> entry = memory.ReadObject<uint64_t>(GuestPhysAddr(table + index * sizeof(uint64_t)));
    if (!entry.has_value() || (*entry & kPresent) == 0) return std::nullopt;
    const bool page = level == 1 || (level <= kLevelsWithLargePages && (*entry & kLargePage) != 0);
    if (page) {
      const uint64_t within = (uint64_t{1} << shift) - 1;
      return GuestPhysAddr((*entry & kAddressMask & ~within) | (linear & within));
    }
    table = *entry & kAddressMask;
  }
  return std::nullopt;
}

}  // namespace daxvmm::vmm
