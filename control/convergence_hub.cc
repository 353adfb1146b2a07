#include "control/convergence_hub.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_reason.h"

namespace daxvmm::control {
namespace {

// How long a change may go unseen for a listener that wants to hear rarely.
constexpr std::chrono::seconds kLook(1);
// A count that took T is followed by 9 T of rest.
constexpr int kRestPerWork = 9;

// The wait shrinks by itself: it is no change.
bool SameNumbers(const ConvergenceCounts& a, const ConvergenceCounts& b) {
  return a.converged == b.converged && a.attributes_cached == b.attributes_cached &&
         a.changes_on_next_use == b.changes_on_next_use && a.noticed_held_open == b.noticed_held_open &&
         a.noticed_still_held == b.noticed_still_held && a.unknown == b.unknown && a.generation == b.generation;
}

absl::Status Ending() { return WithReason(absl::UnavailableError("the machine is ending"), "MACHINE_ENDING"); }

}  // namespace

ConvergenceHub::ConvergenceHub(const Controller* controller)
    : controller_(controller), thread_("convergence", [this] { Run(); }) {}

absl::Status ConvergenceHub::Add(std::shared_ptr<Listener> listener, Wish wish) {
  MutexLock lock(&mu_);
  if (stop_) return Ending();
  if (entries_.size() >= kMaxConvergenceListeners) {
    return WithReason(absl::ResourceExhaustedError(absl::StrCat("convergence is watched ", kMaxConvergenceListeners,
                                                                " times already; end one, or try later")),
                      "TOO_MANY_STREAMS", {{"limit", absl::StrCat(kMaxConvergenceListeners)}});
  }
  Entry entry;
  entry.listener = std::move(listener);
  entry.interval = absl::ToChronoNanoseconds(wish.interval);
  entry.wish = std::move(wish);
  entry.due = Clock::now();
  entries_.push_back(std::move(entry));
  changed_.SignalAll();
  return absl::OkStatus();
}

void ConvergenceHub::Remove(const Listener* listener) {
  std::shared_ptr<Listener> removed;  // freed without the lock
  MutexLock lock(&mu_);
  const auto at = std::find_if(entries_.begin(), entries_.end(),
                               [listener](const Entry& entry) { return entry.listener.get() == listener; });
  if (at == entries_.end()) return;
  removed = std::move(at->listener);
  entries_.erase(at);
}

void ConvergenceHub::CountSoon() {
  MutexLock lock(&mu_);
  const auto now = Clock::now();
  for (Entry& entry : entries_) entry.due = std::min(entry.due, now);
  changed_.SignalAll();
}

void ConvergenceHub::Stop() {
  std::vector<std::shared_ptr<Listener>> left;
  {
    MutexLock lock(&mu_);
    stop_ = true;
    for (Entry& entry : entries_) {
      if (!std::exchange(entry.ended, true)) left.push_back(entry.listener);
    }
    changed_.SignalAll();
  }
  // A round may be under way: nothing of it comes after the end.
  thread_.Join();
  for (const auto& listener : left) listener->Ended(Ending());
}

std::optional<ConvergenceHub::Clock::time_point> ConvergenceHub::NextDue() const {
  std::optional<Clock::time_point> next;
  for (const Entry& entry : entries_) {
    if (entry.ended) continue;
    const auto due = entry.sent ? std::max(entry.due, rest_until_) : entry.due;
    if (!next || due < *next) next = due;
  }
  return next;
}

std::vector<std::string> ConvergenceHub::DueShares(Clock::time_point now) const {
  std::vector<std::string> shares;
  for (const Entry& entry : entries_) {
    if (entry.ended || entry.due > now) continue;
    if (std::find(shares.begin(), shares.end(), entry.wish.share_tag) == shares.end()) {
      shares.push_back(entry.wish.share_tag);
    }
  }
  return shares;
}

std::vector<ConvergenceHub::Delivery> ConvergenceHub::Digest(const std::string& share_tag,
                                                             const absl::StatusOr<ConvergenceCounts>& counted,
                                                             Clock::time_point now) {
  std::vector<Delivery> deliveries;
  for (Entry& entry : entries_) {
    if (entry.ended || entry.wish.share_tag != share_tag) continue;
    Delivery delivery{.listener = entry.listener, .counts = std::nullopt, .end = std::nullopt};
    if (!counted.ok()) {
      delivery.end = counted.status();
    } else {
      const bool ends = entry.wish.until_settled && counted->settled();
      if (ends || !entry.sent || !SameNumbers(*entry.sent, *counted) || now - entry.sent_at >= entry.interval) {
        delivery.counts = entry.sent = *counted;
        entry.sent_at = now;
      }
      if (ends) delivery.end = absl::OkStatus();
    }
    entry.ended = delivery.end.has_value();
    entry.due = now + std::min<std::chrono::nanoseconds>(entry.interval, kLook);
    if (delivery.counts || delivery.end) deliveries.push_back(std::move(delivery));
  }
  return deliveries;
}

void ConvergenceHub::Run() {
  for (;;) {
    std::vector<std::string> shares;
    {
      MutexLock lock(&mu_);
      for (;;) {
        if (stop_) return;
        const auto due = NextDue();
        const auto now = Clock::now();
        if (due && *due <= now) break;
        if (due) {
          changed_.WaitUntil(&mu_, *due);
        } else {
          changed_.Wait(&mu_);
        }
      }
      shares = DueShares(Clock::now());
    }
    const auto begin = Clock::now();
    for (const std::string& share : shares) {
      const auto counted = controller_->GetConvergence(share);
      std::vector<Delivery> deliveries;
      {
        MutexLock lock(&mu_);
        if (stop_) return;
        deliveries = Digest(share, counted, Clock::now());
      }
      for (const Delivery& delivery : deliveries) {
        if (delivery.counts) delivery.listener->Counted(*delivery.counts);
        if (delivery.end) delivery.listener->Ended(*delivery.end);
      }
    }
    const auto end = Clock::now();
    MutexLock lock(&mu_);
    rest_until_ = end + kRestPerWork * (end - begin);
  }
}

}  // namespace daxvmm::control
