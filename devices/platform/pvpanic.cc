#include "devices/platform/pvpanic.h"

#include <misc/pvpanic.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace daxvmm::devices {

Pvpanic::Pvpanic(std::function<void()> on_panic) : on_panic_(std::move(on_panic)) {}

void Pvpanic::Read(uint64_t offset, std::span<uint8_t> data) {
  std::fill(data.begin(), data.end(), uint8_t{0xff});
  if (offset == 0 && !data.empty()) data[0] = PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

void Pvpanic::Write(uint64_t offset, std::span<const uint8_t> data) {
  if (offset != 0 || data.empty()) return;
  if ((data[0] & PVPANIC_CRASH_LOADED) != 0) {
    LOG_LIMITED(kWarning) << "the guest's kernel panicked and goes on to its crash kernel";
  }
  if ((data[0] & PVPANIC_PANICKED) != 0) on_panic_();
}

}  // namespace daxvmm::devices
