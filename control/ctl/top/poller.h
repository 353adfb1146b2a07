// Asks the server, on threads of its own: the keyboard does not wait for an answer.
#ifndef DAXVMM_CONTROL_CTL_TOP_POLLER_H_
#define DAXVMM_CONTROL_CTL_TOP_POLLER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "control/ctl/top/snapshot.h"
#include "control/ctl/top/source.h"

namespace daxvmm::control::top {

// What is to be asked.
struct Questions {
  std::string share;  // path text; empty, or a share that is gone: the first one with a window, or the first
  v1::ListFilesRequest::Order order = v1::ListFilesRequest::ORDER_MAPPED_CHUNKS;
  uint32_t files = 100;  // so many of them
  absl::Duration interval = absl::Seconds(1);
  bool paused = false;
};

// A connection that is lost is made anew, once a second, until there is one.
//
// Any thread may call any method. The threads hold what they need themselves, so that a poller can be given up while a
// call still hangs.
class Poller {
 public:
  // Begins to ask at once. `first` may be null: then the connection is made first. `changed` is called on a thread of
  // the poller's whenever Get() has something new; it owns what it uses, as a thread may outlive the poller.
  Poller(std::unique_ptr<Source> first, ConnectFunction connect, const Questions& questions,
         std::function<void()> changed);
  // Stops, and does not wait for calls that hang.
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // What counts from now on. Another share, order or number of files is asked for at once.
  void Ask(const Questions& questions);
  // A round now, even while paused.
  void Refresh();
  Report Get() const;

  // Cancels what is under way. True if both threads have ended within `patience`; otherwise a call hangs that cannot be
  // cancelled, and the process has to end by _exit(), since statics are in use.
  bool Stop(absl::Duration patience);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_POLLER_H_
