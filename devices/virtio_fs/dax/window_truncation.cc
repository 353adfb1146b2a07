// The part of Window that keeps the guest's view in line with the sizes of the mapped files; see window.h.
#include <algorithm>
#include <array>
#include <climits>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/log.h"
#include "devices/virtio_fs/dax/window.h"

namespace daxvmm::dax {
namespace {

// Up to where off_t ends.
constexpr PageRange kWholeFile{FileOffset(0), FileOffset(uint64_t{1} << 63)};

// The name that the host knows the file by, with whatever a guest put into it made harmless for a terminal.
std::string NameOf(const UniqueFd& fd) {
  std::array<char, PATH_MAX> path;
  const ssize_t length = readlink(absl::StrCat("/proc/self/fd/", fd.get()).c_str(), path.data(), path.size());
  if (length < 0) return "?";
  return absl::CHexEscape(absl::string_view(path.data(), static_cast<size_t>(length)));
}

}  // namespace

void Window::FileSizeSeen(NodeId node, ByteCount size) {
  if (!any_withdrawn_.load()) return;
  MutexLock lock(&mu_);
  const auto id = file_of_node_.find(node);
  if (id == file_of_node_.end()) return;
  MappedFile& file = files_.at(id->second);
  if (file.reduced()) RefreshLocked(file, size);
}

void Window::RefreshLocked(MappedFile& file, ByteCount told_size) {
  const bool was_reduced = file.reduced();
  any_withdrawn_.store(true);  // before the size is looked at
  if (const std::optional<ByteCount> size = SizeOf(*file.fd)) {
    const FileExtent next{.size = *size, .largest = std::max({file.extent.largest, *size, told_size})};
    const PageRange now_lost = next.Lost();
    const PageRange was_lost = file.extent.Lost();
    // In doubt, the window may be in any state: every page is put right.
    const std::vector<PageRange> to_withdraw = Subtract(now_lost, file.in_doubt ? PageRange{} : was_lost);
    const std::vector<PageRange> to_restore = Subtract(file.in_doubt ? kWholeFile : was_lost, now_lost);
    file.in_doubt = false;
    file.extent = next;
    bool withdrew = false;
    bool restored = false;
    for (const PageRange& pages : to_withdraw) withdrew |= ChangePagesLocked(file, pages, Pages::kWithdraw);
    for (const PageRange& pages : to_restore) restored |= ChangePagesLocked(file, pages, Pages::kRestore);
    stats_.withdrawals += withdrew ? 1 : 0;
    stats_.restores += restored ? 1 : 0;
    if (withdrew || restored) stats_changed_.SignalAll();
  }
  if (file.reduced() && !was_reduced) ++reduced_files_;
  if (!file.reduced() && was_reduced) --reduced_files_;
  if (reduced_files_ == 0) any_withdrawn_.store(false);
}

bool Window::ChangePagesLocked(MappedFile& file, const PageRange& pages, Pages what) {
  bool any = false;
  table_.ForEach([&](const TableEntry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (entry.file == file.id) any |= ChangePagesOfEntryLocked(file, entry, pages, what);
  });
  return any;
}

bool Window::ChangePagesOfEntryLocked(MappedFile& file, const TableEntry& entry, const PageRange& pages, Pages what) {
  const PageRange part = Intersect(pages, PageRange{entry.from, entry.file_end()});
  if (part.empty()) return false;
  const WindowOffset at = entry.range.at + (part.from - entry.from);
  const ByteCount length = part.to - part.from;
  const absl::Status changed = what == Pages::kWithdraw
                                   ? window_->Unmap(at, length)
                                   : window_->Map(at, length, file.fd->get(), part.from, entry.protection);
  if (!changed.ok()) {
    LOG_LIMITED(kWarning) << "bringing the DAX window in line with a file's size: " << changed.ToString();
    file.in_doubt = true;
  }
  return true;
}

void Window::CheckFiles(const std::span<const WatchId>* which) {
  struct Look {
    MappedFileId id;
    std::shared_ptr<const UniqueFd> fd;
    ByteCount size;
    bool in_doubt;
  };
  std::vector<Look> looks;
  {
    MutexLock lock(&mu_);
    const auto add = [&looks](const MappedFile& file) {
      looks.push_back({.id = file.id, .fd = file.fd, .size = file.extent.size, .in_doubt = file.in_doubt});
    };
    if (which == nullptr) {
      looks.reserve(files_.size());
      for (const auto& [id, file] : files_) add(file);
    } else {
      for (const WatchId watch : *which) {
        const auto id = file_of_watch_.find(watch);
        if (id != file_of_watch_.end()) add(files_.at(id->second));
      }
    }
  }
  // Under no lock, as a host file system may take its time to answer.
  std::erase_if(looks, [](const Look& look) { return !look.in_doubt && SizeOf(*look.fd) == look.size; });
  for (const Look& look : looks) {
    MutexLock lock(&mu_);
    const auto file = files_.find(look.id);
    if (file != files_.end()) RefreshLocked(file->second, ByteCount(0));
  }
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
