// The part of Window that answers a vCPU which could not reach a page; see window.h and ADR 0008.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/log.h"
#include "devices/virtio_fs/dax/window.h"
#include "memory/fault_tolerant_copy.h"

namespace daxvmm::dax {
namespace {

using memory::MendOutcome;
using memory::Touch;
using Kind = memory::MendOutcome::Kind;

// An access in the guest's place meets a host that truncates and extends at the same time; each try looks anew.
constexpr int kAccessTries = 1000;
// An embedder's thread may take signals.
constexpr int kExtendTries = 16;

FileOffset PageOf(FileOffset at) { return FileOffset(at.raw() / kPageSize.raw() * kPageSize.raw()); }

// 0 or the errno. Mode 0 gives the range its blocks and raises the file's size to its end; it changes no byte and,
// unlike ftruncate, never takes anything from a file that has grown meanwhile.
int Extend(const UniqueFd& fd, FileOffset from, ByteCount length) {
  int err = EINTR;
  for (int i = 0; i < kExtendTries && err == EINTR; ++i) {
    err = fallocate(fd.get(), 0, static_cast<off_t>(from.raw()), static_cast<off_t>(length.raw())) == 0 ? 0 : errno;
  }
  return err;
}

}  // namespace

MendOutcome Window::Mend(WindowOffset at, Touch touch) {
  std::optional<Extension> extension;
  {
    MutexLock lock(&mu_);
    MendOutcome outcome = MendLocked(at, touch, &extension);
    if (!extension) return outcome;
  }
  // Under no lock: the host's file system may have to allocate.
  const int err = Extend(*extension->fd, extension->from, extension->length);
  MutexLock lock(&mu_);
  if (err != 0) {
    return {Kind::kLost, absl::StrCat(DescribeLocked(at), "; extending it for a store: ", std::strerror(err))};
  }
  ++stats_.files_extended;
  stats_changed_.SignalAll();
  if (const auto file = files_.find(extension->file); file != files_.end()) RefreshLocked(file->second);
  return {Kind::kMended, ""};
}

MendOutcome Window::MendLocked(WindowOffset at, Touch touch, std::optional<Extension>* extension) {
  const TableEntry* const entry = table_.Find(at);
  if (entry == nullptr) return {Kind::kLost, DescribeLocked(at)};
  MappedFile& file = files_.at(entry->file);
  const FileOffset offset = entry->from + (at - entry->range.at);
  if (RefreshLocked(file)) return {Kind::kMended, ""};
  if (file.extent.Reaches(offset)) {
    if (touch == Touch::kMaybeStore && entry->protection == memory::Protection::kReadOnly) {
      return {Kind::kRefused, DescribeLocked(at)};
    }
    return {Kind::kUsable, ""};
  }
  if (offset >= file.extent.Lost().to) {
    // Past any end that was ever known: not what an honest guest touches, but not worth a life either. All of the
    // mapping's rest at once, so that the next page needs no other fault.
    return {RefreshLocked(file, ByteCount(entry->file_end().raw())) ? Kind::kMended : Kind::kUsable, ""};
  }
  if (touch == Touch::kLoad) return {Kind::kUsable, ""};

  // A load from a repair page cannot fail: this is a store.
  ++stats_.stores_past_end;
  stats_changed_.SignalAll();
  LOG_LIMITED(kWarning) << "the guest stores past the end of a file that the host truncated: " << DescribeLocked(at);
  if (read_only_ || entry->protection == memory::Protection::kReadOnly) {
    return {Kind::kLost, absl::StrCat(DescribeLocked(at), ", and cannot be written through this mapping")};
  }
  const ByteCount told = file.belief->told();
  const FileOffset from = PageOf(offset);
  const FileOffset to = std::min(FileOffset(told.raw()), from + kPageSize);
  if (to <= from) {
    return {Kind::kLost,
            absl::StrCat(DescribeLocked(at), ", and the guest was never told of more than ", told.raw(), " bytes")};
  }
  *extension = Extension{.file = file.id, .fd = file.fd, .from = from, .length = to - from};
  return {Kind::kMended, ""};
}

MendOutcome Window::Access(WindowOffset at, std::span<uint8_t> data, bool store) {
  const Touch touch = store ? Touch::kMaybeStore : Touch::kLoad;
  std::byte* const host = window_->host() + at.raw();
  for (int i = 0; i < kAccessTries; ++i) {
    MendOutcome outcome = Mend(at, touch);
    // The last bytes may lie on another page.
    const WindowOffset last = at + ByteCount(data.size() - 1);
    if (last.raw() / kPageSize.raw() != at.raw() / kPageSize.raw() && outcome.reason.empty()) {
      outcome = Mend(last, touch);
    }
    if (outcome.kind == Kind::kLost || outcome.kind == Kind::kRefused) return outcome;
    const std::span<std::byte> bytes = std::as_writable_bytes(data);
    if (store ? memory::FaultTolerantWrite(host, bytes) : memory::FaultTolerantRead(host, bytes)) {
      return {Kind::kMended, ""};
    }
  }
  return {Kind::kLost, Describe(at)};
}

std::string Window::DescribeUnusable() const {
  std::vector<std::string> clauses;
  MutexLock lock(&mu_);
  for (const auto& [id, file] : files_) {
    const std::optional<ByteCount> size = SizeOf(*file.fd);
    if (!size) continue;
    const FileExtent extent{.size = *size, .largest = std::max(file.extent.largest, *size)};
    if (extent.Lost().empty()) continue;
    uint64_t lost_pages = 0;
    table_.ForEach([&, file_id = id](const TableEntry& entry) {
      if (entry.file != file_id) return;
      const PageRange lost = Intersect(extent.Lost(), PageRange{entry.from, entry.file_end()});
      if (!lost.empty()) lost_pages += (lost.to - lost.from).raw() / kPageSize.raw();
    });
    if (lost_pages == 0) continue;
    clauses.push_back(absl::StrCat("'", NameOf(*file.fd), "' (node ", file.node.raw(), ") shrank from ",
                                   extent.largest.raw(), " to ", size->raw(), " bytes while ", lost_pages,
                                   " pages of the lost part were mapped"));
  }
  return absl::StrJoin(clauses, "; ");
}

std::string Window::Describe(WindowOffset at) const {
  MutexLock lock(&mu_);
  return DescribeLocked(at);
}

std::string Window::DescribeLocked(WindowOffset at) const {
  const TableEntry* const entry = table_.Find(at);
  if (entry == nullptr) return "nothing is mapped there";
  const MappedFile& file = files_.at(entry->file);
  const FileOffset offset = entry->from + (at - entry->range.at);
  const std::optional<ByteCount> size = SizeOf(*file.fd);
  const bool past_end = size && offset >= FileOffset(size->raw()).AlignUp(kPageSize);
  return absl::StrCat("byte ", offset.raw(), " of '", NameOf(*file.fd), "' (node ", entry->node.raw(),
                      ") is mapped there",
                      entry->protection == memory::Protection::kReadWrite ? ", writable" : ", read-only",
                      past_end ? absl::StrCat(", but the file has ", size->raw(), " bytes") : "");
}

}  // namespace daxvmm::dax
