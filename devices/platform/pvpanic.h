// The port by which a guest's kernel tells that it panicked, as QEMU's pvpanic device defines it (docs/specs/pvpanic
// there) and Linux's driver uses it; ACPI announces it as QEMU0001.
#ifndef DAXVMM_DEVICES_PLATFORM_PVPANIC_H_
#define DAXVMM_DEVICES_PLATFORM_PVPANIC_H_

#include <cstdint>
#include <functional>
#include <span>

#include "devices/bus.h"

namespace daxvmm::devices {

// One byte register. Reading it names the events that it knows: PVPANIC_PANICKED and PVPANIC_CRASH_LOADED.
class Pvpanic final : public BusDevice {
 public:
  static constexpr uint64_t kSize = 1;

  // `on_panic`: the guest is dead (PVPANIC_PANICKED). Called on a vCPU thread in the midst of the guest's access, each
  // time that the guest says so and perhaps on several threads at once: it should note it and return. A guest that is
  // about to run a crash kernel (PVPANIC_CRASH_LOADED) goes on, so that is only logged.
  explicit Pvpanic(std::function<void()> on_panic);

  void Read(uint64_t offset, std::span<uint8_t> data) override;
  void Write(uint64_t offset, std::span<const uint8_t> data) override;

 private:
  const std::function<void()> on_panic_;
};

}  // namespace daxvmm::devices

#endif  // DAXVMM_DEVICES_PLATFORM_PVPANIC_H_
