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

// Either makes a fault in the guest retry without end; at EAGAIN it cannot even be killed (fs/fuse/dax.c of Linux 6.1).
fuse::Errno Presentable(fuse::Errno error) {
  return error.value() == EAGAIN || error.value() == ENOMEM ? kHostError : error;
}

uint64_t PagesOf(const WindowRange& range) { return range.length.raw() / kPageSize.raw(); }

}  // namespace

absl::StatusOr<std::unique_ptr<Window>> Window::Create(memory::MappingWindow* window, bool read_only,
                                                       WindowOptions options) {
  std::unique_ptr<Window> result(new Window(window, read_only, std::move(options)));
  Window* const self = result.get();
  ASSIGN_OR_RETURN(self->watch_, TruncationWatch::Create(
                                     {.changed = [self](std::span<const WatchId> which) { self->CheckFiles(&which); },
                                      .sweep = [self] { self->CheckFiles(nullptr); }}));
  return result;
}

Window::Window(memory::MappingWindow* window, bool read_only, WindowOptions options)
    : window_(window),
      read_only_(read_only),
      repaired_(std::move(options.repaired)),
      table_(window->size()),
      account_(window->size().raw() / kDaxRangeSize.raw(), options.reuse_within, std::move(options.clock)) {}

Window::~Window() {
  watch_.reset();
  Clear();
}

fuse::Errno Window::Setup(NodeId node, const fuse_setupmapping_in& in, fuse::MappingSource& source,
                          const SetupContext& known) {
  const fuse::Errno error = TrySetup(node, in, source, known);
  if (error.ok()) return error;
  MutexLock lock(&mu_);
  ++stats_.rejected;
  return Presentable(error);
}

fuse::Errno Window::TrySetup(NodeId node, const fuse_setupmapping_in& in, fuse::MappingSource& source,
                             const SetupContext& known) {
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
  return MapLocked(*request, node, opened, known);
}

fuse::Errno Window::MapLocked(const SetupRequest& request, NodeId node, const Opened& opened,
                              const SetupContext& known) {
  if (table_.size() >= MaxEntries(window_->size())) {
    LOG_LIMITED(kWarning) << "the guest cut its DAX window into too many pieces";
    return kHostError;
  }
  MappedFile& file = EnterFileLocked(node, opened, request.protection == memory::Protection::kReadWrite);
  file.belief->Tell(known.told_size);
  RefreshLocked(file);
  const absl::Status mapped =
      window_->Map(request.range.at, request.range.length, opened.fd->get(), request.from, request.protection);
  if (!mapped.ok()) {
    LOG_LIMITED(kWarning) << "mapping a file into the DAX window: " << mapped.ToString();
    RepairLocked(request.range);
    if (table_.ChunksOf(node) == 0) DropNodeLocked(node);
    DropFileIfUnmappedLocked(file.id);
    return kHostError;
  }
  const TableEntry entry{.range = request.range,
                         .from = request.from,
                         .node = node,
                         .file = file.id,
                         .protection = request.protection,
                         .policy_generation = known.policy_generation,
                         .mapped_at = account_.Now()};
  std::vector<uint64_t> filled;
  const ChunkSpan chunks = ChunksOfRange(entry.range);
  for (uint64_t chunk = chunks.first; chunk <= chunks.last; ++chunk) {
    if (!table_.IsChunkMapped(chunk)) filled.push_back(chunk);
  }
  // Counted before the replaced pages are released: a file that is mapped over itself must not be dropped in between.
  file.pages += PagesOf(entry.range);
  ReleasePagesLocked(table_.Insert(entry), WindowAccount::Loss::kReplaced);
  ChangePagesOfEntryLocked(file, entry, file.extent.Lost(), Pages::kRepair);
  account_.Mapped(node, filled, table_.ChunksOf(node));
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
  const bool none_was_free = account_.full();
  for (const WindowRange& range : ranges) {
    // A removal from the middle of an entry leaves two.
    if (table_.size() >= MaxEntries(window_->size()) + kSpareEntries) return kHostError;
    if (const absl::Status unmapped = window_->Unmap(range.at, range.length); !unmapped.ok()) {
      LOG_LIMITED(kWarning) << "unmapping from the DAX window: " << unmapped.ToString();
      return kHostError;
    }
    std::vector<uint64_t> emptied;
    const ChunkSpan chunks = ChunksOfRange(range);
    for (uint64_t chunk = chunks.first; chunk <= chunks.last; ++chunk) {
      if (table_.IsChunkMapped(chunk)) emptied.push_back(chunk);
    }
    const std::vector<TableEntry> taken = table_.Erase(range);
    if (taken.empty()) continue;
    std::erase_if(emptied,
                  [this](uint64_t chunk) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return table_.IsChunkMapped(chunk); });
    account_.Unmapped(emptied, none_was_free);
    ReleasePagesLocked(taken, WindowAccount::Loss::kRemoved);
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
  ReleasePagesLocked(taken, WindowAccount::Loss::kRemoved);
  account_.Cleared();
  stats_changed_.SignalAll();
}

WindowStats Window::StatsLocked() const {
  const std::chrono::steady_clock::time_point now = account_.Now();
  WindowStats stats = stats_;
  stats.chunks = account_.chunk_count();
  stats.mapped_chunks = account_.mapped_chunks_now();
  stats.mapped_chunks_max = account_.mapped_chunks_max();
  stats.maps = account_.maps().total();
  stats.unmaps = account_.unmaps().total();
  stats.map_rates = account_.maps().Rates(now);
  stats.unmap_rates = account_.unmaps().Rates(now);
  stats.reused_soon = account_.reused_soon();
  return stats;
}

WindowStats Window::stats() const {
  MutexLock lock(&mu_);
  return StatsLocked();
}

bool Window::AwaitStats(absl::FunctionRef<bool(const WindowStats&)> reached,
                        std::chrono::steady_clock::time_point deadline) const {
  MutexLock lock(&mu_);
  for (;;) {
    if (reached(StatsLocked())) return true;
    if (!stats_changed_.WaitUntil(&mu_, deadline)) return false;
  }
}

uint32_t Window::ChunksOf(NodeId node) const {
  MutexLock lock(&mu_);
  return table_.ChunksOf(node);
}

std::unordered_map<NodeId, uint32_t> Window::ChunksByNode() const {
  MutexLock lock(&mu_);
  return table_.ChunksByNode();
}

NodeWindowUse Window::UseOf(NodeId node) const {
  MutexLock lock(&mu_);
  return account_.UseOf(node);
}

NodeWindowUseMap Window::UseByNode() const {
  MutexLock lock(&mu_);
  return account_.UseByNode();
}

std::vector<TableEntry> Window::Mappings() const {
  std::vector<TableEntry> all;
  MutexLock lock(&mu_);
  all.reserve(table_.size());
  table_.ForEach([&all](const TableEntry& entry) { all.push_back(entry); });
  return all;
}

}  // namespace daxvmm::dax
