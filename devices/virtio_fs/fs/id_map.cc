#include "devices/virtio_fs/fs/id_map.h"

#include "absl/strings/str_cat.h"

namespace daxvmm::fs {
namespace {

constexpr uint32_t kNoId = UINT32_MAX;  // (uid_t)-1, which chown(2) and setresuid(2) take as "leave it"

bool Overlap(uint32_t a, uint32_t b, uint32_t a_count, uint32_t b_count) {
  return a < uint64_t{b} + b_count && b < uint64_t{a} + a_count;
}

}  // namespace

absl::Status IdMap::AddRange(uint32_t guest, uint32_t host, uint32_t count) {
  if (count == 0) return absl::InvalidArgumentError("a range of no ids");
  if (uint64_t{guest} + count > kNoId || uint64_t{host} + count > kNoId) {
    return absl::InvalidArgumentError(absl::StrCat("ids end at ", kNoId - 1));
  }
  for (const Range& range : ranges_) {
    if (Overlap(guest, range.guest, count, range.count)) {
      return absl::InvalidArgumentError("two ranges hold the same id of the guest");
    }
    if (Overlap(host, range.host, count, range.count)) {
      return absl::InvalidArgumentError("two ranges hold the same id of the host");
    }
  }
  ranges_.push_back({guest, host, count});
  return absl::OkStatus();
}

absl::Status IdMap::SetSquash(uint32_t host) {
  if (host == kNoId) return absl::InvalidArgumentError(absl::StrCat("ids end at ", kNoId - 1));
  squash_ = host;
  return absl::OkStatus();
}

std::optional<uint32_t> IdMap::ToHost(uint32_t guest) const {
  if (guest == kNoId) return std::nullopt;
  for (const Range& range : ranges_) {
    if (guest >= range.guest && guest - range.guest < range.count) return range.host + (guest - range.guest);
  }
  if (squash_) return squash_;
  return ranges_.empty() ? std::optional(guest) : std::nullopt;
}

uint32_t IdMap::ToGuest(uint32_t host) const {
  for (const Range& range : ranges_) {
    if (host >= range.host && host - range.host < range.count) return range.guest + (host - range.host);
  }
  if (squash_ == host) return host;
  return ranges_.empty() && !squash_ ? host : kOverflowId;
}

}  // namespace daxvmm::fs
