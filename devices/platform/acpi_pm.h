// The ACPI registers by which a guest turns the machine off or restarts it.
//
// Hardware-reduced ACPI: the sleep control and status registers (ACPI 6.4, 4.8.3.7) and the reset register (4.8.3.6).
// The FADT and \_S5 announce their ports and values.
#ifndef DAXVMM_DEVICES_PLATFORM_ACPI_PM_H_
#define DAXVMM_DEVICES_PLATFORM_ACPI_PM_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>

#include "devices/bus.h"

namespace daxvmm::devices {

// Three byte registers in a row; a wider access reaches each of those that it covers.
class AcpiPm final : public BusDevice {
 public:
  static constexpr uint64_t kSleepControl = 0;
  static constexpr uint64_t kSleepStatus = 1;
  static constexpr uint64_t kReset = 2;
  static constexpr uint64_t kSize = 3;

  struct Options {
    uint8_t s5_sleep_type = 0;  // SLP_TYPx of soft-off as \_S5 has it: 0 to 7
    uint8_t reset_value = 0;    // RESET_VALUE as the FADT has it
    // Called on a vCPU thread in the midst of the guest's access, once for each time that the guest asks and perhaps
    // on several threads at once: they should note the wish and return.
    std::function<void()> power_off;
    std::function<void()> reset;
  };

  explicit AcpiPm(Options options);

  void Read(uint64_t offset, std::span<uint8_t> data) override;
  void Write(uint64_t offset, std::span<const uint8_t> data) override;

 private:
  void WriteSleepControl(uint8_t value);

  const Options options_;
  // Independent of one another and of all else, so any order of the accesses is right.
  std::atomic<uint8_t> sleep_type_{0};
  std::atomic<bool> woken_{false};
};

}  // namespace daxvmm::devices

#endif  // DAXVMM_DEVICES_PLATFORM_ACPI_PM_H_
