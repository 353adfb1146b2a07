#include "control/console_log.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace daxvmm::control {
namespace {

constexpr size_t kFirstSize = 4096;

}  // namespace

void ConsoleLog::Append(std::span<const uint8_t> bytes) {
  MutexLock lock(&mu_);
  if (bytes.size() > kCapacity) {
    end_ += bytes.size() - kCapacity;
    bytes = bytes.last(kCapacity);
  }
  GrowLocked(static_cast<size_t>(std::min<uint64_t>(end_, kCapacity)) + bytes.size());
  while (!bytes.empty()) {
    const size_t at = static_cast<size_t>(end_) & (ring_.size() - 1);
    const std::span<const uint8_t> part = bytes.first(std::min(bytes.size(), ring_.size() - at));
    std::ranges::copy(part, ring_.begin() + static_cast<ptrdiff_t>(at));
    end_ += part.size();
    bytes = bytes.subspan(part.size());
  }
  for (Waker* waker : wakers_) waker->Wake();
}

void ConsoleLog::GrowLocked(size_t needed) {
  const size_t wanted = std::min(kCapacity, std::max(kFirstSize, std::bit_ceil(needed)));
  if (wanted <= ring_.size()) return;
  std::vector<uint8_t> larger(wanted);
  // Nothing has wrapped around so far, or the ring would have its full size.
  std::copy_n(ring_.begin(), std::min<uint64_t>(end_, ring_.size()), larger.begin());
  ring_ = std::move(larger);
}

void ConsoleLog::Close() {
  MutexLock lock(&mu_);
  closed_ = true;
  for (Waker* waker : wakers_) waker->Wake();
}

ConsoleLog::Piece ConsoleLog::Read(uint64_t offset, size_t max) const {
  MutexLock lock(&mu_);
  const uint64_t oldest = end_ - std::min<uint64_t>(end_, ring_.size());
  Piece piece;
  piece.offset = std::clamp(offset, oldest, end_);
  const size_t length = std::min<size_t>(end_ - piece.offset, max);
  piece.data.reserve(length);
  while (piece.data.size() < length) {
    const size_t at = static_cast<size_t>(piece.offset + piece.data.size()) & (ring_.size() - 1);
    const size_t part = std::min(length - piece.data.size(), ring_.size() - at);
    piece.data.append(reinterpret_cast<const char*>(ring_.data()) + at, part);
  }
  piece.ended = closed_ && piece.offset + length == end_;
  return piece;
}

uint64_t ConsoleLog::size() const {
  MutexLock lock(&mu_);
  return end_;
}

void ConsoleLog::AddWaker(Waker* waker) {
  MutexLock lock(&mu_);
  wakers_.push_back(waker);
}

void ConsoleLog::RemoveWaker(Waker* waker) {
  MutexLock lock(&mu_);
  std::erase(wakers_, waker);
}

}  // namespace daxvmm::control
