// Counts how far the guests have come to what the policy wants, once for everybody who watches.
#ifndef DAXVMM_CONTROL_CONVERGENCE_HUB_H_
#define DAXVMM_CONTROL_CONVERGENCE_HUB_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/named_thread.h"
#include "control/controller.h"

namespace daxvmm::control {

inline constexpr size_t kMaxConvergenceListeners = 16;

// Counting looks at every live file, so a thread of its own does it, "convergence", which waits while nobody listens
// and takes at most a tenth of a processor beyond each listener's first count. Any thread may call any method.
class ConvergenceHub {
 public:
  // Called on the hub's thread, from one listener at a time; must not block.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void Counted(const ConvergenceCounts& counts) = 0;
    // OK after settled counts, else what counting failed with, or UNAVAILABLE (then on the thread that calls Stop).
    // Nothing is called afterwards.
    virtual void Ended(const absl::Status& status) = 0;
  };

  struct Wish {
    std::string share_tag;  // empty: all
    absl::Duration interval = absl::Seconds(1);
    bool until_settled = true;
  };

  // `controller` outlives the hub.
  explicit ConvergenceHub(const Controller* controller);
  ~ConvergenceHub() { Stop(); }
  ConvergenceHub(const ConvergenceHub&) = delete;
  ConvergenceHub& operator=(const ConvergenceHub&) = delete;

  // The listener gets counts at once; then when they differ from what it got last, seen within the shorter of its
  // interval and a second; and at each interval if they do not. RESOURCE_EXHAUSTED if there are too many,
  // UNAVAILABLE after Stop; nothing is called then.
  absl::Status Add(std::shared_ptr<Listener> listener, Wish wish);
  // Gives the place free, also that of a listener that has ended. A call that is under way may still arrive.
  void Remove(const Listener* listener);
  // The policy has changed: what is known is old.
  void CountSoon();
  // Ends all listeners with UNAVAILABLE and joins the thread. Idempotent.
  void Stop();

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    std::shared_ptr<Listener> listener;
    Wish wish;
    std::chrono::nanoseconds interval;
    Clock::time_point due;  // of the next count
    std::optional<ConvergenceCounts> sent;
    Clock::time_point sent_at;
    bool ended = false;
  };
  // What one round has for one listener.
  struct Delivery {
    std::shared_ptr<Listener> listener;
    std::optional<ConvergenceCounts> counts;
    std::optional<absl::Status> end;
  };

  void Run();
  // When there is something to count; nullopt: nobody listens.
  std::optional<Clock::time_point> NextDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<std::string> DueShares(Clock::time_point now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<Delivery> Digest(const std::string& share_tag, const absl::StatusOr<ConvergenceCounts>& counted,
                               Clock::time_point now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Controller* const controller_;
  Mutex mu_;
  CondVar changed_;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mu_);
  Clock::time_point rest_until_ ABSL_GUARDED_BY(mu_);
  NamedThread thread_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CONVERGENCE_HUB_H_
