#include "vmm/boot/e820.h"

#include <asm/e820.h>

#include <algorithm>

#include "vmm/layout.h"

namespace daxvmm::vmm::boot {
namespace {

// Adds the part of [begin, end) that lies within [from, to).
void AddPart(GuestPhysAddr begin, GuestPhysAddr end, GuestPhysAddr from, GuestPhysAddr to, uint32_t type,
             std::vector<boot_e820_entry>* map) {
  begin = std::max(begin, from);
  end = std::min(end, to);
  if (begin < end) map->push_back({.addr = begin.raw(), .size = (end - begin).raw(), .type = type});
}

}  // namespace

std::vector<boot_e820_entry> E820Map(const memory::GuestMemory& memory) {
  constexpr GuestPhysAddr kFirst(0);
  constexpr GuestPhysAddr kLast(UINT64_MAX);
  std::vector<boot_e820_entry> map;
  for (const memory::Region& region : memory.regions()) {
    if (region.kind != memory::RegionKind::kRam) continue;
    const GuestPhysAddr end = region.base + region.size;
    AddPart(region.base, end, kFirst, layout::kLowMemoryEnd, E820_RAM, &map);
    AddPart(region.base, end, layout::kLowMemoryEnd, layout::kHighMemoryStart, E820_RESERVED, &map);
    AddPart(region.base, end, layout::kHighMemoryStart, kLast, E820_RAM, &map);
  }
  return map;
}

}  // namespace daxvmm::vmm::boot
