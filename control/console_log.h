// What the guest wrote to its console, as far back as it is kept.
#ifndef DAXVMM_CONTROL_CONSOLE_LOG_H_
#define DAXVMM_CONTROL_CONSOLE_LOG_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "control/waker.h"

namespace daxvmm::control {

// Any thread may call any method; none blocks but for a lock that is held for a copy of bytes. Takes no memory before
// the guest writes, and then only up to twice what it wrote.
class ConsoleLog {
 public:
  static constexpr size_t kCapacity = size_t{256} << 10;

  void Append(std::span<const uint8_t> bytes);
  // The guest is gone: readers are at their end once they have read all.
  void Close();

  struct Piece {
    uint64_t offset = 0;  // since the machine was made; of the first byte of `data`
    std::string data;     // empty: nothing at present
    bool ended = false;   // nothing comes after `data`
  };
  // From `offset`, or from the first byte after it that is still kept; at most `max` bytes.
  Piece Read(uint64_t offset, size_t max) const;
  // How many bytes were written ever.
  uint64_t size() const;

  // As of EventLog.
  void AddWaker(Waker* waker);
  void RemoveWaker(Waker* waker);

 private:
  void GrowLocked(size_t needed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  // The byte of offset n stands at n modulo its size, which is a power of two.
  std::vector<uint8_t> ring_ ABSL_GUARDED_BY(mu_);
  uint64_t end_ ABSL_GUARDED_BY(mu_) = 0;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Waker*> wakers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CONSOLE_LOG_H_
