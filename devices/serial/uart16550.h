// A 16550A UART, as the 8250 driver of Linux detects and uses it: the machine's console.
//
// There is no baud rate: a byte written is sent at once, so the transmitter is always empty. Input waits outside until
// the receiver has room, so that nothing typed or pasted is lost to an overrun.
#ifndef DAXVMM_DEVICES_SERIAL_UART16550_H_
#define DAXVMM_DEVICES_SERIAL_UART16550_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "devices/bus.h"

namespace daxvmm::devices {

// Takes what the guest sent. Called on vCPU threads, one at a time and in order; it may block, which then holds back
// only those vCPUs that write to the UART.
using SerialOutput = std::function<void(std::span<const uint8_t>)>;

// Registers at offsets 0 to 7, one byte each. Of a wider access only the first byte takes part; the others read 0xff.
// Any thread may call any method.
class Uart16550 final : public BusDevice {
 public:
  // How the UART reaches the world. None of these is called with a lock held that EnqueueInput needs.
  struct Host {
    SerialOutput output;
    // One edge on the interrupt line (announce it as edge-triggered, active-high). Called on vCPU threads and on those
    // that enqueue input, perhaps on several at once; must not block. An edge too many is harmless, one that is
    // missing hangs the console: a condition that stands after the guest dealt with another gets an edge of its own.
    std::function<void()> pulse_interrupt;
    // There is room again after EnqueueInput took less than it was offered. Called on vCPU threads; must not block.
    std::function<void()> input_room;
  };

  static constexpr size_t kFifoSize = 16;

  explicit Uart16550(Host host);

  // Puts the front of `bytes` into the receiver and says how many it took: as many as there is room for (16, or 1 as
  // long as the guest has not enabled the FIFOs; none in loopback mode, which cuts the receiver off the line). If some
  // were left, Host::input_room is called once when it is worth trying again.
  size_t EnqueueInput(std::span<const uint8_t> bytes);

  void Read(uint64_t offset, std::span<uint8_t> data) override;
  void Write(uint64_t offset, std::span<const uint8_t> data) override;

 private:
  // What to do once the lock is released.
  struct Effects {
    bool transmit = false;  // the byte that was written
    bool pulse = false;
    bool room = false;
  };

  uint8_t ReadRegister(uint64_t offset, Effects* effects) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WriteRegister(uint64_t offset, uint8_t value, Effects* effects) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WriteFifoControl(uint8_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WriteModemControl(uint8_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The upper half of MSR.
  uint8_t ModemLines() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Loopback() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  size_t Capacity() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Push(uint8_t byte) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint8_t Pop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The enabled conditions that stand, as bits of IER.
  uint8_t Pending() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint8_t InterruptId() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether the interrupt line needs an edge: something stands, and it is not just what stood before or `rearmed` says
  // that the guest has acknowledged it.
  bool NeedsPulse(bool rearmed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool TakeRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const Effects& effects);

  const Host host_;

  Mutex mu_;
  std::array<uint8_t, kFifoSize> fifo_ ABSL_GUARDED_BY(mu_) = {};
  size_t fifo_first_ ABSL_GUARDED_BY(mu_) = 0;
  size_t fifo_count_ ABSL_GUARDED_BY(mu_) = 0;
  uint8_t last_received_ ABSL_GUARDED_BY(mu_) = 0;  // what RBR reads when there is nothing new
  bool room_wanted_ ABSL_GUARDED_BY(mu_) = false;   // EnqueueInput left something behind
  bool transmitter_empty_unseen_ ABSL_GUARDED_BY(mu_) = true;
  bool overrun_ ABSL_GUARDED_BY(mu_) = false;
  uint8_t reported_ ABSL_GUARDED_BY(mu_) = 0;  // Pending() when it was last looked at
  uint8_t divisor_low_ ABSL_GUARDED_BY(mu_);
  uint8_t divisor_high_ ABSL_GUARDED_BY(mu_) = 0;
  uint8_t interrupt_enable_ ABSL_GUARDED_BY(mu_) = 0;
  uint8_t fifo_control_ ABSL_GUARDED_BY(mu_) = 0;
  uint8_t line_control_ ABSL_GUARDED_BY(mu_) = 0;
  uint8_t modem_control_ ABSL_GUARDED_BY(mu_) = 0;
  uint8_t modem_delta_ ABSL_GUARDED_BY(mu_) = 0;  // the lower half of MSR
  uint8_t scratch_ ABSL_GUARDED_BY(mu_) = 0;

  // Keeps bytes in order, apart from mu_ so that slow output does not hold back input.
  Mutex output_mu_;
};

}  // namespace daxvmm::devices

#endif  // DAXVMM_DEVICES_SERIAL_UART16550_H_
