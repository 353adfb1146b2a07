// The part of Window that keeps the guest's view in line with the sizes of the mapped files; see window.h.
#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"
#include "devices/virtio_fs/dax/window.h"

namespace daxvmm::dax {
namespace {

// Up to where off_t ends.
constexpr PageRange kWholeFile{FileOffset(0), FileOffset(uint64_t{1} << 63)};

}  // namespace

void Window::FileSizeSeen(NodeId node, ByteCount size) {
  if (!told_.Tell(node, size)) return;
  MutexLock lock(&mu_);
  const auto id = file_of_node_.find(node);
  if (id == file_of_node_.end()) return;
  MappedFile& file = files_.at(id->second);
  if (file.reduced()) RefreshLocked(file);
}

bool Window::RefreshLocked(MappedFile& file, ByteCount touched) {
  // Before the two sizes are looked at: see Belief.
  file.belief->set_wary(true);
  const ByteCount told = file.belief->told();
  const std::optional<ByteCount> size = SizeOf(*file.fd);
  bool changed = false;
  if (size) {
    changed = ApplyExtentLocked(
        file, FileExtent{.size = *size, .largest = std::max({file.extent.largest, *size, told, touched})});
  }
  file.belief->set_wary(file.reduced());
  return changed;
}

bool Window::ApplyExtentLocked(MappedFile& file, const FileExtent& next) {
  const PageRange now_lost = next.Lost();
  const PageRange was_lost = file.extent.Lost();
  // In doubt, the window may be in any state: every page is put right.
  const std::vector<PageRange> to_repair = Subtract(now_lost, file.in_doubt ? PageRange{} : was_lost);
  const std::vector<PageRange> to_restore = Subtract(file.in_doubt ? kWholeFile : was_lost, now_lost);
  file.in_doubt = false;
  file.extent = next;
  bool repaired = false;
  bool restored = false;
  for (const PageRange& pages : to_repair) repaired |= ChangePagesLocked(file, pages, Pages::kRepair);
  for (const PageRange& pages : to_restore) restored |= ChangePagesLocked(file, pages, Pages::kRestore);
  stats_.repairs += repaired ? 1 : 0;
  stats_.restores += restored ? 1 : 0;
  if (repaired && repaired_) repaired_(true);
  if (restored && repaired_) repaired_(false);
  if (repaired || restored) stats_changed_.SignalAll();
  return repaired || restored;
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
  const absl::Status changed = what == Pages::kRepair
                                   ? window_->MapZeros(at, length)
                                   : window_->Map(at, length, file.fd->get(), part.from, entry.protection);
  if (!changed.ok()) {
    LOG_LIMITED(kWarning) << "bringing the DAX window in line with a file's size: " << changed.ToString();
    file.in_doubt = true;
  } else if (what == Pages::kRepair) {
    repair_count_.fetch_add(1, std::memory_order_release);
  }
  return true;
}

bool Window::CheckFiles(const std::span<const WatchId>* which) {
  struct Look {
    MappedFileId id;
    std::shared_ptr<const UniqueFd> fd;
    ByteCount size;
    bool due;  // whatever its size is now
  };
  std::vector<Look> looks;
  {
    MutexLock lock(&mu_);
    const auto add = [&looks](const MappedFile& file) {
      // A size that the guest was told and that no look has seen: the file may have been truncated before this one.
      const bool unseen = file.belief->told() > file.extent.largest;
      looks.push_back({.id = file.id, .fd = file.fd, .size = file.extent.size, .due = file.in_doubt || unseen});
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
  std::erase_if(looks, [](const Look& look) { return !look.due && SizeOf(*look.fd) == look.size; });
  bool changed = false;
  for (const Look& look : looks) {
    MutexLock lock(&mu_);
    const auto file = files_.find(look.id);
    if (file != files_.end()) changed |= RefreshLocked(file->second);
  }
  return changed;
}

}  // namespace daxvmm::dax
