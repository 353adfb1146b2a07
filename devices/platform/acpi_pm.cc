#include "devices/platform/acpi_pm.h"

#include <utility>

#include "base/log.h"

namespace daxvmm::devices {
namespace {

// ACPI 6.4, 4.8.3.7. SLP_EN always reads zero.
constexpr uint8_t kSleepEnable = 1 << 5;
constexpr unsigned kSleepTypeShift = 2;
constexpr uint8_t kSleepTypeMask = 7;
constexpr uint8_t kWakeStatus = 1 << 7;

}  // namespace

AcpiPm::AcpiPm(Options options) : options_(std::move(options)) {
  CHECK(options_.s5_sleep_type <= kSleepTypeMask) << "SLP_TYPx has three bits";
}

void AcpiPm::Read(uint64_t offset, std::span<uint8_t> data) {
  for (uint8_t& byte : data) {
    switch (offset++) {
      case kSleepControl:
        byte = static_cast<uint8_t>(sleep_type_.load(std::memory_order_relaxed) << kSleepTypeShift);
        break;
      case kSleepStatus:
        byte = woken_.load(std::memory_order_relaxed) ? kWakeStatus : 0;
        break;
      case kReset:
        byte = 0;
        break;
      default:
        byte = 0xff;
        break;
    }
  }
}

void AcpiPm::Write(uint64_t offset, std::span<const uint8_t> data) {
  for (const uint8_t value : data) {
    switch (offset++) {
      case kSleepControl:
        WriteSleepControl(value);
        break;
      case kSleepStatus:
        if ((value & kWakeStatus) != 0) woken_.store(false, std::memory_order_relaxed);
        break;
      case kReset:
        if (value == options_.reset_value) options_.reset();
        break;
      default:
        break;
    }
  }
}

void AcpiPm::WriteSleepControl(uint8_t value) {
  const uint8_t type = (value >> kSleepTypeShift) & kSleepTypeMask;
  sleep_type_.store(type, std::memory_order_relaxed);
  if ((value & kSleepEnable) == 0) return;
  if (type == options_.s5_sleep_type) {
    options_.power_off();
    return;
  }
  // No other state exists. A guest that enters one nevertheless polls WAK_STS until it is awake: at once.
  LOG_LIMITED(kWarning) << "the guest asked for a sleep state that the machine does not have (SLP_TYP "
                        << static_cast<int>(type) << ")";
  woken_.store(true, std::memory_order_relaxed);
}

}  // namespace daxvmm::devices
