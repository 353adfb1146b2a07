#include "devices/virtio_fs/dax/mapping_table.h"

#include <algorithm>
#include <iterator>

namespace daxvmm::dax {
namespace {

uint64_t ChunkIndex(WindowOffset at) { return at.raw() / kDaxRangeSize.raw(); }

}  // namespace

ChunkSpan ChunksOfRange(const WindowRange& range) {
  return {ChunkIndex(range.at), ChunkIndex(range.end() - ByteCount(1))};
}

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
  CountPages(entry, Change::kAdded);
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
    CountPages(taken.back(), Change::kTaken);
  }
  return taken;
}

void MappingTable::Clear() {
  entries_.clear();
  std::fill(chunk_pages_.begin(), chunk_pages_.end(), 0);
  mapped_chunks_ = 0;
  node_pages_.clear();
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

uint32_t MappingTable::ChunksOf(NodeId node) const {
  const auto pages = node_pages_.find(node);
  return pages == node_pages_.end() ? 0 : static_cast<uint32_t>(pages->second.size());
}

std::unordered_map<NodeId, uint32_t> MappingTable::ChunksByNode() const {
  std::unordered_map<NodeId, uint32_t> chunks;
  chunks.reserve(node_pages_.size());
  for (const auto& [node, pages] : node_pages_) chunks.emplace(node, static_cast<uint32_t>(pages.size()));
  return chunks;
}

MappingTable::Entries::iterator MappingTable::FirstOverlap(WindowOffset at) {
  auto it = entries_.upper_bound(at);
  if (it != entries_.begin() && std::prev(it)->second.range.end() > at) --it;
  return it;
}

void MappingTable::CountPages(const TableEntry& entry, Change change) {
  const ChunkSpan chunks = ChunksOfRange(entry.range);
  std::unordered_map<uint64_t, uint16_t>& of_node = node_pages_[entry.node];
  for (uint64_t chunk = chunks.first; chunk <= chunks.last; ++chunk) {
    const WindowOffset start(chunk * kDaxRangeSize.raw());
    const WindowOffset from = std::max(start, entry.range.at);
    const WindowOffset to = std::min(start + kDaxRangeSize, entry.range.end());
    const uint16_t pages = static_cast<uint16_t>((to - from).raw() / kPageSize.raw());
    uint16_t& mapped = chunk_pages_[chunk];
    uint16_t& mapped_of_node = of_node[chunk];
    if (change == Change::kAdded) {
      if (mapped == 0) ++mapped_chunks_;
      mapped = static_cast<uint16_t>(mapped + pages);
      mapped_of_node = static_cast<uint16_t>(mapped_of_node + pages);
    } else {
      mapped = static_cast<uint16_t>(mapped - pages);
      if (mapped == 0) --mapped_chunks_;
      mapped_of_node = static_cast<uint16_t>(mapped_of_node - pages);
      if (mapped_of_node == 0) of_node.erase(chunk);
    }
  }
  if (of_node.empty()) node_pages_.erase(entry.node);
}

}  // namespace daxvmm::dax
