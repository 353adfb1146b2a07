// Sequential readers and writers over guest iovecs. Where the driver cut its buffers means nothing (virtio 1.2, 2.6.4):
// bytes are gathered and scattered.
#ifndef DAXVMM_MEMORY_IOV_CURSOR_H_
#define DAXVMM_MEMORY_IOV_CURSOR_H_

#include <sys/uio.h>

#include <cstddef>
#include <span>
#include <vector>

#include "memory/guest_memory.h"

namespace daxvmm::memory {

// Reads front to back. Copies each byte at most once: what was read is ours, later changes by the guest do not matter.
class IovReader {
 public:
  // `source` must outlive the reader and stay unchanged.
  explicit IovReader(const IoVecs& source);

  size_t remaining() const { return remaining_; }
  // False if fewer bytes remain or a page is unusable; nothing may be assumed of `to` then.
  bool Read(std::span<std::byte> to);
  template <typename T>
  bool ReadObject(T* value) {
    return Read(std::as_writable_bytes(std::span<T, 1>(value, 1)));
  }
  bool Skip(size_t bytes);
  // The next `bytes` (or all that remains, if fewer) as iovecs for pwritev; advances past them.
  std::vector<iovec> Take(size_t bytes);

 private:
  const IoVecs& source_;
  size_t index_ = 0;
  size_t offset_ = 0;  // into source_.iov[index_]
  size_t remaining_ = 0;
};

// Writes front to back.
class IovWriter {
 public:
  explicit IovWriter(const IoVecs& target);

  size_t remaining() const { return remaining_; }
  size_t written() const { return written_; }
  bool Write(std::span<const std::byte> from);
  template <typename T>
  bool WriteObject(const T& value) {
    return Write(std::as_bytes(std::span<const T, 1>(&value, 1)));
  }
  // The next `bytes` (or all that remains) as iovecs for preadv, without advancing: call Advance with what was filled.
  std::vector<iovec> Peek(size_t bytes) const;
  bool Advance(size_t bytes);
  // Sets a second writer at the current position plus `bytes`, so that a header can be filled in after its payload.
  IovWriter At(size_t bytes) const;

 private:
  const IoVecs& target_;
  size_t index_ = 0;
  size_t offset_ = 0;
  size_t remaining_ = 0;
  size_t written_ = 0;
};

}  // namespace daxvmm::memory

#endif  // DAXVMM_MEMORY_IOV_CURSOR_H_
