#include "devices/serial/uart16550.h"

#include <linux/serial_reg.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/named_thread.h"
#include "gtest/gtest.h"

namespace daxvmm::devices {
namespace {

class Uart16550Test : public testing::Test {
 protected:
  void Out(uint64_t offset, uint8_t value) { uart_.Write(offset, std::array<uint8_t, 1>{value}); }
  uint8_t In(uint64_t offset) {
    std::array<uint8_t, 1> data{};
    uart_.Read(offset, data);
    return data[0];
  }
  size_t Type(std::string_view text) {
    return uart_.EnqueueInput({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  }
  // All that the receiver holds, as a driver's loop fetches it.
  std::string Fetch() {
    std::string text;
    while ((In(UART_LSR) & UART_LSR_DR) != 0) text += static_cast<char>(In(UART_RX));
    return text;
  }
  // The edges since the last call.
  int Pulses() { return std::exchange(pulses_, 0); }

  std::string output_;
  int pulses_ = 0;
  int rooms_ = 0;
  Uart16550 uart_{{.output = [this](std::span<const uint8_t> bytes) { output_.append(bytes.begin(), bytes.end()); },
                   .pulse_interrupt = [this] { ++pulses_; },
                   .input_room = [this] { ++rooms_; }}};
};

// The steps by which autoconfig() and autoconfig_16550a() of drivers/tty/serial/8250/8250_port.c (Linux 6.1) tell what
// chip it is.
TEST_F(Uart16550Test, LinuxDetectsA16550A) {
  Out(UART_IER, 0);
  EXPECT_EQ(In(UART_IER), 0);
  Out(UART_IER, 0x0f);
  EXPECT_EQ(In(UART_IER), 0x0f);
  Out(UART_IER, 0);

  Out(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
  EXPECT_EQ(In(UART_MSR) & 0xf0, UART_MSR_DCD | UART_MSR_CTS) << "the loopback test";
  Out(UART_MCR, 0);

  Out(UART_LCR, UART_LCR_CONF_MODE_B);
  Out(UART_EFR, 0);
  Out(UART_LCR, 0);
  Out(UART_FCR, UART_FCR_ENABLE_FIFO);
  EXPECT_EQ(In(UART_IIR) >> 6, 3) << "16550A";

  Out(UART_LCR, UART_LCR_CONF_MODE_A);
  EXPECT_NE(In(UART_EFR), 0) << "not a 16650";
  Out(UART_LCR, UART_LCR_CONF_MODE_B);
  EXPECT_NE(In(UART_EFR), 0) << "not a 16650V2 or an Exar chip";
  Out(UART_LCR, 0);
  const uint8_t mcr = In(UART_MCR);
  Out(UART_MCR, mcr ^ UART_MCR_LOOP);
  Out(UART_LCR, 0xe0);
  const uint8_t excr = In(0x02);
  Out(UART_LCR, 0);
  Out(UART_MCR, mcr);
  EXPECT_EQ((excr ^ mcr) & UART_MCR_LOOP, 0) << "not a National Semiconductor SuperIO";
  Out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR7_64BYTE);
  EXPECT_EQ(In(UART_IIR) >> 5, 6) << "not a 16750";
  Out(UART_IER, UART_IER_UUE);
  EXPECT_EQ(In(UART_IER) & UART_IER_UUE, 0) << "not an XScale";
}

// The test in serial8250_do_startup() for chips that forget to raise this interrupt.
TEST_F(Uart16550Test, EnablingTheTransmitInterruptRaisesItEachTime) {
  for (int i = 0; i < 2; ++i) {
    Out(UART_IER, UART_IER_THRI);
    EXPECT_EQ(Pulses(), 1);
    EXPECT_EQ(In(UART_IIR), UART_IIR_THRI);
    EXPECT_EQ(In(UART_IIR), UART_IIR_NO_INT) << "reading it acknowledges it";
    Out(UART_IER, 0);
  }
  EXPECT_EQ(Pulses(), 0);
}

TEST_F(Uart16550Test, SendsBytes) {
  for (char c : std::string("login: ")) {
    EXPECT_EQ(In(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    Out(UART_TX, static_cast<uint8_t>(c));
  }
  EXPECT_EQ(output_, "login: ");
  EXPECT_EQ(Pulses(), 0) << "no interrupt is enabled";
}

TEST_F(Uart16550Test, EachByteSentRaisesTheTransmitInterruptAnew) {
  Out(UART_IER, UART_IER_THRI);
  In(UART_IIR);
  Pulses();
  Out(UART_TX, 'a');
  EXPECT_EQ(Pulses(), 1);
  EXPECT_EQ(In(UART_IIR), UART_IIR_THRI);
  Out(UART_TX, 'b');
  EXPECT_EQ(Pulses(), 1);
  Out(UART_TX, 'c');  // without a look at IIR: a driver that polls LSR in its handler must be called again
  EXPECT_EQ(Pulses(), 1);
}

TEST_F(Uart16550Test, DivisorLatchHidesDataAndInterruptEnable) {
  Out(UART_IER, UART_IER_RDI);
  Out(UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
  Out(UART_DLL, 0x34);
  Out(UART_DLM, 0x12);
  EXPECT_EQ(In(UART_DLL), 0x34);
  EXPECT_EQ(In(UART_DLM), 0x12);
  EXPECT_EQ(output_, "");
  Out(UART_LCR, UART_LCR_WLEN8);
  EXPECT_EQ(In(UART_LCR), UART_LCR_WLEN8);
  EXPECT_EQ(In(UART_IER), UART_IER_RDI);
  EXPECT_EQ(In(UART_RX), 0);
}

TEST_F(Uart16550Test, ScratchAndModemControlReadBack) {
  Out(UART_SCR, 0xa5);
  EXPECT_EQ(In(UART_SCR), 0xa5);
  Out(UART_MCR, 0xff);
  EXPECT_EQ(In(UART_MCR), 0x1f) << "the upper three bits do not exist";
}

TEST_F(Uart16550Test, WithoutFifosTheReceiverHoldsOneByte) {
  EXPECT_EQ(Type("abc"), 1u);
  EXPECT_EQ(rooms_, 0);
  EXPECT_EQ(Fetch(), "a");
  EXPECT_EQ(rooms_, 1);
  EXPECT_EQ(Type("bc"), 1u);
  EXPECT_EQ(Fetch(), "b");
  EXPECT_EQ(rooms_, 2);
  EXPECT_EQ(Type("c"), 1u);
  EXPECT_EQ(Fetch(), "c");
  EXPECT_EQ(rooms_, 2) << "nothing was left behind";
}

TEST_F(Uart16550Test, TheReceiverTakesWhatFitsAndTellsWhenToGoOn) {
  Out(UART_FCR, UART_FCR_ENABLE_FIFO);
  EXPECT_EQ(Type("0123456789abcdefGHI"), 16u);
  EXPECT_EQ(Type("GHI"), 0u);
  std::string got;
  for (int i = 0; i < 7; ++i) got += static_cast<char>(In(UART_RX));
  EXPECT_EQ(rooms_, 0);
  got += static_cast<char>(In(UART_RX));
  EXPECT_EQ(rooms_, 1) << "half empty";
  EXPECT_EQ(Type("GHI"), 3u);
  EXPECT_EQ(got + Fetch(), "0123456789abcdefGHI");
  EXPECT_EQ(rooms_, 1);
  EXPECT_EQ(In(UART_LSR) & UART_LSR_OE, 0);
}

TEST_F(Uart16550Test, InputRaisesAnInterruptOnce) {
  Out(UART_FCR, UART_FCR_ENABLE_FIFO);
  Out(UART_IER, UART_IER_RDI | UART_IER_RLSI);
  EXPECT_EQ(Pulses(), 0);
  Type("a");
  EXPECT_EQ(Pulses(), 1);
  Type("b");
  EXPECT_EQ(Pulses(), 0) << "the line is up already";
  EXPECT_EQ(In(UART_IIR), 0xc0 | UART_IIR_RDI);
  EXPECT_EQ(Fetch(), "ab");
  EXPECT_EQ(In(UART_IIR), 0xc0 | UART_IIR_NO_INT);
  Pulses();
  Type("c");
  EXPECT_EQ(Pulses(), 1) << "the line fell in between";
}

TEST_F(Uart16550Test, InputThatCameBeforeItsInterruptWasEnabledIsNotForgotten) {
  Out(UART_FCR, UART_FCR_ENABLE_FIFO);
  Type("a");
  EXPECT_EQ(Pulses(), 0);
  Out(UART_IER, UART_IER_RDI);
  EXPECT_EQ(Pulses(), 1);
  Out(UART_IER, 0);
  Out(UART_IER, UART_IER_RDI);
  EXPECT_EQ(Pulses(), 1) << "masked and unmasked: a new edge";
}

TEST_F(Uart16550Test, ADriverThatFetchesOneBytePerInterruptGetsThemAll) {
  Out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_14);
  Out(UART_IER, UART_IER_RDI);
  Type("abc");
  std::string got;
  while (Pulses() > 0) {
    EXPECT_EQ(In(UART_IIR), 0xc0 | UART_IIR_RX_TIMEOUT) << "below the trigger level";
    got += static_cast<char>(In(UART_RX));
  }
  EXPECT_EQ(got, "abc");
}

TEST_F(Uart16550Test, TriggerLevelsTellDataFromTimeout) {
  const std::pair<uint8_t, size_t> levels[] = {
      {UART_FCR_TRIGGER_1, 1}, {UART_FCR_TRIGGER_4, 4}, {UART_FCR_TRIGGER_8, 8}, {UART_FCR_TRIGGER_14, 14}};
  Out(UART_IER, UART_IER_RDI);
  for (const auto& [bits, level] : levels) {
    Out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | bits);
    for (size_t held = 1; held <= Uart16550::kFifoSize; ++held) {
      ASSERT_EQ(Type("x"), 1u);
      EXPECT_EQ(In(UART_IIR) & 0x0f, held < level ? UART_IIR_RX_TIMEOUT : UART_IIR_RDI) << held << " of " << level;
    }
  }
}

TEST_F(Uart16550Test, WhatStandsBehindAnAcknowledgedConditionGetsItsOwnEdge) {
  Out(UART_FCR, UART_FCR_ENABLE_FIFO);
  Out(UART_IER, UART_IER_RDI | UART_IER_THRI);
  In(UART_IIR);
  Type("a");
  Out(UART_TX, 'x');
  Pulses();
  EXPECT_EQ(In(UART_IIR) & 0x0f, UART_IIR_RDI) << "has priority";
  EXPECT_EQ(In(UART_RX), 'a');
  EXPECT_EQ(Pulses(), 1) << "the transmitter is still to be looked at";
  EXPECT_EQ(In(UART_IIR) & 0x0f, UART_IIR_THRI);
  EXPECT_EQ(In(UART_IIR) & 0x0f, UART_IIR_NO_INT);
  EXPECT_EQ(Pulses(), 0);
}

TEST_F(Uart16550Test, FifoControlEmptiesTheReceiver) {
  Out(UART_FCR, UART_FCR_ENABLE_FIFO);
  EXPECT_EQ(Type(std::string(20, 'x')), 16u);
  Out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_XMIT);
  EXPECT_NE(In(UART_LSR) & UART_LSR_DR, 0);
  Out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
  EXPECT_EQ(In(UART_LSR) & UART_LSR_DR, 0);
  EXPECT_EQ(rooms_, 1);
  Type("y");
  Out(UART_FCR, 0);
  EXPECT_EQ(Fetch(), "") << "switching the FIFOs off empties them";
  EXPECT_EQ(In(UART_IIR) & 0xc0, 0);
}

TEST_F(Uart16550Test, LoopbackReturnsWhatIsSentAndCutsTheLineOff) {
  Out(UART_FCR, UART_FCR_ENABLE_FIFO);
  Out(UART_MCR, UART_MCR_LOOP);
  EXPECT_EQ(Type("typed"), 0u);
  for (char c : std::string("loop")) Out(UART_TX, static_cast<uint8_t>(c));
  EXPECT_EQ(Fetch(), "loop");
  EXPECT_EQ(output_, "");
  EXPECT_EQ(rooms_, 0);
  Out(UART_MCR, 0);
  EXPECT_EQ(rooms_, 1) << "what was typed waits still";
  EXPECT_EQ(Type("typed"), 5u);
  EXPECT_EQ(Fetch(), "typed");
}

TEST_F(Uart16550Test, LoopbackOverrunIsReportedOnce) {
  Out(UART_FCR, UART_FCR_ENABLE_FIFO);
  Out(UART_MCR, UART_MCR_LOOP);
  Out(UART_IER, UART_IER_RLSI);
  for (int i = 0; i < 100; ++i) Out(UART_TX, static_cast<uint8_t>('a' + i % 26));
  EXPECT_EQ(In(UART_IIR) & 0x0f, UART_IIR_RLSI);
  EXPECT_NE(In(UART_LSR) & UART_LSR_OE, 0);
  EXPECT_EQ(In(UART_LSR) & UART_LSR_OE, 0);
  EXPECT_EQ(In(UART_IIR) & 0x0f, UART_IIR_NO_INT);
  EXPECT_EQ(Fetch(), "abcdefghijklmnop");
}

TEST_F(Uart16550Test, ModemLinesFollowLoopbackAndNoteChanges) {
  EXPECT_EQ(In(UART_MSR), UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
  Out(UART_MCR, UART_MCR_LOOP | UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
  EXPECT_EQ(In(UART_MSR), UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS) << "the same lines: no change";
  Out(UART_IER, UART_IER_MSI);
  Out(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1);
  EXPECT_EQ(Pulses(), 1);
  EXPECT_EQ(In(UART_IIR), UART_IIR_MSI);
  EXPECT_EQ(In(UART_MSR), UART_MSR_RI | UART_MSR_DDCD | UART_MSR_DDSR | UART_MSR_DCTS) << "RI's start is not noted";
  EXPECT_EQ(In(UART_MSR), UART_MSR_RI) << "reading clears the changes";
  EXPECT_EQ(In(UART_IIR), UART_IIR_NO_INT);
  Out(UART_MCR, UART_MCR_LOOP);
  EXPECT_EQ(In(UART_MSR), UART_MSR_TERI) << "RI's end is";
}

TEST_F(Uart16550Test, OfAWideAccessOnlyTheFirstByteCounts) {
  uart_.Write(UART_TX, std::array<uint8_t, 4>{'a', 'b', 'c', 'd'});
  EXPECT_EQ(output_, "a");
  Type("z");
  std::array<uint8_t, 4> data{};
  uart_.Read(UART_RX, data);
  EXPECT_EQ(data, (std::array<uint8_t, 4>{'z', 0xff, 0xff, 0xff}));
  EXPECT_EQ(In(8), 0xff) << "no such register";
  Out(8, 0);
}

// Input from one thread, a driver that sleeps until its interrupt on another: a lost edge or a lost call for more input
// would leave both waiting.
TEST(Uart16550ThreadTest, NeitherAnEdgeNorACallForMoreIsLost) {
  constexpr size_t kTotal = 100'000;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  Mutex mu;
  CondVar changed;
  bool edge = false;
  bool room = false;
  bool late = false;
  const auto raise = [&mu, &changed](bool* flag) {
    MutexLock lock(&mu);
    *flag = true;
    changed.SignalAll();
  };
  const auto wait = [&](bool* flag) {
    MutexLock lock(&mu);
    while (!*flag && !late) late = !changed.WaitUntil(&mu, deadline) && !*flag;
    *flag = false;
    return !late;
  };
  Uart16550 uart({.output = [](std::span<const uint8_t>) {},
                  .pulse_interrupt = [&] { raise(&edge); },
                  .input_room = [&] { raise(&room); }});
  uart.Write(UART_FCR, std::array<uint8_t, 1>{UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8});
  uart.Write(UART_IER, std::array<uint8_t, 1>{UART_IER_RDI});

  size_t sent = 0;
  NamedThread typist("typist", [&] {
    while (sent < kTotal) {
      std::vector<uint8_t> bytes;
      for (size_t i = sent; i < std::min(sent + 40, kTotal); ++i) bytes.push_back(static_cast<uint8_t>(i % 251));
      const size_t taken = uart.EnqueueInput(bytes);
      sent += taken;
      if (taken < bytes.size() && !wait(&room)) return;
    }
  });
  size_t received = 0;
  bool in_order = true;
  while (received < kTotal && wait(&edge)) {
    std::array<uint8_t, 1> value{};
    while (uart.Read(UART_IIR, value), (value[0] & UART_IIR_NO_INT) == 0) {
      while (uart.Read(UART_LSR, value), (value[0] & UART_LSR_DR) != 0) {
        uart.Read(UART_RX, value);
        in_order = in_order && value[0] == received % 251;
        ++received;
      }
    }
  }
  typist.Join();
  EXPECT_FALSE(late) << "received " << received << " of " << sent << " bytes, then nobody was woken any more";
  EXPECT_EQ(received, kTotal);
  EXPECT_TRUE(in_order);
}

}  // namespace
}  // namespace daxvmm::devices
