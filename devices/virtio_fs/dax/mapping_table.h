// What lies where in a DAX window: an interval map over window offsets. Bookkeeping only; no memory is touched.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_MAPPING_TABLE_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_MAPPING_TABLE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/units.h"
#include "devices/virtio_fs/dax/mapping_request.h"
#include "memory/mapping_window.h"

namespace daxvmm::dax {

// Names a host file among those that one window holds; see mapped_file.h.
using MappedFileId = Id<struct MappedFileIdTag, uint64_t>;

struct TableEntry {
  WindowRange range;
  FileOffset from;  // what lies at range.at
  NodeId node;
  MappedFileId file;
  memory::Protection protection = memory::Protection::kReadOnly;
  uint64_t policy_generation = 0;                   // of the policy in force when it was mapped
  std::chrono::steady_clock::time_point mapped_at;  // by the window's clock; an upgrade maps anew

  FileOffset file_end() const { return from + range.length; }
  bool operator==(const TableEntry&) const = default;
};

// The chunks (2 MiB ranges of the window, counted from 0) that a range touches: [first, last].
struct ChunkSpan {
  uint64_t first;
  uint64_t last;
};
ChunkSpan ChunksOfRange(const WindowRange& range);

// The part of `entry` inside `range`, which it overlaps.
TableEntry Clip(const TableEntry& entry, const WindowRange& range);

// Not thread-safe. Ranges are page-aligned, not empty and inside the window, as ParseSetup and ParseRemove give them.
class MappingTable {
 public:
  explicit MappingTable(ByteCount window_size);

  // Enters `entry`. What it overlaps gives way, wholly or in part; those parts are returned.
  std::vector<TableEntry> Insert(const TableEntry& entry);
  // Takes out whatever is inside `range`, cutting what reaches beyond it; the parts taken out are returned.
  std::vector<TableEntry> Erase(const WindowRange& range);
  void Clear();

  size_t size() const { return entries_.size(); }
  // Chunks with at least one page mapped.
  uint64_t mapped_chunks() const { return mapped_chunks_; }
  uint64_t chunk_count() const { return chunk_pages_.size(); }
  // `chunk` is below chunk_count().
  bool IsChunkMapped(uint64_t chunk) const { return chunk_pages_[chunk] != 0; }

  // In order of window offset. `visit` must not change the table.
  void ForEach(absl::FunctionRef<void(const TableEntry&)> visit) const;
  // The entry that holds `at`, or nullptr; valid until the table changes.
  const TableEntry* Find(WindowOffset at) const;
  // How many chunks hold a mapping of the node.
  uint32_t ChunksOf(NodeId node) const;
  // The same for each node that has any.
  std::unordered_map<NodeId, uint32_t> ChunksByNode() const;

 private:
  using Entries = std::map<WindowOffset, TableEntry>;

  Entries::iterator FirstOverlap(WindowOffset at);
  enum class Change { kAdded, kTaken };
  void CountPages(const TableEntry& entry, Change change);

  Entries entries_;                    // by range.at; they do not overlap
  std::vector<uint16_t> chunk_pages_;  // pages mapped in each chunk, at most 512
  uint64_t mapped_chunks_ = 0;         // how many of them are not 0
  // For each node with mappings, how many pages of which chunks show its file.
  std::unordered_map<NodeId, std::unordered_map<uint64_t, uint16_t>> node_pages_;
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_MAPPING_TABLE_H_
