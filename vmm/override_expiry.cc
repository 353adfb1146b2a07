#include "vmm/override_expiry.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace daxvmm::vmm {
namespace {

// Expiries are of the wall clock, which may be set: so often it is looked at anew.
constexpr absl::Duration kLongestWait = absl::Seconds(30);

}  // namespace

OverrideExpiry::~OverrideExpiry() {
  std::optional<NamedThread> thread;
  {
    MutexLock lock(&mu_);
    stop_ = true;
    changed_.SignalAll();
    thread = std::exchange(thread_, std::nullopt);
  }
  if (thread.has_value()) thread->Join();
}

void OverrideExpiry::Changed() {
  MutexLock lock(&mu_);
  if (stop_) return;
  look_ = true;
  changed_.SignalAll();
  if (!thread_.has_value()) thread_.emplace("overrides", [this] { Run(); });
}

void OverrideExpiry::Run() {
  for (;;) {
    const absl::Time now = absl::Now();
    const std::optional<absl::Time> next = policy_->ExpireOverrides(now);
    MutexLock lock(&mu_);
    if (!next.has_value()) {
      while (!stop_ && !look_) changed_.Wait(&mu_);
    } else {
      // A moment late rather than early, which would be a look for nothing.
      const absl::Duration wait = std::min(*next - now + absl::Milliseconds(1), kLongestWait);
      const auto until = std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(wait + absl::Milliseconds(1));
      while (!stop_ && !look_ && changed_.WaitUntil(&mu_, until)) {
      }
    }
    look_ = false;
    if (stop_) return;
  }
}

}  // namespace daxvmm::vmm
