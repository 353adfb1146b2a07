#include "devices/virtio_fs/dax/mapping_request.h"

#include <cerrno>
#include <cstdint>
#include <limits>

namespace daxvmm::dax {
namespace {

constexpr fuse::Errno kInvalid{EINVAL};
constexpr uint64_t kMaxFileEnd = std::numeric_limits<int64_t>::max();  // off_t

std::optional<WindowRange> ParseRange(uint64_t at, uint64_t length, ByteCount window_size) {
  const WindowRange range{WindowOffset(at), ByteCount(length)};
  if (!range.at.IsAlignedTo(kPageSize) || !range.length.IsMultipleOf(kPageSize)) return std::nullopt;
  const std::optional<WindowOffset> end = CheckedAdd(range.at, range.length);
  if (length == 0 || !end || *end > WindowOffset(window_size.raw())) return std::nullopt;
  return range;
}

}  // namespace

std::optional<memory::Protection> ProtectionFromSetupFlags(uint64_t flags) {
  constexpr uint64_t kRead = FUSE_SETUPMAPPING_FLAG_READ;
  constexpr uint64_t kWrite = FUSE_SETUPMAPPING_FLAG_WRITE;
  if (flags == 0 || (flags & ~(kRead | kWrite)) != 0) return std::nullopt;
  return (flags & kWrite) != 0 ? memory::Protection::kReadWrite : memory::Protection::kReadOnly;
}

fuse::Result<SetupRequest> ParseSetup(const fuse_setupmapping_in& in, ByteCount window_size, bool read_only) {
  const std::optional<WindowRange> range = ParseRange(in.moffset, in.len, window_size);
  const std::optional<memory::Protection> protection = ProtectionFromSetupFlags(in.flags);
  const FileOffset from(in.foffset);
  if (!range || !protection || !from.IsAlignedTo(kPageSize)) return kInvalid;
  const std::optional<FileOffset> end = CheckedAdd(from, range->length);
  if (!end || end->raw() > kMaxFileEnd) return kInvalid;
  if (read_only && *protection == memory::Protection::kReadWrite) return fuse::Errno(EROFS);
  return SetupRequest{.range = *range, .from = from, .protection = *protection};
}

fuse::Result<std::optional<WindowRange>> ParseRemove(const fuse_removemapping_one& in, ByteCount window_size) {
  if (in.len == 0) return std::optional<WindowRange>();
  const std::optional<WindowRange> range = ParseRange(in.moffset, in.len, window_size);
  if (!range) return kInvalid;
  return range;
}

}  // namespace daxvmm::dax
