#include "memory/mapping_window.h"

#include <sys/mman.h>
#include <sys/types.h>

#include <cerrno>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/log.h"
#include "base/status.h"

namespace daxvmm::memory {
namespace {

constexpr ByteCount kGrain = MiB(2);

absl::Status OutsideWindow(WindowOffset at, ByteCount length) {
  return absl::InvalidArgumentError(
      absl::StrFormat("window range %#x of %#x bytes is unaligned, empty or outside", at.raw(), length.raw()));
}

// Lays anonymous pages over the range: one mmap call, so there is no moment at which it is a hole.
bool Overlay(std::byte* start, ByteCount length, int protection) {
  return mmap(start, length.raw(), protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) !=
         MAP_FAILED;
}

}  // namespace

absl::StatusOr<MappingWindow> MappingWindow::Create(ByteCount size) {
  if (size == ByteCount(0) || !size.IsMultipleOf(kGrain)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a window of %u bytes is not a whole number of 2 MiB", size.raw()));
  }
  ASSIGN_OR_RETURN(Mapping reservation, Mapping::Reserve(size, kGrain));
  return MappingWindow(std::move(reservation));
}

bool MappingWindow::Contains(WindowOffset at, ByteCount length) const {
  if (!at.IsAlignedTo(kPageSize) || !length.IsMultipleOf(kPageSize) || length == ByteCount(0)) return false;
  return at.raw() <= size().raw() && length.raw() <= size().raw() - at.raw();
}

absl::Status MappingWindow::Map(WindowOffset at, ByteCount length, int fd, FileOffset from, Protection protection) {
  if (!Contains(at, length)) return OutsideWindow(at, length);
  const std::optional<FileOffset> end = CheckedAdd(from, length);
  if (!from.IsAlignedTo(kPageSize) || !end.has_value() ||
      end->raw() > static_cast<uint64_t>(std::numeric_limits<off_t>::max())) {
    return absl::InvalidArgumentError(
        absl::StrFormat("file range %#x of %#x bytes is unaligned or beyond off_t", from.raw(), length.raw()));
  }
  const int prot = protection == Protection::kReadWrite ? PROT_READ | PROT_WRITE : PROT_READ;
  const off_t offset = static_cast<off_t>(from.raw());

  // Before 6.12, MAP_FIXED takes the old mapping away before it asks the file (mmap_region, mm/mmap.c), and a file may
  // refuse even then: a sealed memfd, or a FUSE file opened for direct I/O. A rehearsal elsewhere finds that out while
  // the old state still stands.
  void* const rehearsal = mmap(nullptr, length.raw(), prot, MAP_SHARED, fd, offset);
  if (rehearsal == MAP_FAILED) return ErrnoStatus(errno, "mmap of a file");
  munmap(rehearsal, length.raw());

  std::byte* const start = host() + at.raw();
  if (mmap(start, length.raw(), prot, MAP_SHARED | MAP_FIXED, fd, offset) == MAP_FAILED) {
    const int err = errno;
    // What is left is exhaustion: too many mappings is noticed while the old state stands, but if the kernel itself ran
    // out of memory there may be a hole, which the next mmap of anyone in this process would land in, under the guest's
    // eyes. MAP_FIXED_NOREPLACE fills the hole and touches nothing else.
    void* const filled =
        mmap(start, length.raw(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(filled != MAP_FAILED || errno == EEXIST) << "a DAX window is left with a hole";
    return ErrnoStatus(err, "mmap of a file into a window");
  }
  return absl::OkStatus();
}

absl::Status MappingWindow::Unmap(WindowOffset at, ByteCount length) {
  if (!Contains(at, length)) return OutsideWindow(at, length);
  if (!Overlay(host() + at.raw(), length, PROT_NONE)) return ErrnoStatus(errno, "mmap of a window's empty pages");
  return absl::OkStatus();
}

absl::Status MappingWindow::MapZeros(WindowOffset at, ByteCount length) {
  if (!Contains(at, length)) return OutsideWindow(at, length);
  if (!Overlay(host() + at.raw(), length, PROT_READ)) return ErrnoStatus(errno, "mmap of a window's zero pages");
  return absl::OkStatus();
}

}  // namespace daxvmm::memory
