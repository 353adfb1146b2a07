// Wakes the streams of WatchEvents and ReadConsole when there is something new for them.
#ifndef DAXVMM_CONTROL_LOG_STREAMS_H_
#define DAXVMM_CONTROL_LOG_STREAMS_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "base/named_thread.h"
#include "control/console_log.h"
#include "control/event_log.h"
#include "control/waker.h"

namespace daxvmm::control {

inline constexpr size_t kMaxLogStreams = 16;  // of each kind

// One thread, "control-logs", asleep while nothing happens, so that a vCPU that writes to its console does not do
// gRPC's work. Any thread may call any method.
class LogStreams {
 public:
  enum class Kind { kEvents, kConsole };

  class Stream {
   public:
    virtual ~Stream() = default;
    // Looks whether there is something to send. On the thread of the streams, and on the one that calls Stop; must not
    // block.
    virtual void Advance() = 0;
  };

  // Both outlive this.
  LogStreams(EventLog* events, ConsoleLog* console);
  ~LogStreams() { Stop(); }
  LogStreams(const LogStreams&) = delete;
  LogStreams& operator=(const LogStreams&) = delete;

  EventLog* events() const { return events_; }
  ConsoleLog* console() const { return console_; }

  // Advance is called when something may be new, and once in the end. RESOURCE_EXHAUSTED if there are too many of that
  // kind, UNAVAILABLE after Stop.
  absl::Status Add(Kind kind, std::shared_ptr<Stream> stream);
  // Gives the place free. A call that is under way may still arrive.
  void Remove(const Stream* stream);
  // Nothing follows: a stream that has sent what there is ends.
  bool stopped() const { return stop_.load(std::memory_order_acquire); }
  // Idempotent.
  void Stop();

 private:
  struct Entry {
    Kind kind;
    std::shared_ptr<Stream> stream;
  };

  void Run();
  void AdvanceAll();

  EventLog* const events_;
  ConsoleLog* const console_;
  Waker waker_;
  std::atomic<bool> stop_{false};
  Mutex mu_;
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mu_);
  NamedThread thread_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_LOG_STREAMS_H_
