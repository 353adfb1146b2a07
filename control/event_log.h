// What has happened to a machine: the last events, each with a number, for those who watch.
#ifndef DAXVMM_CONTROL_EVENT_LOG_H_
#define DAXVMM_CONTROL_EVENT_LOG_H_

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "control/waker.h"

namespace daxvmm::control {

// As daxvmm.v1.Event.Kind, with the same numbers.
enum class EventKind {
  kStarted = 1,
  kPaused = 2,
  kResumed = 3,
  kShutdownRequested = 4,
  kPowerOff = 5,
  kReset = 6,
  kPanic = 7,
  kFault = 8,
  kStopped = 9,
  kHostError = 10,
  kNeedsReset = 11,
  kWindowRepaired = 12,
  kPolicyChanged = 13,
  kPolicyFileRefused = 14,
};
inline constexpr size_t kEventKinds = 15;  // and the unspecified one

// Whether the machine is over with it.
constexpr bool IsEnding(EventKind kind) { return kind >= EventKind::kPowerOff && kind <= EventKind::kHostError; }

struct Event {
  uint64_t sequence = 0;  // given by the log: 1 for the first, one more with each
  absl::Time time;        // given by the log: the host's wall clock
  EventKind kind = EventKind::kStarted;
  std::string share;        // tag, bytes; empty: of the machine as a whole
  std::string message;      // one line, bytes
  uint64_t generation = 0;  // of kPolicyChanged
};

// Any thread may call any method; none blocks but for a lock that is held for a copy of an event.
//
// What a guest can cause as often as it likes (kNeedsReset, kWindowRepaired) cannot push the rest out: of each such
// kind at most kMaxOfGuestKind are kept, and of such a kind, share and message (of which there must be few) at most one
// is made per second, whose message tells how many were left out since the one before.
class EventLog {
 public:
  static constexpr size_t kCapacity = 1024;
  static constexpr size_t kMaxOfGuestKind = 128;
  static constexpr absl::Duration kGuestKindRest = absl::Seconds(1);
  static constexpr size_t kMaxMessage = 1024;  // bytes; what is longer is cut

  using Clock = std::function<absl::Time()>;
  explicit EventLog(Clock clock = [] { return absl::Now(); });

  // Nothing is appended after an event that ends the machine.
  void Append(EventKind kind, std::string message, std::string share = "", uint64_t generation = 0);

  // What a reader is told next.
  struct Entry {
    std::optional<Event> event;  // nullopt: none at present
    uint64_t missed = 0;         // events before it that are not kept any more, and that the reader has not seen
    bool ended = false;          // nothing comes any more
  };
  // Which kinds a reader wants, by number; none set: all.
  using Kinds = std::bitset<kEventKinds>;
  // One reader's place. For one thread at a time.
  struct Place {
    uint64_t after = 0;   // every event up to this one is done with
    uint64_t missed = 0;  // and so many of them were lost, which has not been told yet
  };
  // The first event after `place` that is kept and wanted; moves `place` on.
  Entry Next(const Kinds& kinds, Place* place) const;
  // The number of the newest event; 0: there was none.
  uint64_t newest() const;

  // How many of each kind there were, by number, those that were only counted included.
  std::array<uint64_t, kEventKinds> counts() const;

  // `waker` is woken with each event. Not owned: remove it before it goes.
  void AddWaker(Waker* waker);
  // No call of it is under way or follows.
  void RemoveWaker(Waker* waker);

 private:
  // The last event of its like that the guest can cause.
  struct Last {
    EventKind kind;
    std::string share;
    std::string message;
    absl::Time time;
    uint64_t left_out = 0;
  };

  // False: only counted, since there was one of the same a moment ago. Else `message` has got what was left out.
  bool AdmitGuestKindLocked(EventKind kind, const std::string& share, std::string* message, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void MakeRoomLocked(EventKind kind) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Clock clock_;
  mutable Mutex mu_;
  std::deque<Event> events_ ABSL_GUARDED_BY(mu_);  // by sequence, with gaps
  uint64_t newest_ ABSL_GUARDED_BY(mu_) = 0;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  std::array<uint64_t, kEventKinds> counts_ ABSL_GUARDED_BY(mu_){};
  std::vector<Last> last_ ABSL_GUARDED_BY(mu_);  // as many as there are shares and such messages
  std::vector<Waker*> wakers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_EVENT_LOG_H_
