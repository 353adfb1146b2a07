// Packs directory entries as READDIR and READDIRPLUS want them.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FUSE_DIR_BUFFER_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FUSE_DIR_BUFFER_H_

#include <cstddef>
#include <span>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/units.h"
#include "devices/virtio_fs/fuse/file_system.h"

namespace daxvmm::fuse {

class DirBuffer : public DirSink {
 public:
  // Holds at most `limit` bytes. `plus`: fuse_direntplus records, else fuse_dirent.
  DirBuffer(size_t limit, bool plus);

  bool Fits(size_t name_length) const override;
  // What does not fit is dropped.
  void Add(absl::string_view name, uint64_t ino, uint32_t type, uint64_t next_offset,
           const fuse_entry_out* entry) override;

  std::span<const std::byte> bytes() const { return bytes_; }
  // The file system had an entry, and not even the first one fitted: an empty reply would mean the directory's end.
  bool refused_first() const { return refused_ && bytes_.empty(); }
  // The nodes whose lookup references travel in the entries; one may occur several times.
  std::vector<NodeId> References() const;

 private:
  size_t RecordSize(size_t name_length) const;

  const size_t limit_;
  const bool plus_;
  mutable bool refused_ = false;
  std::vector<std::byte> bytes_;
};

}  // namespace daxvmm::fuse

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FUSE_DIR_BUFFER_H_
