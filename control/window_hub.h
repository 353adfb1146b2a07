// Samples the use of the windows, once for everybody who watches.
#ifndef DAXVMM_CONTROL_WINDOW_HUB_H_
#define DAXVMM_CONTROL_WINDOW_HUB_H_

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/named_thread.h"
#include "control/controller.h"

namespace daxvmm::control {

inline constexpr size_t kMaxWindowListeners = 16;

// A thread of its own, "window-watch", takes the samples, and waits while nobody listens. Any thread may call any
// method.
class WindowHub {
 public:
  struct Sample {
    absl::Time at;                   // wall clock
    std::vector<WindowUse> windows;  // of all shares
  };
  // Called on the hub's thread, from one listener at a time; must not block.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void Sampled(const std::shared_ptr<const Sample>& sample) = 0;
    // What sampling failed with, or UNAVAILABLE (then on the thread that calls Stop). Nothing is called afterwards.
    virtual void Ended(const absl::Status& status) = 0;
  };

  // `controller` outlives the hub.
  explicit WindowHub(const Controller* controller);
  ~WindowHub() { Stop(); }
  WindowHub(const WindowHub&) = delete;
  WindowHub& operator=(const WindowHub&) = delete;

  // The listener gets a sample at once and then one at each interval; none is made up for if the hub is late.
  // RESOURCE_EXHAUSTED if there are too many, UNAVAILABLE after Stop; nothing is called then.
  absl::Status Add(std::shared_ptr<Listener> listener, absl::Duration interval);
  // Gives the place free, also that of a listener that has ended. A call that is under way may still arrive.
  void Remove(const Listener* listener);
  // Ends all listeners with UNAVAILABLE and joins the thread. Idempotent.
  void Stop();

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    std::shared_ptr<Listener> listener;
    std::chrono::nanoseconds interval;
    Clock::time_point due;
    bool ended = false;
  };

  void Run();
  // Waits until somebody is due; who they are, with their next time set. Empty: the hub stops.
  std::vector<std::shared_ptr<Listener>> AwaitDue();

  const Controller* const controller_;
  Mutex mu_;
  CondVar changed_;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mu_);
  NamedThread thread_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_WINDOW_HUB_H_
