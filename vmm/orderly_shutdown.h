// Asks a guest to power off, again and again, and ends it at a deadline.
#ifndef DAXVMM_VMM_ORDERLY_SHUTDOWN_H_
#define DAXVMM_VMM_ORDERLY_SHUTDOWN_H_

#include <chrono>
#include <functional>
#include <optional>

#include "base/mutex.h"
#include "base/named_thread.h"

namespace daxvmm::vmm {

// What is to be done when: a value, without thread or clock.
//
// A guest that is still booting has nobody who listens to its power button, and the press is lost: it is pressed each
// second until the guest is gone. One that is powering off already ignores it.
class ShutdownPlan {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kPressPeriod{1};

  // From now on, or with another deadline than before.
  void Ask(Time now, Time deadline);

  enum class Step { kWait, kPress, kForce };
  // What is due; each is told once.
  Step Take(Time now);
  // When to call Take next; nullopt: nothing is to be done any more, or yet.
  std::optional<Time> next() const;

 private:
  std::optional<Time> deadline_;
  Time next_press_;  // while deadline_ is set
  bool forced_ = false;
};

// Carries a plan out, on a thread of its own, "shutdown", which is made by the first Ask.
class OrderlyShutdown {
 public:
  struct Actions {
    std::function<void()> press;
    // The guest did not power off within this time.
    std::function<void(std::chrono::nanoseconds)> force;
  };
  // Both are called on the thread, under no lock.
  explicit OrderlyShutdown(Actions actions) : actions_(std::move(actions)) {}
  ~OrderlyShutdown() { Stop(); }
  OrderlyShutdown(const OrderlyShutdown&) = delete;
  OrderlyShutdown& operator=(const OrderlyShutdown&) = delete;

  // Presses now, and forces after `timeout`; a later call moves that. Any thread.
  void Ask(std::chrono::nanoseconds timeout);
  // Joins the thread: nothing is called afterwards. Not from an action. Idempotent.
  void Stop();

 private:
  void Run();

  const Actions actions_;
  Mutex mu_;
  CondVar changed_;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  ShutdownPlan plan_ ABSL_GUARDED_BY(mu_);
  std::chrono::nanoseconds timeout_ ABSL_GUARDED_BY(mu_){0};
  std::optional<NamedThread> thread_ ABSL_GUARDED_BY(mu_);
};

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_ORDERLY_SHUTDOWN_H_
