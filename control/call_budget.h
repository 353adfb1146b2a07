// How many calls one principal may make.
#ifndef DAXVMM_CONTROL_CALL_BUDGET_H_
#define DAXVMM_CONTROL_CALL_BUDGET_H_

#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/mutex.h"

namespace daxvmm::control {

// Counts a principal's calls from their arrival: a bucket of tokens for their rate, and what tells a client that makes
// calls only to make work (resets them at once, never sends what it asks for, or goes on while it is refused). Any
// thread may call any method; none blocks.
class CallBudget {
 public:
  using Clock = std::chrono::steady_clock;

  struct Limits {
    double calls_per_second = 2000;
    double burst = 2000;
    uint64_t refusals_per_second = 10000;
    // Calls that have arrived without their request, and may never get it; one is forgotten every ten seconds.
    int64_t without_request = 1024;
    int64_t answer_bytes = 8 << 20;
  };

  explicit CallBudget(const Limits& limits) : limits_(limits), tokens_(limits.burst) {}

  // A call has arrived. False: it is one too many.
  bool Arrived(Clock::time_point now);
  // Its request has arrived, too.
  void Begun() { without_request_.fetch_sub(1, std::memory_order_relaxed); }
  // Once true, until Forgive: the principal's connections should be cut.
  bool abusive() const { return abusive_.load(std::memory_order_relaxed); }
  // They are.
  void Forgive();

  // Bytes of answers that gRPC has been given and their client has not taken yet.
  void Answering(int64_t bytes) { answer_bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  void Answered(int64_t bytes) { answer_bytes_.fetch_sub(bytes, std::memory_order_relaxed); }
  bool MayAnswer() const { return answer_bytes_.load(std::memory_order_relaxed) <= limits_.answer_bytes; }

  const Limits& limits() const { return limits_; }

 private:
  const Limits limits_;
  std::atomic<bool> abusive_{false};
  std::atomic<int64_t> without_request_{0};
  std::atomic<int64_t> answer_bytes_{0};
  Mutex mu_;
  double tokens_ ABSL_GUARDED_BY(mu_);
  Clock::time_point filled_at_ ABSL_GUARDED_BY(mu_){};
  uint64_t refused_ ABSL_GUARDED_BY(mu_) = 0;  // since
  Clock::time_point refused_since_ ABSL_GUARDED_BY(mu_){};
  Clock::time_point forgot_at_ ABSL_GUARDED_BY(mu_){};
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CALL_BUDGET_H_
