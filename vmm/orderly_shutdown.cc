#include "vmm/orderly_shutdown.h"

#include <algorithm>
#include <utility>

namespace daxvmm::vmm {

void ShutdownPlan::Ask(Time now, Time deadline) {
  if (!deadline_.has_value()) next_press_ = now;
  deadline_ = deadline;
}

ShutdownPlan::Step ShutdownPlan::Take(Time now) {
  if (!deadline_.has_value() || forced_) return Step::kWait;
  if (now >= *deadline_) {
    forced_ = true;
    return Step::kForce;
  }
  if (now < next_press_) return Step::kWait;
  next_press_ = now + kPressPeriod;
  return Step::kPress;
}

std::optional<ShutdownPlan::Time> ShutdownPlan::next() const {
  if (!deadline_.has_value() || forced_) return std::nullopt;
  return std::min(*deadline_, next_press_);
}

void OrderlyShutdown::Ask(std::chrono::nanoseconds timeout) {
  const auto now = std::chrono::steady_clock::now();
  MutexLock lock(&mu_);
  if (stop_) return;
  plan_.Ask(now, now + timeout);
  timeout_ = timeout;
  changed_.SignalAll();
  if (!thread_.has_value()) thread_.emplace("shutdown", [this] { Run(); });
}

void OrderlyShutdown::Stop() {
  std::optional<NamedThread> thread;
  {
    MutexLock lock(&mu_);
    stop_ = true;
    changed_.SignalAll();
    thread = std::exchange(thread_, std::nullopt);
  }
  if (thread.has_value()) thread->Join();
}

void OrderlyShutdown::Run() {
  for (;;) {
    ShutdownPlan::Step step;
    std::chrono::nanoseconds timeout;
    {
      MutexLock lock(&mu_);
      for (;;) {
        if (stop_) return;
        step = plan_.Take(std::chrono::steady_clock::now());
        if (step != ShutdownPlan::Step::kWait) break;
        if (const auto next = plan_.next(); next.has_value()) {
          changed_.WaitUntil(&mu_, *next);
        } else {
          changed_.Wait(&mu_);
        }
      }
      timeout = timeout_;
    }
    if (step == ShutdownPlan::Step::kPress) {
      actions_.press();
    } else {
      actions_.force(timeout);
    }
  }
}

}  // namespace daxvmm::vmm
