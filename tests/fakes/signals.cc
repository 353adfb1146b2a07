#include "tests/fakes/signals.h"

namespace daxvmm::fakes {

void SignalCounter::Raise() {
  MutexLock lock(&mu_);
  ++count_;
  raised_.SignalAll();
}

uint64_t SignalCounter::count() const {
  MutexLock lock(&mu_);
  return count_;
}

bool SignalCounter::WaitUntil(absl::FunctionRef<bool()> ready, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    // Counted before the look, so that a signal between the look and the wait is not lost.
    const uint64_t seen = count();
    if (ready()) return true;
    MutexLock lock(&mu_);
    while (count_ == seen) {
      if (!raised_.WaitUntil(&mu_, deadline)) break;
    }
    if (count_ == seen && std::chrono::steady_clock::now() >= deadline) break;
  }
  return ready();
}

void FakeNotifier::SignalUsed(QueueIndex queue) {
  used_signals_.fetch_add(1);
  signal_.Raise();
}

void FakeNotifier::SignalNeedsReset() {
  needs_reset_.store(true);
  signal_.Raise();
}

}  // namespace daxvmm::fakes
