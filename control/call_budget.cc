#include "control/call_budget.h"

#include <algorithm>

namespace daxvmm::control {
namespace {

constexpr std::chrono::seconds kForgetOneEvery(10);

}  // namespace

bool CallBudget::Arrived(Clock::time_point now) {
  MutexLock lock(&mu_);
  if (filled_at_ == Clock::time_point()) filled_at_ = refused_since_ = forgot_at_ = now;
  const double passed = std::chrono::duration<double>(now - filled_at_).count();
  if (passed > 0) {
    tokens_ = std::min(limits_.burst, tokens_ + passed * limits_.calls_per_second);
    filled_at_ = now;
  }
  if (now - forgot_at_ >= kForgetOneEvery) {
    forgot_at_ = now;
    int64_t known = without_request_.load(std::memory_order_relaxed);
    // Those whose request arrives before the count of it may take it below zero for a moment.
    if (known > 0) without_request_.compare_exchange_strong(known, known - 1, std::memory_order_relaxed);
  }
  if (tokens_ >= 1) {
    tokens_ -= 1;
    if (without_request_.fetch_add(1, std::memory_order_relaxed) >= limits_.without_request) {
      abusive_.store(true, std::memory_order_relaxed);
    }
    return true;
  }
  if (now - refused_since_ >= std::chrono::seconds(1)) {
    refused_since_ = now;
    refused_ = 0;
  }
  if (++refused_ > limits_.refusals_per_second) abusive_.store(true, std::memory_order_relaxed);
  return false;
}

void CallBudget::Forgive() {
  MutexLock lock(&mu_);
  refused_ = 0;
  without_request_.store(0, std::memory_order_relaxed);
  abusive_.store(false, std::memory_order_relaxed);
}

}  // namespace daxvmm::control
