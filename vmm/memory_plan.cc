#include "vmm/memory_plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/size_text.h"
#include "vmm/layout.h"

namespace daxvmm::vmm {
namespace {

constexpr ByteCount kDirectMapReach = GiB(10240);

}  // namespace

absl::StatusOr<MemoryPlan> PlanMemory(ByteCount ram, std::span<const ByteCount> windows, unsigned address_bits) {
  const ByteCount below_hole = layout::kMmioHoleStart - GuestPhysAddr(0);
  const GuestPhysAddr limit = GuestPhysAddr(address_bits >= 63 ? uint64_t{1} << 63 : uint64_t{1} << address_bits);
  MemoryPlan plan;
  plan.ram.push_back({GuestPhysAddr(0), std::min(ram, below_hole)});
  GuestPhysAddr next = layout::kMmioHoleEnd;
  if (ram > below_hole) {
    const std::optional<GuestPhysAddr> end = CheckedAdd(layout::kMmioHoleEnd, ram - below_hole);
    if (!end || *end > limit) {
      return absl::InvalidArgumentError(absl::StrCat("mem: ", FormatSize(ram), " does not fit into the ", address_bits,
                                                     " address bits of this processor"));
    }
    plan.ram.push_back({layout::kMmioHoleEnd, ram - below_hole});
    next = *end;
  }
  const GuestPhysAddr window_limit = std::min(limit, GuestPhysAddr(0) + kDirectMapReach);
  for (const ByteCount size : windows) {
    if (size == ByteCount(0)) {
      plan.windows.push_back({});
      continue;
    }
    const GuestPhysAddr base = next.AlignUp(layout::kWindowAlignment);
    const std::optional<GuestPhysAddr> end = CheckedAdd(base, size);
    if (!end || *end > window_limit) {
      return absl::InvalidArgumentError(absl::StrCat(
          "share: dax-window=", FormatSize(size), " does not fit above the guest's memory: windows must ", "end below ",
          FormatSize(window_limit - GuestPhysAddr(0)), " (the processor has ", address_bits, " address bits)"));
    }
    plan.windows.push_back({base, size});
    next = *end;
  }
  return plan;
}

}  // namespace daxvmm::vmm
