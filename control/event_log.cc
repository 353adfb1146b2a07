#include "control/event_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace daxvmm::control {
namespace {

bool IsGuestKind(EventKind kind) { return kind == EventKind::kNeedsReset || kind == EventKind::kWindowRepaired; }

}  // namespace

EventLog::EventLog(Clock clock) : clock_(std::move(clock)) {}

void EventLog::Append(EventKind kind, std::string message, std::string share, uint64_t generation) {
  if (message.size() > kMaxMessage) message.resize(kMaxMessage);
  MutexLock lock(&mu_);
  if (ended_) return;
  ++counts_[static_cast<size_t>(kind)];
  const absl::Time now = clock_();
  if (IsGuestKind(kind) && !AdmitGuestKindLocked(kind, share, &message, now)) return;
  MakeRoomLocked(kind);
  events_.push_back({.sequence = ++newest_,
                     .time = now,
                     .kind = kind,
                     .share = std::move(share),
                     .message = std::move(message),
                     .generation = generation});
  ended_ = IsEnding(kind);
  for (Waker* waker : wakers_) waker->Wake();
}

bool EventLog::AdmitGuestKindLocked(EventKind kind, const std::string& share, std::string* message, absl::Time now) {
  const auto last = std::ranges::find_if(
      last_, [&](const Last& one) { return one.kind == kind && one.share == share && one.message == *message; });
  if (last == last_.end()) {
    last_.push_back({.kind = kind, .share = share, .message = *message, .time = now});
    return true;
  }
  // A clock that was set back must not keep events away.
  if (now >= last->time && now < last->time + kGuestKindRest) {
    ++last->left_out;
    return false;
  }
  last->time = now;
  const uint64_t left_out = std::exchange(last->left_out, 0);
  if (left_out != 0) absl::StrAppend(message, " (", left_out, " more since the last such event)");
  return true;
}

void EventLog::MakeRoomLocked(EventKind kind) {
  const auto same = [kind](const Event& event) { return event.kind == kind; };
  if (IsGuestKind(kind) && std::ranges::count_if(events_, same) >= static_cast<ptrdiff_t>(kMaxOfGuestKind)) {
    events_.erase(std::ranges::find_if(events_, same));
  } else if (events_.size() >= kCapacity) {
    events_.pop_front();
  }
}

std::array<uint64_t, kEventKinds> EventLog::counts() const {
  MutexLock lock(&mu_);
  return counts_;
}

EventLog::Entry EventLog::Next(const Kinds& kinds, Place* place) const {
  MutexLock lock(&mu_);
  Entry entry;
  auto at = std::ranges::upper_bound(events_, place->after, {}, &Event::sequence);
  for (; at != events_.end(); ++at) {
    place->missed += at->sequence - place->after - 1;
    place->after = at->sequence;
    if (kinds.none() || kinds.test(static_cast<size_t>(at->kind))) {
      entry.event = *at++;
      entry.missed = std::exchange(place->missed, 0);
      break;
    }
  }
  entry.ended = ended_ && at == events_.end();
  return entry;
}

uint64_t EventLog::newest() const {
  MutexLock lock(&mu_);
  return newest_;
}

void EventLog::AddWaker(Waker* waker) {
  MutexLock lock(&mu_);
  wakers_.push_back(waker);
}

void EventLog::RemoveWaker(Waker* waker) {
  MutexLock lock(&mu_);
  std::erase(wakers_, waker);
}

}  // namespace daxvmm::control
