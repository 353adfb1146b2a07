// Ring 4: vCPUs that are kept from running. Whether one runs is seen by the byte that it counts up in memory.
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>

#include "gtest/gtest.h"
#include "tests/microguest/micro_machine.h"

namespace daxvmm::microguest {
namespace {

constexpr uint64_t kForEver = uint64_t{1} << 62;

std::chrono::steady_clock::time_point Deadline() { return std::chrono::steady_clock::now() + kDeadline; }

class PauseTest : public testing::TestWithParam<bool> {
 protected:
  void Boot(unsigned cpus) {
    auto machine = MicroMachine::Create({.cpus = cpus, .irqchip = GetParam()});
    if (machine.status().code() == absl::StatusCode::kUnavailable) GTEST_SKIP() << machine.status().message();
    ASSERT_TRUE(machine.ok()) << machine.status();
    machine_ = *std::move(machine);
    counter_at_ = machine_->ram().Allocate(kPageSize);
    counter_ = reinterpret_cast<uint8_t*>(machine_->ram().Host(counter_at_, kPageSize));
    ASSERT_TRUE(machine_->Start().ok());
  }
  uint8_t Counter(unsigned cpu) const { return __atomic_load_n(counter_ + 64 * cpu, __ATOMIC_ACQUIRE); }
  void StartCounting(unsigned cpu) { machine_->StartCount(cpu, counter_at_ + ByteCount(64 * cpu), kForEver); }
  void AwaitCounting(unsigned cpu) {
    const auto deadline = Deadline();
    for (const uint8_t before = Counter(cpu); Counter(cpu) == before; std::this_thread::yield()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "vCPU " << cpu << " does not count";
    }
  }
  void ExpectStill(unsigned cpu) {
    const uint8_t before = Counter(cpu);
    // A turn of the guest takes a nanosecond. Not a wait for anything: what must not happen has its time here.
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
    while (std::chrono::steady_clock::now() < until) ASSERT_EQ(Counter(cpu), before) << "vCPU " << cpu << " runs on";
  }

  std::unique_ptr<MicroMachine> machine_;
  GuestPhysAddr counter_at_;
  uint8_t* counter_ = nullptr;
};

TEST_P(PauseTest, ACounterStandsStillAndGoesOn) {
  Boot(1);
  if (machine_ == nullptr) return;
  StartCounting(0);
  AwaitCounting(0);
  for (int i = 0; i < 5; ++i) {
    ASSERT_FALSE(machine_->gate().Close(Deadline()).has_value());
    ExpectStill(0);
    machine_->gate().Open();
    AwaitCounting(0);
  }
}

TEST_P(PauseTest, AllVcpusAndTheirAnswersSurviveAStorm) {
  Boot(2);
  if (machine_ == nullptr) return;
  constexpr uint64_t kTurns = 3'000'000;
  StartCounting(0);
  machine_->StartCount(1, counter_at_ + ByteCount(64), kTurns);
  for (int i = 0; i < 500; ++i) {
    ASSERT_FALSE(machine_->gate().Close(Deadline()).has_value()) << i;
    machine_->gate().Open();
  }
  EXPECT_EQ(machine_->FinishCount(1), 0u) << "a store was lost, or the vCPU did not come to its end";
  AwaitCounting(0);
}

TEST_P(PauseTest, AVcpuThatExitsAllTheTimeIsHeldToo) {
  // Each load is an exit: nothing answers there but the bus.
  class Counter final : public devices::BusDevice {
   public:
    void Read(uint64_t, std::span<uint8_t> data) override {
      std::memset(data.data(), 0, data.size());
      ++reads;
    }
    void Write(uint64_t, std::span<const uint8_t>) override {}
    std::atomic<uint64_t> reads{0};
  };
  Counter device;
  constexpr GuestPhysAddr kRegisters(0xd0000000);
  auto machine = MicroMachine::Create({.irqchip = GetParam()});
  if (machine.status().code() == absl::StatusCode::kUnavailable) GTEST_SKIP() << machine.status().message();
  ASSERT_TRUE(machine.ok()) << machine.status();
  machine_ = *std::move(machine);
  ASSERT_TRUE(machine_->mmio().Attach(kRegisters.raw(), kPageSize.raw(), &device).ok());
  ASSERT_TRUE(machine_->Start().ok());
  machine_->StartCount(0, kRegisters, kForEver);
  const auto deadline = Deadline();
  for (int i = 0; i < 20; ++i) {
    for (const uint64_t before = device.reads; device.reads == before; std::this_thread::yield()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the vCPU reads no register";
    }
    ASSERT_FALSE(machine_->gate().Close(Deadline()).has_value());
    // One exit may still be in the middle of being served: it is not guest code. There is no second.
    const uint64_t after = device.reads;
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
    while (std::chrono::steady_clock::now() < until) ASSERT_LE(device.reads, after + 1);
    machine_->gate().Open();
  }
  machine_->Halt();
}

TEST_P(PauseTest, HaltsWhilePaused) {
  Boot(2);
  if (machine_ == nullptr) return;
  StartCounting(0);
  AwaitCounting(0);
  ASSERT_FALSE(machine_->gate().Close(Deadline()).has_value());
  machine_->Halt();
}

INSTANTIATE_TEST_SUITE_P(All, PauseTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "irqchip" : "none"; });

}  // namespace
}  // namespace daxvmm::microguest
