#include "control/metrics/sampler.h"

#include <algorithm>
#include <utility>

namespace daxvmm::control {

MetricsSampler::MetricsSampler(const Controller* controller, Clock clock)
    : controller_(controller), clock_(std::move(clock)) {}

void MetricsSampler::Recount(std::chrono::steady_clock::time_point now) {
  const auto rest = std::max<std::chrono::steady_clock::duration>(kRecountAfter, kRecountShare * counting_took_);
  if (counted_at_.has_value() && now - *counted_at_ < rest) return;
  follows_.clear();
  if (const auto windows = controller_->GetWindows(""); windows.ok()) {
    for (const WindowUse& share : *windows) {
      const auto counts = controller_->GetConvergence(share.share_tag);
      if (counts.ok()) follows_.emplace_back(share.share_tag, *counts);
    }
  }
  open_fds_ = CountOpenDescriptors();
  counted_at_ = clock_();
  counting_took_ = *counted_at_ - now;
}

MetricsSample MetricsSampler::Take() {
  Recount(clock_());
  MetricsSample sample{.machine = controller_->GetMetrics(),
                       .info = controller_->GetMachine(),
                       .follows = follows_,
                       .follows_age = clock_() - *counted_at_,
                       .process = ReadProcessFacts(),
                       .open_fds = open_fds_};
  if (auto windows = controller_->GetWindows(""); windows.ok()) sample.windows = *std::move(windows);
  return sample;
}

}  // namespace daxvmm::control
