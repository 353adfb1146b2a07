// A host file that some part of a DAX window shows, and how much of it the host has taken away.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_MAPPED_FILE_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_MAPPED_FILE_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "base/units.h"
#include "devices/virtio_fs/dax/mapping_table.h"
#include "devices/virtio_fs/dax/told_sizes.h"
#include "devices/virtio_fs/dax/truncation_watch.h"

namespace daxvmm::dax {

// [from, to) of a file, in whole pages; empty if from >= to.
struct PageRange {
  FileOffset from;
  FileOffset to;

  bool empty() const { return from >= to; }
  bool operator==(const PageRange&) const = default;
};

PageRange Intersect(const PageRange& a, const PageRange& b);
// What of `a` is not in `b`: at most two ranges, none empty.
std::vector<PageRange> Subtract(const PageRange& a, const PageRange& b);

// The size of a file and the largest size it had, or was believed by the guest to have, while it was mapped.
struct FileExtent {
  ByteCount size;
  ByteCount largest;

  // The pages that the file once reached and does not reach now. The page that holds the last byte stays: all of it is
  // backed. Both sizes are at most 2^63 - 1.
  PageRange Lost() const;
  // Whether the page that holds `at` is one that the file reaches.
  bool Reaches(FileOffset at) const { return at < FileOffset(size.raw()).AlignUp(kPageSize); }
  bool operator==(const FileExtent&) const = default;
};

// Plain data under the window's lock, except where noted.
struct MappedFile {
  MappedFileId id;
  NodeId node;                       // the one that mapped it last
  std::unordered_set<NodeId> nodes;  // those under which FileSizeSeen finds it
  std::shared_ptr<Belief> belief = std::make_shared<Belief>();
  dev_t device = 0;
  ino_t inode = 0;
  // Open for mapping, read-write if `writable`: to look at its size, to map lost pages again, and to extend it. Shared
  // with whoever calls fstat or fallocate under no lock while the descriptor here may be exchanged or dropped.
  std::shared_ptr<const UniqueFd> fd;
  bool writable = false;
  WatchId watch = kNoWatch;
  uint64_t pages = 0;  // of the window that show it; the record goes with the last one
  FileExtent extent;   // what the window's present state stands for: the pages of extent.Lost() are repair pages
  // An mmap failed half-way, so that the window may not be what `extent` says.
  bool in_doubt = false;

  // Whether some page may be a repair page.
  bool reduced() const { return in_doubt || !extent.Lost().empty(); }
};

// fstat's st_size; nullopt if it fails.
std::optional<ByteCount> SizeOf(const UniqueFd& fd);

// The name that the host knows the file by, with whatever a guest put into it made harmless for a terminal.
std::string NameOf(const UniqueFd& fd);

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_MAPPED_FILE_H_
