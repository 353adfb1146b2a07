#include "devices/serial/uart16550.h"

#include <linux/serial_reg.h>

#include <algorithm>
#include <utility>

namespace daxvmm::devices {
namespace {

constexpr uint8_t kInterruptEnableBits = UART_IER_RDI | UART_IER_THRI | UART_IER_RLSI | UART_IER_MSI;
constexpr uint8_t kModemControlBits = UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT1 | UART_MCR_OUT2 | UART_MCR_LOOP;
constexpr uint8_t kIirFifosEnabled = 0xc0;
constexpr uint8_t kDivisorFor9600 = 12;  // 1.8432 MHz / 16 / 9600

size_t ReceiveTrigger(uint8_t fifo_control) {
  switch (fifo_control & UART_FCR_TRIGGER_MASK) {
    case UART_FCR_TRIGGER_4:
      return 4;
    case UART_FCR_TRIGGER_8:
      return 8;
    case UART_FCR_TRIGGER_14:
      return 14;
    default:
      return 1;
  }
}

}  // namespace

Uart16550::Uart16550(Host host) : host_(std::move(host)), divisor_low_(kDivisorFor9600) {}

size_t Uart16550::EnqueueInput(std::span<const uint8_t> bytes) {
  Effects effects;
  size_t taken = 0;
  {
    MutexLock lock(&mu_);
    const size_t room = Loopback() ? 0 : Capacity() - fifo_count_;
    taken = std::min(room, bytes.size());
    for (uint8_t byte : bytes.first(taken)) Push(byte);
    room_wanted_ = taken < bytes.size();
    effects.pulse = NeedsPulse(/*rearmed=*/false);
  }
  Apply(effects);
  return taken;
}

void Uart16550::Read(uint64_t offset, std::span<uint8_t> data) {
  if (data.empty()) return;
  Effects effects;
  {
    MutexLock lock(&mu_);
    data[0] = ReadRegister(offset, &effects);
  }
  std::fill(data.begin() + 1, data.end(), uint8_t{0xff});
  Apply(effects);
}

void Uart16550::Write(uint64_t offset, std::span<const uint8_t> data) {
  if (data.empty()) return;
  Effects effects;
  {
    MutexLock lock(&mu_);
    WriteRegister(offset, data[0], &effects);
  }
  if (effects.transmit) {
    MutexLock lock(&output_mu_);
    host_.output(data.first(1));
  }
  Apply(effects);
}

void Uart16550::Apply(const Effects& effects) {
  if (effects.pulse) host_.pulse_interrupt();
  if (effects.room) host_.input_room();
}

uint8_t Uart16550::ReadRegister(uint64_t offset, Effects* effects) {
  uint8_t value = 0xff;
  bool rearmed = false;
  switch (offset) {
    case UART_RX:
      if ((line_control_ & UART_LCR_DLAB) != 0) {
        value = divisor_low_;
        break;
      }
      value = Pop();
      // A real FIFO whose last bytes are not fetched asks again after the time of four characters. Here the time has
      // always passed.
      rearmed = true;
      break;
    case UART_IER:
      value = (line_control_ & UART_LCR_DLAB) != 0 ? divisor_high_ : interrupt_enable_;
      break;
    case UART_IIR: {
      const uint8_t id = InterruptId();
      // Reading it acknowledges this condition, if it is the one reported, and no other.
      if (id == UART_IIR_THRI) transmitter_empty_unseen_ = false;
      value = id | ((fifo_control_ & UART_FCR_ENABLE_FIFO) != 0 ? kIirFifosEnabled : 0);
      break;
    }
    case UART_LCR:
      value = line_control_;
      break;
    case UART_MCR:
      value = modem_control_;
      break;
    case UART_LSR:
      value = UART_LSR_THRE | UART_LSR_TEMT;
      if (fifo_count_ > 0) value |= UART_LSR_DR;
      if (overrun_) value |= UART_LSR_OE;
      overrun_ = false;
      break;
    case UART_MSR:
      value = ModemLines() | modem_delta_;
      modem_delta_ = 0;
      break;
    case UART_SCR:
      value = scratch_;
      break;
    default:
      break;
  }
  effects->pulse = NeedsPulse(rearmed);
  effects->room = TakeRoom();
  return value;
}

void Uart16550::WriteRegister(uint64_t offset, uint8_t value, Effects* effects) {
  bool rearmed = false;
  switch (offset) {
    case UART_TX:
      if ((line_control_ & UART_LCR_DLAB) != 0) {
        divisor_low_ = value;
        break;
      }
      if (!Loopback()) {
        effects->transmit = true;
      } else if (fifo_count_ < Capacity()) {
        Push(value);
      } else {
        overrun_ = true;
      }
      // The holding register was full and is empty again: a new event each time, even if the last was not looked at.
      transmitter_empty_unseen_ = true;
      rearmed = true;
      break;
    case UART_IER:
      if ((line_control_ & UART_LCR_DLAB) != 0) {
        divisor_high_ = value;
        break;
      }
      // Enabling this interrupt while the transmitter is empty raises it anew. Drivers start sending that way, and
      // that of Linux works around chips that do not (UART_BUG_THRE in serial8250_do_startup).
      if ((value & ~interrupt_enable_ & UART_IER_THRI) != 0) transmitter_empty_unseen_ = true;
      interrupt_enable_ = value & kInterruptEnableBits;
      break;
    case UART_FCR:
      WriteFifoControl(value);
      break;
    case UART_LCR:
      line_control_ = value;
      break;
    case UART_MCR:
      WriteModemControl(value);
      break;
    case UART_SCR:
      scratch_ = value;
      break;
    default:  // LSR and MSR are read-only outside of a factory
      break;
  }
  effects->pulse = NeedsPulse(rearmed);
  effects->room = TakeRoom();
}

void Uart16550::WriteFifoControl(uint8_t value) {
  const bool toggled = ((value ^ fifo_control_) & UART_FCR_ENABLE_FIFO) != 0;
  const bool enabled = (value & UART_FCR_ENABLE_FIFO) != 0;
  if (toggled || (enabled && (value & UART_FCR_CLEAR_RCVR) != 0)) fifo_count_ = 0;
  // The other bits count only together with the one that enables the FIFOs.
  fifo_control_ = enabled ? value & (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK) : 0;
}

void Uart16550::WriteModemControl(uint8_t value) {
  const uint8_t before = ModemLines();
  modem_control_ = value & kModemControlBits;
  const uint8_t after = ModemLines();
  // Each line's delta bit stands four below it; that of the ring indicator notes only its end.
  modem_delta_ |= ((before ^ after) & (UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD)) >> 4;
  modem_delta_ |= (before & ~after & UART_MSR_RI) >> 4;
}

uint8_t Uart16550::ModemLines() const {
  // Somebody is always there, so that an open of the terminal does not wait for a carrier.
  if (!Loopback()) return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
  uint8_t lines = 0;
  if ((modem_control_ & UART_MCR_RTS) != 0) lines |= UART_MSR_CTS;
  if ((modem_control_ & UART_MCR_DTR) != 0) lines |= UART_MSR_DSR;
  if ((modem_control_ & UART_MCR_OUT1) != 0) lines |= UART_MSR_RI;
  if ((modem_control_ & UART_MCR_OUT2) != 0) lines |= UART_MSR_DCD;
  return lines;
}

bool Uart16550::Loopback() const { return (modem_control_ & UART_MCR_LOOP) != 0; }

size_t Uart16550::Capacity() const { return (fifo_control_ & UART_FCR_ENABLE_FIFO) != 0 ? kFifoSize : 1; }

void Uart16550::Push(uint8_t byte) {
  fifo_[(fifo_first_ + fifo_count_) % kFifoSize] = byte;
  ++fifo_count_;
}

uint8_t Uart16550::Pop() {
  if (fifo_count_ > 0) {
    last_received_ = fifo_[fifo_first_];
    fifo_first_ = (fifo_first_ + 1) % kFifoSize;
    --fifo_count_;
  }
  return last_received_;
}

uint8_t Uart16550::Pending() const {
  uint8_t standing = 0;
  if (overrun_) standing |= UART_IER_RLSI;
  if (fifo_count_ > 0) standing |= UART_IER_RDI;
  if (transmitter_empty_unseen_) standing |= UART_IER_THRI;
  if (modem_delta_ != 0) standing |= UART_IER_MSI;
  return standing & interrupt_enable_;
}

uint8_t Uart16550::InterruptId() const {
  const uint8_t pending = Pending();
  if ((pending & UART_IER_RLSI) != 0) return UART_IIR_RLSI;
  if ((pending & UART_IER_RDI) != 0) {
    const bool below = (fifo_control_ & UART_FCR_ENABLE_FIFO) != 0 && fifo_count_ < ReceiveTrigger(fifo_control_);
    return below ? UART_IIR_RX_TIMEOUT : UART_IIR_RDI;
  }
  if ((pending & UART_IER_THRI) != 0) return UART_IIR_THRI;
  if ((pending & UART_IER_MSI) != 0) return UART_IIR_MSI;
  return UART_IIR_NO_INT;
}

bool Uart16550::NeedsPulse(bool rearmed) {
  const uint8_t pending = Pending();
  // OUT2 gates the interrupt line on a PC's board, not in the chip; as other virtual machines do, ours has no such
  // gate.
  const bool pulse = pending != 0 && (pending != reported_ || rearmed);
  reported_ = pending;
  return pulse;
}

bool Uart16550::TakeRoom() {
  // Half of the FIFO, not a byte: what waits outside is worth waking a thread for.
  if (!room_wanted_ || Loopback() || fifo_count_ > Capacity() / 2) return false;
  room_wanted_ = false;
  return true;
}

}  // namespace daxvmm::devices
