#include "devices/virtio_fs/dax/window.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/log.h"
#include "base/status.h"

namespace daxvmm::dax {
namespace {

constexpr fuse::Errno kHostError{EIO};

// Each entry of the table is a mapping of the host process, of which the kernel allows it 65,530 (vm.max_map_count).
// Linux maps whole chunks and never needs more entries than there are chunks; a guest that maps page by page gets this
// many more and then an error, or it would starve the process of mappings.
constexpr size_t kSpareEntries = 4096;

size_t MaxEntries(ByteCount window_size) { return window_size.raw() / kDaxRangeSize.raw() + kSpareEntries; }

// EAGAIN makes the guest's fault handler loop, ENOMEM starts its OOM killer (fs/fuse/dax.c of Linux 6.1).
fuse::Errno Presentable(fuse::Errno error) {
  return error.value() == EAGAIN || error.value() == ENOMEM ? kHostError : error;
}

uint64_t PagesOf(const WindowRange& range) { return range.length.raw() / kPageSize.raw(); }

}  // namespace

absl::StatusOr<std::unique_ptr<Window>> Window::Create(memory::MappingWindow* window, bool read_only) {
  std::unique_ptr<Window> result(new Window(window, read_only));
  Window* const self = result.get();
  ASSIGN_OR_RETURN(self->watch_, TruncationWatch::Create(
                                     {.changed = [self](std::span<const WatchId> which) { self->CheckFiles(&which); },
                                      .sweep = [self] { self->CheckFiles(nullptr); }}));
  return result;
}

Window::Window(memory::MappingWindow* window, bool read_only)
    : window_(window), read_only_(read_only), table_(window->size()) {}

Window::~Window() {
  watch_.reset();
  Clear();
}

fuse::Errno Window::Setup(NodeId node, const fuse_setupmapping_in& in, fuse::MappingSource& source,
                          ByteCount told_size) {
  const fuse::Errno error = TrySetup(node, in, source, told_size);
  if (error.ok()) return error;
  MutexLock lock(&mu_);
  ++stats_.rejected;
  return Presentable(error);
}

fuse::Errno Window::TrySetup(NodeId node, const fuse_setupmapping_in& in, fuse::MappingSource& source,
                             ByteCount told_size) {
  const uint64_t session = session_.load(std::memory_order_acquire);
  const fuse::Result<SetupRequest> request = ParseSetup(in, window_->size(), read_only_);
  if (!request.ok()) return request.error();
  fuse::Result<UniqueFd> fd = source.OpenForMapping(node, request->protection == memory::Protection::kReadWrite);
  if (!fd.ok()) return fd.error();
  struct stat st;
  if (fstat(fd->get(), &st) != 0) return fuse::Errno::Last();

  const Opened opened{.fd = std::make_shared<const UniqueFd>(*std::move(fd)), .device = st.st_dev, .inode = st.st_ino};
  MutexLock lock(&mu_);
  // The session that asked is over, and the guest holds the whole window to be free.
  if (session != session_.load(std::memory_order_relaxed)) return kHostError;
  return MapLocked(*request, node, opened, told_size);
}

fuse::Errno Window::MapLocked(const SetupRequest& request, NodeId node, const Opened& opened, ByteCount told_size) {
  if (table_.size() >= MaxEntries(window_->size())) {
    LOG_LIMITED(kWarning) << "the guest cut its DAX window into too many pieces";
    return kHostError;
  }
  MappedFile& file = EnterFileLocked(node, opened, request.protection == memory::Protection::kReadWrite);
  RefreshLocked(file, told_size);
  const absl::Status mapped =
      window_->Map(request.range.at, request.range.length, opened.fd->get(), request.from, request.protection);
  if (!mapped.ok()) {
    LOG_LIMITED(kWarning) << "mapping a file into the DAX window: " << mapped.ToString();
    DropIfUnmappedLocked(file.id);
    RepairLocked(request.range);
    return kHostError;
  }
  const TableEntry entry{
      .range = request.range, .from = request.from, .node = node, .file = file.id, .protection = request.protection};
  // Counted before the replaced pages are released: a file that is mapped over itself must not be dropped in between.
  file.pages += PagesOf(entry.range);
  ReleasePagesLocked(table_.Insert(entry));
  ChangePagesOfEntryLocked(file, entry, file.extent.Lost(), Pages::kWithdraw);
  ++stats_.maps;
  stats_.mapped_chunks_max = std::max(stats_.mapped_chunks_max, table_.mapped_chunks());
  stats_changed_.SignalAll();
  return fuse::kOk;
}

fuse::Errno Window::Remove(NodeId node, std::span<const fuse_removemapping_one> entries) {
  const fuse::Errno error = TryRemove(entries);
  if (error.ok()) return error;
  MutexLock lock(&mu_);
  ++stats_.rejected;
  return error;
}

fuse::Errno Window::TryRemove(std::span<const fuse_removemapping_one> entries) {
  std::vector<WindowRange> ranges;
  ranges.reserve(entries.size());
  for (const fuse_removemapping_one& one : entries) {
    const fuse::Result<std::optional<WindowRange>> range = ParseRemove(one, window_->size());
    if (!range.ok()) return range.error();
    if (range->has_value()) ranges.push_back(**range);
  }
  MutexLock lock(&mu_);
  for (const WindowRange& range : ranges) {
    // A removal from the middle of an entry leaves two.
    if (table_.size() >= MaxEntries(window_->size()) + kSpareEntries) return kHostError;
    if (const absl::Status unmapped = window_->Unmap(range.at, range.length); !unmapped.ok()) {
      LOG_LIMITED(kWarning) << "unmapping from the DAX window: " << unmapped.ToString();
      return kHostError;
    }
    const std::vector<TableEntry> taken = table_.Erase(range);
    if (!taken.empty()) ++stats_.unmaps;
    ReleasePagesLocked(taken);
  }
  stats_changed_.SignalAll();
  return fuse::kOk;
}

void Window::Clear() {
  MutexLock lock(&mu_);
  session_.fetch_add(1, std::memory_order_acq_rel);
  if (table_.size() == 0) return;
  if (const absl::Status unmapped = window_->Unmap(WindowOffset(0), window_->size()); !unmapped.ok()) {
    LOG(kError) << "clearing the DAX window: " << unmapped.ToString();
  }
  std::vector<TableEntry> taken;
  taken.reserve(table_.size());
  table_.ForEach([&taken](const TableEntry& entry) { taken.push_back(entry); });
  table_.Clear();
  ReleasePagesLocked(taken);
  stats_changed_.SignalAll();
}

void Window::RepairLocked(const WindowRange& range) {
  std::vector<MappedFileId> ids;
  table_.ForEach([&](const TableEntry& entry) {
    if (entry.range.at < range.end() && range.at < entry.range.end()) ids.push_back(entry.file);
  });
  for (const MappedFileId id : ids) {
    MappedFile& file = files_.at(id);
    if (!file.reduced()) ++reduced_files_;
    file.in_doubt = true;
    RefreshLocked(file, ByteCount(0));
  }
}

MappedFile& Window::EnterFileLocked(NodeId node, const Opened& opened, bool writable) {
  const auto [by_inode, is_new] = file_of_inode_.try_emplace({opened.device, opened.inode});
  if (is_new) by_inode->second = MappedFileId(++last_file_id_);
  MappedFile& file = files_[by_inode->second];
  if (is_new) {
    file.id = by_inode->second;
    file.device = opened.device;
    file.inode = opened.inode;
    file.fd = opened.fd;
    file.writable = writable;
    if (watch_ != nullptr) {
      // Before its size is looked at: what happens to it from here on is an event.
      file.watch = watch_->Add(opened.fd->get());
      watch_->SetActive(true);
    }
    if (file.watch != kNoWatch) file_of_watch_[file.watch] = file.id;
  } else if (writable && !file.writable) {
    file.fd = opened.fd;
    file.writable = true;
  }
  // A node id may come back for another file, and a file under another id, while old mappings are still there.
  const auto old = file_of_node_.find(file.node);
  if (old != file_of_node_.end() && old->second == file.id) file_of_node_.erase(old);
  file.node = node;
  file_of_node_[node] = file.id;
  return file;
}

void Window::ReleasePagesLocked(std::span<const TableEntry> taken) {
  for (const TableEntry& entry : taken) {
    const auto file = files_.find(entry.file);
    CHECK(file != files_.end() && file->second.pages >= PagesOf(entry.range)) << "the window's page counts are wrong";
    file->second.pages -= PagesOf(entry.range);
    DropIfUnmappedLocked(entry.file);
  }
}

void Window::DropIfUnmappedLocked(MappedFileId id) {
  const auto it = files_.find(id);
  if (it == files_.end() || it->second.pages != 0) return;
  const MappedFile& file = it->second;
  if (file.reduced() && --reduced_files_ == 0) any_withdrawn_.store(false);
  if (file.watch != kNoWatch) {
    if (watch_ != nullptr) watch_->Remove(file.watch);
    file_of_watch_.erase(file.watch);
  }
  const auto by_node = file_of_node_.find(file.node);
  if (by_node != file_of_node_.end() && by_node->second == id) file_of_node_.erase(by_node);
  file_of_inode_.erase({file.device, file.inode});
  files_.erase(it);
  if (files_.empty() && watch_ != nullptr) watch_->SetActive(false);
}

WindowStats Window::stats() const {
  MutexLock lock(&mu_);
  WindowStats stats = stats_;
  stats.mapped_chunks = table_.mapped_chunks();
  return stats;
}

bool Window::AwaitStats(absl::FunctionRef<bool(const WindowStats&)> reached,
                        std::chrono::steady_clock::time_point deadline) const {
  MutexLock lock(&mu_);
  for (;;) {
    WindowStats stats = stats_;
    stats.mapped_chunks = table_.mapped_chunks();
    if (reached(stats)) return true;
    if (!stats_changed_.WaitUntil(&mu_, deadline)) return false;
  }
}

uint32_t Window::ChunksOf(NodeId node) const {
  const std::unordered_map<NodeId, uint32_t> chunks = ChunksByNode();
  const auto it = chunks.find(node);
  return it == chunks.end() ? 0 : it->second;
}

std::unordered_map<NodeId, uint32_t> Window::ChunksByNode() const {
  MutexLock lock(&mu_);
  return table_.ChunksByNode();
}

std::vector<TableEntry> Window::Mappings() const {
  std::vector<TableEntry> all;
  MutexLock lock(&mu_);
  all.reserve(table_.size());
  table_.ForEach([&all](const TableEntry& entry) { all.push_back(entry); });
  return all;
}

}  // namespace daxvmm::dax
