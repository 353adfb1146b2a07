// What a device's signals end in when there is no guest: counters that a test can wait on.
#ifndef DAXVMM_TESTS_FAKES_SIGNALS_H_
#define DAXVMM_TESTS_FAKES_SIGNALS_H_

#include <atomic>
#include <chrono>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "base/mutex.h"
#include "base/units.h"
#include "devices/virtio/interrupt_line.h"
#include "devices/virtio/virtio_device.h"

namespace daxvmm::fakes {

inline constexpr std::chrono::seconds kPatience{20};

// Counts; any thread.
class SignalCounter {
 public:
  void Raise();
  uint64_t count() const;
  // Evaluates `ready` now and after each signal until it holds; false if it still did not at the deadline.
  bool WaitUntil(absl::FunctionRef<bool()> ready, std::chrono::milliseconds patience = kPatience);

 private:
  mutable Mutex mu_;
  CondVar raised_;
  uint64_t count_ ABSL_GUARDED_BY(mu_) = 0;
};

// Stands where the irqfd would be.
class FakeInterruptLine : public virtio::InterruptLine {
 public:
  void Pulse() override { signal_.Raise(); }
  SignalCounter& signal() { return signal_; }

 private:
  SignalCounter signal_;
};

// Stands where the transport would be, for a test that calls VirtioDevice::Activate itself.
class FakeNotifier : public virtio::DriverNotifier {
 public:
  void SignalUsed(QueueIndex queue) override;
  void SignalNeedsReset() override;

  // Every signal of either kind, to wait on.
  SignalCounter& signal() { return signal_; }
  uint64_t used_signals() const { return used_signals_.load(); }
  bool needs_reset() const { return needs_reset_.load(); }

 private:
  std::atomic<uint64_t> used_signals_{0};
  std::atomic<bool> needs_reset_{false};
  SignalCounter signal_;
};

}  // namespace daxvmm::fakes

#endif  // DAXVMM_TESTS_FAKES_SIGNALS_H_
