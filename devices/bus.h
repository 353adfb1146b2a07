// An address bus: who answers a port or a memory-mapped register.
#ifndef DAXVMM_DEVICES_BUS_H_
#define DAXVMM_DEVICES_BUS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"

namespace daxvmm::devices {

// Something with registers. Called on vCPU threads, several at once: a device locks for itself. `offset` counts from
// the start of the range that the device was attached at; an access never crosses the end of that range.
class BusDevice {
 public:
  virtual ~BusDevice() = default;
  // Fills all of `data` (1, 2, 4 or 8 bytes); a register that does not exist reads as the device's specification says.
  virtual void Read(uint64_t offset, std::span<uint8_t> data) = 0;
  virtual void Write(uint64_t offset, std::span<const uint8_t> data) = 0;
};

// Built before the first vCPU runs, then constant: look-ups take no lock.
class Bus {
 public:
  // [base, base + size) belongs to `device`, which must outlive the bus. ALREADY_EXISTS if the range overlaps another.
  absl::Status Attach(uint64_t base, uint64_t size, BusDevice* device);

  // False if nobody answers; then a read is filled with ones, as on real hardware, and a write is dropped.
  bool Read(uint64_t address, std::span<uint8_t> data) const;
  bool Write(uint64_t address, std::span<const uint8_t> data) const;

 private:
  struct Range {
    uint64_t base;
    uint64_t size;
    BusDevice* device;
  };
  const Range* Find(uint64_t address, size_t size) const;
  std::vector<Range> ranges_;  // sorted by base
};

}  // namespace daxvmm::devices

#endif  // DAXVMM_DEVICES_BUS_H_
