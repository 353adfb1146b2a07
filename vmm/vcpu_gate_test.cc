#include "vmm/vcpu_gate.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace daxvmm::vmm {
namespace {

std::chrono::steady_clock::time_point In(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}
constexpr std::chrono::minutes kLong{1};

// Goes in and out as a vCPU does, and counts while inside. A kick makes it come out.
class FakeVcpu {
 public:
  FakeVcpu(VcpuGate* gate, unsigned index, bool stays_inside) : gate_(gate), index_(index), stays_(stays_inside) {
    gate->SetKick(index, [this] { kicked_ = true; });
    thread_ = std::thread([this] { Run(); });
  }
  ~FakeVcpu() {
    stop_ = true;
    kicked_ = true;
    gate_->Nudge();
    thread_.join();
  }
  uint64_t turns() const { return turns_.load(); }
  void AwaitTurn() const {
    const auto deadline = std::chrono::steady_clock::now() + kLong;
    for (const uint64_t before = turns(); turns() == before; std::this_thread::yield()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the vCPU makes no turn";
    }
  }

 private:
  void Run() {
    while (!stop_) {
      if (!gate_->Enter(index_)) {
        gate_->AwaitOpen([this] { return stop_.load(); });
        continue;
      }
      do {
        ++turns_;
      } while (stays_ && !kicked_);
      kicked_ = false;
      gate_->Leave(index_);
    }
  }

  VcpuGate* const gate_;
  const unsigned index_;
  const bool stays_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> kicked_{false};
  std::atomic<uint64_t> turns_{0};
  std::thread thread_;
};

TEST(VcpuGateTest, NobodyIsInsideWhenCloseReturns) {
  VcpuGate gate(2);
  FakeVcpu stays(&gate, 0, true);
  FakeVcpu comes_and_goes(&gate, 1, false);
  for (int i = 0; i < 50; ++i) {
    stays.AwaitTurn();
    ASSERT_FALSE(gate.Close(In(kLong)).has_value());
    const uint64_t before = stays.turns() + comes_and_goes.turns();
    std::this_thread::yield();
    ASSERT_EQ(stays.turns() + comes_and_goes.turns(), before) << "a vCPU is inside";
    gate.Open();
  }
  EXPECT_EQ(gate.closings(), 50u);
}

TEST(VcpuGateTest, TellsWhoDoesNotLeaveInTime) {
  VcpuGate gate(3);
  ASSERT_TRUE(gate.Enter(2));
  EXPECT_EQ(gate.Close(In(std::chrono::milliseconds(1))), 2u);
  gate.Leave(2);
  EXPECT_FALSE(gate.Enter(2)) << "the gate is closed after a time-out, until it is opened";
  gate.Open();
  EXPECT_TRUE(gate.Enter(2));
}

TEST(VcpuGateTest, IsShutFromTheStartIfWanted) {
  VcpuGate gate(1, false);
  FakeVcpu vcpu(&gate, 0, true);
  EXPECT_EQ(vcpu.turns(), 0u);
  EXPECT_EQ(gate.closings(), 0u) << "what never ran was not kept from running on";
  gate.Open();
  vcpu.AwaitTurn();
}

TEST(VcpuGateTest, WhoIsOutsideAlreadyNeedNotPassBy) {
  VcpuGate gate(1);
  ASSERT_TRUE(gate.Enter(0));
  gate.Leave(0);
  // It never enters again: a device keeps it.
  EXPECT_FALSE(gate.Close(In(kLong)).has_value());
}

}  // namespace
}  // namespace daxvmm::vmm
