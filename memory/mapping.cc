#include "memory/mapping.h"

#include <sys/mman.h>

#include <bit>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "base/log.h"
#include "base/status.h"

namespace daxvmm::memory {
namespace {

absl::StatusOr<Mapping> MapAligned(ByteCount size, ByteCount alignment, int protection, int flags) {
  CHECK(std::has_single_bit(alignment.raw()) && alignment >= kPageSize);
  // More than what is needed, so that an aligned part lies in it; the rest is given back.
  const ByteCount slack = alignment - kPageSize;
  const std::optional<ByteCount> wanted = CheckedAdd(size, slack + kPageSize);
  if (size == ByteCount(0) || !wanted.has_value()) {
    return absl::InvalidArgumentError("mmap: the size is zero or beyond the address space");
  }
  const uint64_t page_mask = kPageSize.raw() - 1;
  const uint64_t pages = (size.raw() + page_mask) & ~page_mask;
  void* const start = mmap(nullptr, pages + slack.raw(), protection, flags | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return ErrnoStatus(errno, "mmap");

  const uintptr_t address = reinterpret_cast<uintptr_t>(start);
  const size_t before = static_cast<size_t>(-address & (alignment.raw() - 1));
  std::byte* const data = static_cast<std::byte*>(start) + before;
  const size_t after = slack.raw() - before;
  // Giving back the ends of a mapping of one's own splits nothing, so it does not fail.
  if (before > 0) munmap(start, before);
  if (after > 0) munmap(data + pages, after);
  return Mapping(data, size);
}

}  // namespace

absl::StatusOr<Mapping> Mapping::Anonymous(ByteCount size, ByteCount alignment) {
  return MapAligned(size, alignment, PROT_READ | PROT_WRITE, 0);
}

absl::StatusOr<Mapping> Mapping::Reserve(ByteCount size, ByteCount alignment) {
  return MapAligned(size, alignment, PROT_NONE, MAP_NORESERVE);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, ByteCount())) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  Mapping old(std::move(*this));
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, ByteCount());
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) munmap(data_, size_.raw());
}

}  // namespace daxvmm::memory
