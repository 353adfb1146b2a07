#include "control/window_hub.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/error_reason.h"

namespace daxvmm::control {
namespace {

absl::Status Ending() { return WithReason(absl::UnavailableError("the machine is ending"), "MACHINE_ENDING"); }

}  // namespace

WindowHub::WindowHub(const Controller* controller)
    : controller_(controller), thread_("window-watch", [this] { Run(); }) {}

absl::Status WindowHub::Add(std::shared_ptr<Listener> listener, absl::Duration interval) {
  MutexLock lock(&mu_);
  if (stop_) return Ending();
  if (entries_.size() >= kMaxWindowListeners) {
    return WithReason(absl::ResourceExhaustedError(absl::StrCat("windows are watched ", kMaxWindowListeners,
                                                                " times already; end one, or try later")),
                      "TOO_MANY_STREAMS", {{"limit", absl::StrCat(kMaxWindowListeners)}});
  }
  entries_.push_back(
      {.listener = std::move(listener), .interval = absl::ToChronoNanoseconds(interval), .due = Clock::now()});
  changed_.SignalAll();
  return absl::OkStatus();
}

void WindowHub::Remove(const Listener* listener) {
  std::shared_ptr<Listener> removed;  // freed without the lock
  MutexLock lock(&mu_);
  const auto at = std::ranges::find(entries_, listener, [](const Entry& entry) { return entry.listener.get(); });
  if (at == entries_.end()) return;
  removed = std::move(at->listener);
  entries_.erase(at);
}

void WindowHub::Stop() {
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

std::vector<std::shared_ptr<WindowHub::Listener>> WindowHub::AwaitDue() {
  MutexLock lock(&mu_);
  std::vector<std::shared_ptr<Listener>> due;
  for (;;) {
    if (stop_) return {};
    const auto now = Clock::now();
    std::optional<Clock::time_point> next;
    for (Entry& entry : entries_) {
      if (entry.ended) continue;
      if (entry.due <= now) {
        due.push_back(entry.listener);
        // On its own beat, but for a hub that is late by a whole one.
        entry.due = std::max(entry.due + entry.interval, now);
      }
      if (!next || entry.due < *next) next = entry.due;
    }
    if (!due.empty()) return due;
    if (next) {
      changed_.WaitUntil(&mu_, *next);
    } else {
      changed_.Wait(&mu_);
    }
  }
}

void WindowHub::Run() {
  for (;;) {
    const std::vector<std::shared_ptr<Listener>> due = AwaitDue();
    if (due.empty()) return;
    absl::StatusOr<std::vector<WindowUse>> windows = controller_->GetWindows("");
    std::shared_ptr<const Sample> sample;
    if (windows.ok()) sample = std::make_shared<Sample>(Sample{absl::Now(), *std::move(windows)});
    for (const auto& listener : due) {
      {
        MutexLock lock(&mu_);
        if (stop_) return;
        if (sample == nullptr) {
          const auto at = std::ranges::find(entries_, listener, &Entry::listener);
          if (at == entries_.end() || std::exchange(at->ended, true)) continue;
        }
      }
      if (sample != nullptr) {
        listener->Sampled(sample);
      } else {
        listener->Ended(windows.status());
      }
    }
  }
}

}  // namespace daxvmm::control
