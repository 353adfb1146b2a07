#include "devices/virtio_fs/dax/mapping_table.h"

#include <algorithm>
#include <iterator>

namespace daxvmm::dax {
namespace {

uint64_t ChunkIndex(WindowOffset at) { return at.raw() / kDaxRangeSize.raw(); }
uint64_t LastChunkIndex(const WindowRange& range) { return ChunkIndex(range.end() - ByteCount(1)); }

}  // namespace

TableEntry Clip(const TableEntry& entry, const WindowRange& range) {
  TableEntry part = entry;
  part.range.at = std::max(entry.range.at, range.at);
  part.range.length = std::min(entry.range.end(), range.end()) - part.range.at;
  part.from = entry.from + (part.range.at - entry.range.at);
  return part;
}

MappingTable::MappingTable(ByteCount window_size)
    : chunk_pages_((window_size.raw() + kDaxRangeSize.raw() - 1) / kDaxRangeSize.raw()) {}

std::vector<TableEntry> MappingTable::Insert(const TableEntry& entry) {
  std::vector<TableEntry> replaced = Erase(entry.range);
  entries_.emplace(entry.range.at, entry);
  CountPages(entry.range, Change::kAdded);
  return replaced;
}

std::vector<TableEntry> MappingTable::Erase(const WindowRange& range) {
  std::vector<TableEntry> taken;
  auto it = FirstOverlap(range.at);
  while (it != entries_.end() && it->first < range.end()) {
    const TableEntry whole = it->second;
    it = entries_.erase(it);
    if (whole.range.at < range.at) {
      const WindowRange before{whole.range.at, range.at - whole.range.at};
      entries_.emplace_hint(it, before.at, Clip(whole, before));
    }
    if (whole.range.end() > range.end()) {
      const WindowRange after{range.end(), whole.range.end() - range.end()};
      entries_.emplace_hint(it, after.at, Clip(whole, after));
    }
    taken.push_back(Clip(whole, range));
    CountPages(taken.back().range, Change::kTaken);
  }
  return taken;
}

void MappingTable::Clear() {
  entries_.clear();
  std::fill(chunk_pages_.begin(), chunk_pages_.end(), 0);
  mapped_chunks_ = 0;
}

void MappingTable::ForEach(absl::FunctionRef<void(const TableEntry&)> visit) const {
  for (const auto& [at, entry] : entries_) visit(entry);
}

const TableEntry* MappingTable::Find(WindowOffset at) const {
  const auto after = entries_.upper_bound(at);
  if (after == entries_.begin()) return nullptr;
  const TableEntry& entry = std::prev(after)->second;
  return at < entry.range.end() ? &entry : nullptr;
}

std::unordered_map<NodeId, uint32_t> MappingTable::ChunksByNode() const {
  // Entries come in order, so a chunk that a node has more than one piece of follows itself in that node's sequence.
  struct Use {
    uint32_t chunks = 0;
    uint64_t next_chunk = 0;  // all before it are counted
  };
  std::unordered_map<NodeId, Use> uses;
  for (const auto& [at, entry] : entries_) {
    Use& use = uses[entry.node];
    const uint64_t first = std::max(ChunkIndex(at), use.next_chunk);
    const uint64_t end = LastChunkIndex(entry.range) + 1;
    if (first < end) use.chunks += static_cast<uint32_t>(end - first);
    use.next_chunk = end;
  }
  std::unordered_map<NodeId, uint32_t> chunks;
  for (const auto& [node, use] : uses) chunks.emplace(node, use.chunks);
  return chunks;
}

MappingTable::Entries::iterator MappingTable::FirstOverlap(WindowOffset at) {
  auto it = entries_.upper_bound(at);
  if (it != entries_.begin() && std::prev(it)->second.range.end() > at) --it;
  return it;
}

void MappingTable::CountPages(const WindowRange& range, Change change) {
  const uint64_t first = ChunkIndex(range.at);
  const uint64_t last = LastChunkIndex(range);
  for (uint64_t chunk = first; chunk <= last; ++chunk) {
    const WindowOffset start(chunk * kDaxRangeSize.raw());
    const WindowOffset from = std::max(start, range.at);
    const WindowOffset to = std::min(start + kDaxRangeSize, range.end());
    const uint16_t pages = static_cast<uint16_t>((to - from).raw() / kPageSize.raw());
    uint16_t& mapped = chunk_pages_[chunk];
    if (change == Change::kAdded) {
      if (mapped == 0) ++mapped_chunks_;
      mapped = static_cast<uint16_t>(mapped + pages);
    } else {
      mapped = static_cast<uint16_t>(mapped - pages);
      if (mapped == 0) --mapped_chunks_;
    }
  }
}

}  // namespace daxvmm::dax
