// Linux' virtio_mmio driver in small: the same registers in the same order (drivers/virtio/virtio_mmio.c,
// virtio_dev_probe in drivers/virtio/virtio.c).
#ifndef DAXVMM_TESTS_FAKES_MMIO_DRIVER_H_
#define DAXVMM_TESTS_FAKES_MMIO_DRIVER_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "base/units.h"
#include "devices/bus.h"
#include "devices/virtio/virtio_device.h"
#include "tests/fakes/driver_queue.h"
#include "tests/fakes/guest_ram.h"
#include "tests/fakes/signals.h"

namespace daxvmm::fakes {

struct MmioDriverOptions {
  uint32_t device_id = 26;           // VIRTIO_ID_FS
  uint64_t features = ~uint64_t{0};  // accepted where offered
  uint16_t queues = 2;
  uint16_t queue_size = 1024;  // or the device's maximum, where that is less
};

class MmioDriver {
 public:
  // `interrupts` counts the device's pulses; nullptr if nothing is to be waited for.
  MmioDriver(devices::BusDevice* device, GuestRam* ram, SignalCounter* interrupts = nullptr)
      : device_(device), ram_(ram), interrupts_(interrupts) {}

  // From reset to DRIVER_OK: all of the steps below. Says which one went wrong.
  absl::Status Probe(const MmioDriverOptions& options = MmioDriverOptions());

  // The steps, in Linux' order.
  absl::Status Identify(uint32_t device_id);    // magic, version 2, device id; reset; ACKNOWLEDGE and DRIVER
  absl::Status Negotiate(uint64_t wanted);      // accepts what is wanted and offered; FEATURES_OK, read back
  void WriteFeaturesUnchecked(uint64_t value);  // to accept what was never offered
  absl::Status SetUpQueue(uint16_t index, uint16_t size);
  std::optional<virtio::SharedMemoryRegion> SharedMemory(uint8_t id);
  absl::Status DriverOk();  // checks that the device did not ask for a reset
  // Writes 0 to the status. The queues are gone, and the device must have forgotten them.
  absl::Status Reset();

  uint32_t ReadRegister(uint32_t offset);
  void WriteRegister(uint32_t offset, uint32_t value);
  // Byte by byte, as Linux reads the tag of a virtio-fs device.
  std::vector<uint8_t> ReadConfigBytes(uint32_t offset, size_t size);
  uint32_t ReadConfig32(uint32_t offset);
  uint32_t status();
  bool needs_reset();
  void AddStatus(uint32_t bits);
  // Reads and acknowledges, as the interrupt handler does.
  uint32_t TakeInterrupts();

  uint64_t offered() const { return offered_; }
  uint64_t features() const { return accepted_; }
  DriverQueue& queue(uint16_t index);
  // The QueueNotify register, which KVM turns into an eventfd.
  void Notify(uint16_t index);
  // Publish, and Notify if the device wants it.
  void PublishAndNotify(uint16_t index);

  // One request, answered: added, published, notified and waited for. nullopt if it was not answered in time, or the
  // table was full. Nothing else may be outstanding on this queue.
  std::optional<Completion> Run(uint16_t index, const Request& request, std::chrono::milliseconds patience = kPatience);
  // Waits for `count` completions in all; fewer if the deadline passes or the device needs a reset.
  std::vector<Completion> Wait(uint16_t index, size_t count, std::chrono::milliseconds patience = kPatience);
  // Whether the device asks for a reset within the time.
  bool WaitNeedsReset(std::chrono::milliseconds patience = kPatience);

 private:
  devices::BusDevice* const device_;
  GuestRam* const ram_;
  SignalCounter* const interrupts_;
  uint64_t offered_ = 0;
  uint64_t accepted_ = 0;
  std::vector<std::unique_ptr<DriverQueue>> queues_;
};

}  // namespace daxvmm::fakes

#endif  // DAXVMM_TESTS_FAKES_MMIO_DRIVER_H_
