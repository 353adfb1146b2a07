#include "control/call_thread.h"

#include <utility>

#include "base/error_reason.h"

namespace daxvmm::control {
namespace {

constexpr size_t kMaxWaiting = 16;

absl::Status Ending() { return WithReason(absl::UnavailableError("the machine is ending"), "MACHINE_ENDING"); }

}  // namespace

CallThread::CallThread() : thread_("control-list", [this] { Run(); }) {}

void CallThread::Post(Call call) {
  absl::Status refused;
  {
    MutexLock lock(&mu_);
    if (stop_) {
      refused = Ending();
    } else if (waiting_.size() >= kMaxWaiting) {
      refused =
          WithReason(absl::ResourceExhaustedError("too many calls that take long are made at once; try again later"),
                     "TOO_MANY_CALLS");
    } else {
      waiting_.push_back(std::move(call));
      changed_.Signal();
    }
  }
  if (!refused.ok()) call(refused);
}

void CallThread::Stop() {
  std::deque<Call> left;
  {
    MutexLock lock(&mu_);
    stop_ = true;
    left.swap(waiting_);
    changed_.Signal();
  }
  for (const Call& call : left) call(Ending());
  thread_.Join();
}

void CallThread::Run() {
  for (;;) {
    Call call;
    {
      MutexLock lock(&mu_);
      while (!stop_ && waiting_.empty()) changed_.Wait(&mu_);
      if (stop_) return;
      call = std::move(waiting_.front());
      waiting_.pop_front();
    }
    call(absl::OkStatus());
  }
}

}  // namespace daxvmm::control
