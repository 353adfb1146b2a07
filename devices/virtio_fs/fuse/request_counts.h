// What one thread that serves requests counts of them, and the sums over all such threads.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FUSE_REQUEST_COUNTS_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FUSE_REQUEST_COUNTS_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/mutex.h"
#include "base/owned_counter.h"
#include "devices/virtio_fs/fuse/latency_buckets.h"
#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fuse {

// Opcodes from here on are unknown, and counted at 0, which is none.
inline constexpr uint32_t kCountedOpcodes = 64;

// The errors that are told apart, by errno; what else there is counts at index 0.
std::span<const int> CountedErrors();
inline constexpr size_t kCountedErrors = 40;

struct OperationTotals {
  std::array<uint64_t, kLatencyBuckets> latency{};  // requests, by the time they took
  uint64_t nanoseconds = 0;                         // that all of them took
  std::array<uint64_t, kCountedErrors> errors{};    // by index in CountedErrors()

  uint64_t requests() const;
};

struct RequestTotals {
  std::vector<OperationTotals> operations = std::vector<OperationTotals>(kCountedOpcodes);  // by opcode
  uint64_t bytes_read = 0;     // of files, that READ answered
  uint64_t bytes_written = 0;  // to files, that WRITE answered
};

// One per thread that serves requests, on the heap and on cache lines of its own: its owner counts without a lock
// prefix and without a line that another thread writes. A block outlives its thread and may be handed to the next one,
// so that sums never go back.
class alignas(kCacheLine) RequestCounts {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  RequestCounts() = default;
  RequestCounts(const RequestCounts&) = delete;
  RequestCounts& operator=(const RequestCounts&) = delete;

  // The owner, for each request: Begun, then what the dispatcher says of it, then Answered. `waiting`: how many
  // requests are there that have not begun. A request that nothing was said of is none, and is not counted.
  void Begun(TimePoint now) {
    begun_ = now;
    serving_since_.Set(static_cast<uint64_t>(now.time_since_epoch().count()));
  }
  // An opcode that is not served is 0.
  void Served(uint32_t opcode, Errno error) {
    served_ = opcode < kCountedOpcodes ? opcode : 0;
    is_served_ = true;
    if (!error.ok()) CountError(error);
  }
  void Read(uint64_t bytes) { bytes_read_.Add(bytes); }
  void Written(uint64_t bytes) { bytes_written_.Add(bytes); }
  void Answered(TimePoint now, uint64_t waiting) {
    waiting_.Set(waiting);
    serving_since_.Set(0);
    if (!is_served_) return;
    is_served_ = false;
    const int64_t took = std::chrono::duration_cast<std::chrono::nanoseconds>(now - begun_).count();
    Operation& operation = operations_[served_];
    operation.latency[LatencyBucket(took > 0 ? static_cast<uint64_t>(took) : 0)].Add();
    operation.nanoseconds.Add(took > 0 ? static_cast<uint64_t>(took) : 0);
  }
  void Woken() { wakeups_.Add(); }
  void Signalled() { signals_.Add(); }

  // The owner came to the conclusion `index`, of `size` that there can be as long as `subject` stays the same. What was
  // counted of another subject is dropped, so that no more than one is ever kept.
  void Concluded(uint64_t subject, size_t size, size_t index) {
    if (conclusions_ == nullptr || conclusions_->subject != subject) StartConclusions(subject, size);
    if (index < conclusions_->counts.size()) conclusions_->counts[index].Add();
  }

  // Any thread:
  uint64_t requests(uint32_t opcode) const;
  void AddTo(RequestTotals* totals) const;
  // Adds how often each conclusion of `subject` was come to, to as many as `sums` has.
  void AddConclusions(uint64_t subject, std::span<uint64_t> sums) const;
  // As of the last reply.
  uint64_t waiting() const { return waiting_.value(); }
  // When the request that is being served has begun; the epoch: none is.
  TimePoint serving_since() const { return TimePoint(TimePoint::duration(serving_since_.value())); }
  uint64_t wakeups() const { return wakeups_.value(); }
  uint64_t signals() const { return signals_.value(); }

 private:
  struct Operation {
    std::array<OwnedCounter, kLatencyBuckets> latency;
    OwnedCounter nanoseconds;
  };
  struct Conclusions {
    Conclusions(uint64_t subject, size_t size) : subject(subject), counts(size) {}
    const uint64_t subject;
    std::vector<OwnedCounter> counts;
  };
  void CountError(Errno error);
  void StartConclusions(uint64_t subject, size_t size);

  // The owner's alone.
  TimePoint begun_{};
  uint32_t served_ = 0;
  bool is_served_ = false;
  Conclusions* conclusions_ = nullptr;  // shared_conclusions_, read by its one writer

  OwnedCounter waiting_;
  OwnedCounter serving_since_;  // ticks of the steady clock; 0: none
  OwnedCounter wakeups_;
  OwnedCounter signals_;
  OwnedCounter bytes_read_;
  OwnedCounter bytes_written_;
  std::array<Operation, kCountedOpcodes> operations_;
  std::array<std::array<OwnedCounter, kCountedErrors>, kCountedOpcodes> errors_;
  // Taken by the owner only when the subject changes.
  mutable Mutex mu_;
  std::shared_ptr<Conclusions> shared_conclusions_ ABSL_GUARDED_BY(mu_);
};

}  // namespace daxvmm::fuse

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FUSE_REQUEST_COUNTS_H_
