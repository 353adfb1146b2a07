// A counter that one thread counts with and any thread reads.
#ifndef DAXVMM_BASE_OWNED_COUNTER_H_
#define DAXVMM_BASE_OWNED_COUNTER_H_

#include <atomic>
#include <cstdint>

namespace daxvmm {

// Costs its owner what a plain integer does: nothing is locked, since nobody else writes. A thread may hand its
// counters over to another one (by a join, or a lock), never share them. Counters of different threads belong on
// different cache lines.
class OwnedCounter {
 public:
  // The owner's thread only.
  void Add(uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void Set(uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  // Any thread. Relaxed: two counters that are read one after the other need not fit together.
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

inline constexpr uint64_t kCacheLine = 64;

}  // namespace daxvmm

#endif  // DAXVMM_BASE_OWNED_COUNTER_H_
