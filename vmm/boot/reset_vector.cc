#include "vmm/boot/reset_vector.h"

#include <cstdint>
#include <span>

#include "vmm/layout.h"

namespace daxvmm::vmm::boot {
namespace {

constexpr uint8_t kCode[] = {
    0xba,
    layout::kAcpiResetPort & 0xff,
    layout::kAcpiResetPort >> 8,  // mov $kAcpiResetPort, %dx
    0xb0,
    layout::kAcpiResetValue,  // mov $kAcpiResetValue, %al
    0xee,                     // out %al, %dx
    0xf4,                     // hlt
    0xeb,
    0xfd,  // jmp back to the hlt
};
static_assert(sizeof(kCode) <= layout::kFirmwareEntrySize.raw());

}  // namespace

absl::Status WriteResetVector(const memory::GuestMemory& memory) {
  if (!memory.Write(layout::kFirmwareEntry, std::as_bytes(std::span(kCode)))) {
    return absl::InternalError("the guest has no memory where its firmware would be entered");
  }
  return absl::OkStatus();
}

}  // namespace daxvmm::vmm::boot
