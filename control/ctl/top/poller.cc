#include "control/ctl/top/poller.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "control/ctl/top/round.h"

namespace daxvmm::control::top {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr absl::Duration kRetry = absl::Seconds(1);

SteadyTime After(absl::Duration duration) {
  return std::chrono::steady_clock::now() + absl::ToChronoMicroseconds(duration);
}

bool SameLists(const Questions& a, const Questions& b) {
  return a.share == b.share && a.order == b.order && a.files == b.files;
}

}  // namespace

// Of the poller and of its two threads, the last of which deletes it.
struct Poller::Shared {
  Shared(ConnectFunction connect, const Questions& questions, std::function<void()> changed)
      : connect(std::move(connect)), changed(std::move(changed)), questions(questions) {}

  void Ask();     // the body of the thread that asks, and connects
  void Follow();  // the body of the thread that follows the guest
  void Ended() {
    MutexLock lock(&mu);
    --threads;
    moved.SignalAll();
  }

  // Makes a connection if there is none. Null if that failed, or if it is time to end.
  std::shared_ptr<Source> Connected();
  // Waits until the next round after the one that began at `begun` is due; false: to end instead.
  bool WaitForNextRound(SteadyTime begun);
  void Lose(const absl::Status& why, const std::shared_ptr<Source>& lost);
  // Calls `changed` without the mutex, unless the poller is being stopped.
  void Tell();

  const ConnectFunction connect;
  const std::function<void()> changed;

  Mutex mu;
  CondVar moved;  // anything below
  Questions questions ABSL_GUARDED_BY(mu);
  bool refresh ABSL_GUARDED_BY(mu) = false;  // a round is wanted now
  bool stop ABSL_GUARDED_BY(mu) = false;
  int threads ABSL_GUARDED_BY(mu) = 2;
  std::shared_ptr<Source> source ABSL_GUARDED_BY(mu);  // null: no connection
  Report report ABSL_GUARDED_BY(mu);
};

void Poller::Shared::Tell() {
  {
    MutexLock lock(&mu);
    if (stop) return;
  }
  changed();
}

void Poller::Shared::Lose(const absl::Status& why, const std::shared_ptr<Source>& lost) {
  {
    MutexLock lock(&mu);
    if (source == lost) source = nullptr;
    report.connection.up = false;
    report.connection.error = std::string(why.message());
    if (why.code() == absl::StatusCode::kDeadlineExceeded) {
      report.connection.error = absl::StrCat("no answer in time: ", why.message());
    }
    report.connection.next_try = absl::Now() + kRetry;
    report.connection.waiting_since = std::nullopt;
    moved.SignalAll();
  }
  // The follower may still wait on it.
  if (lost != nullptr) lost->Cancel();
  Tell();
}

std::shared_ptr<Source> Poller::Shared::Connected() {
  std::shared_ptr<Source> old;
  {
    MutexLock lock(&mu);
    if (stop) return nullptr;
    report.connection.waiting_since = absl::Now();
    old = source;
  }
  Tell();
  if (old != nullptr) return old;
  auto made = connect();
  if (!made.ok()) {
    Lose(made.status(), nullptr);
    return nullptr;
  }
  MutexLock lock(&mu);
  if (stop) return nullptr;
  source = *std::move(made);
  moved.SignalAll();
  return source;
}

bool Poller::Shared::WaitForNextRound(SteadyTime begun) {
  MutexLock lock(&mu);
  while (!stop && !refresh) {
    const bool up = report.connection.up;
    // A lost connection is tried again even while paused: that it is back can be seen then.
    if (questions.paused && up) {
      moved.Wait(&mu);
      continue;
    }
    const SteadyTime due = begun + absl::ToChronoMicroseconds(up ? questions.interval : kRetry);
    if (std::chrono::steady_clock::now() >= due || !moved.WaitUntil(&mu, due)) break;
  }
  refresh = false;
  return !stop;
}

void Poller::Shared::Ask() {
  SteadyTime begun;
  do {
    begun = std::chrono::steady_clock::now();
    const std::shared_ptr<Source> asked = Connected();
    if (asked == nullptr) continue;
    Questions now;
    {
      MutexLock lock(&mu);
      now = questions;
    }
    auto snapshot = AskRound(asked.get(), now);
    if (!snapshot.ok()) {
      // From now on: the failure may have taken longer than the retry.
      begun = std::chrono::steady_clock::now();
      Lose(snapshot.status(), asked);
      continue;
    }
    {
      MutexLock lock(&mu);
      report.snapshot = std::make_shared<const Snapshot>(*std::move(snapshot));
      report.connection = {};
    }
    Tell();
  } while (WaitForNextRound(begun));
}

void Poller::Shared::Follow() {
  std::shared_ptr<Source> mine;
  while (true) {
    {
      MutexLock lock(&mu);
      while (!stop && source == nullptr) moved.Wait(&mu);
      if (stop) return;
      mine = source;
    }
    v1::WatchConvergenceRequest request;
    request.set_until_settled(false);
    const absl::Status ended = mine->WatchConvergence(request, [&](const v1::WatchConvergenceResponse& counts) {
      {
        MutexLock lock(&mu);
        if (stop || source != mine) return false;
        if (questions.paused) return true;
        report.following = {.counts = counts, .error = ""};
      }
      Tell();
      return true;
    });
    MutexLock lock(&mu);
    if (!ended.ok() && !IsLost(ended))
      report.following = {.counts = std::nullopt, .error = std::string(ended.message())};
    // Not at once again: whoever refused would only do it more often.
    const SteadyTime again = After(kRetry);
    while (!stop && source == mine && moved.WaitUntil(&mu, again)) {
    }
    mine = nullptr;
    if (stop) return;
  }
}

Poller::Poller(std::unique_ptr<Source> first, ConnectFunction connect, const Questions& questions,
               std::function<void()> changed)
    : shared_(std::make_shared<Shared>(std::move(connect), questions, std::move(changed))) {
  {
    MutexLock lock(&shared_->mu);
    shared_->source = std::move(first);
  }
  // Not joined but counted: one that hangs in a call must not keep the user.
  std::thread([shared = shared_] {
    pthread_setname_np(pthread_self(), "top-ask");
    shared->Ask();
    shared->Ended();
  }).detach();
  std::thread([shared = shared_] {
    pthread_setname_np(pthread_self(), "top-follow");
    shared->Follow();
    shared->Ended();
  }).detach();
}

Poller::~Poller() { Stop(absl::ZeroDuration()); }

void Poller::Ask(const Questions& questions) {
  MutexLock lock(&shared_->mu);
  if (!SameLists(questions, shared_->questions)) shared_->refresh = true;
  shared_->questions = questions;
  shared_->moved.SignalAll();
}

void Poller::Refresh() {
  MutexLock lock(&shared_->mu);
  shared_->refresh = true;
  shared_->moved.SignalAll();
}

Report Poller::Get() const {
  MutexLock lock(&shared_->mu);
  return shared_->report;
}

bool Poller::Stop(absl::Duration patience) {
  std::shared_ptr<Source> source;
  {
    MutexLock lock(&shared_->mu);
    shared_->stop = true;
    source = shared_->source;
    shared_->moved.SignalAll();
  }
  if (source != nullptr) source->Cancel();
  const SteadyTime deadline = After(patience);
  MutexLock lock(&shared_->mu);
  while (shared_->threads > 0 && shared_->moved.WaitUntil(&shared_->mu, deadline)) {
  }
  return shared_->threads == 0;
}

}  // namespace daxvmm::control::top
