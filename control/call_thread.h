// A thread for calls that take long (a list of many files, a policy of many rules): gRPC has few threads, and they have
// to serve everybody.
#ifndef DAXVMM_CONTROL_CALL_THREAD_H_
#define DAXVMM_CONTROL_CALL_THREAD_H_

#include <deque>
#include <functional>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "base/named_thread.h"

namespace daxvmm::control {

// Any thread may call any method.
class CallThread {
 public:
  // Given OK it does its work, else it has to answer with that.
  using Call = std::function<void(const absl::Status& status)>;

  CallThread();
  ~CallThread() { Stop(); }
  CallThread(const CallThread&) = delete;
  CallThread& operator=(const CallThread&) = delete;

  // Calls `call` once: on the thread, in turn, with OK; or here and now with RESOURCE_EXHAUSTED (16 wait already) or
  // UNAVAILABLE (stopped).
  void Post(Call call);
  // Calls what still waits with UNAVAILABLE, and joins the thread. Idempotent.
  void Stop();

 private:
  void Run();

  Mutex mu_;
  CondVar changed_;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<Call> waiting_ ABSL_GUARDED_BY(mu_);
  NamedThread thread_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CALL_THREAD_H_
