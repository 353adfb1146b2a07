// How the logs of a machine wake the one thread that waits for what is new in them.
#ifndef DAXVMM_CONTROL_WAKER_H_
#define DAXVMM_CONTROL_WAKER_H_

#include <chrono>

#include "base/mutex.h"

namespace daxvmm::control {

// Any thread may call any method.
class Waker {
 public:
  // Never blocks; costs next to nothing while the thread is awake.
  void Wake() {
    MutexLock lock(&mu_);
    if (woken_) return;
    woken_ = true;
    changed_.Signal();
  }
  // Waits until Wake was called since the last Await began to return.
  void Await() {
    MutexLock lock(&mu_);
    while (!woken_) changed_.Wait(&mu_);
    woken_ = false;
  }

 private:
  Mutex mu_;
  CondVar changed_;
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_WAKER_H_
