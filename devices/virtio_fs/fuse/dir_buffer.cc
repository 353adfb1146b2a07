#include "devices/virtio_fs/fuse/dir_buffer.h"

#include <cstring>

namespace daxvmm::fuse {
namespace {

static_assert(FUSE_NAME_OFFSET == 24 && FUSE_NAME_OFFSET_DIRENTPLUS == 152);

void Append(std::vector<std::byte>* to, const void* from, size_t size) {
  const auto* bytes = static_cast<const std::byte*>(from);
  to->insert(to->end(), bytes, bytes + size);
}

}  // namespace

DirBuffer::DirBuffer(size_t limit, bool plus) : limit_(limit), plus_(plus) { bytes_.reserve(limit); }

size_t DirBuffer::RecordSize(size_t name_length) const {
  return FUSE_DIRENT_ALIGN((plus_ ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET) + name_length);
}

bool DirBuffer::Fits(size_t name_length) const {
  const bool fits = RecordSize(name_length) <= limit_ - bytes_.size();
  if (!fits) refused_ = true;
  return fits;
}

void DirBuffer::Add(absl::string_view name, uint64_t ino, uint32_t type, uint64_t next_offset,
                    const fuse_entry_out* entry) {
  if (!Fits(name.size())) return;
  const size_t end = bytes_.size() + RecordSize(name.size());
  if (plus_) {
    const fuse_entry_out none = {};
    Append(&bytes_, entry != nullptr ? entry : &none, sizeof(fuse_entry_out));
  }
  const uint64_t header[2] = {ino, next_offset};
  const uint32_t rest[2] = {static_cast<uint32_t>(name.size()), type};
  Append(&bytes_, header, sizeof(header));
  Append(&bytes_, rest, sizeof(rest));
  Append(&bytes_, name.data(), name.size());
  bytes_.resize(end);
}

std::vector<NodeId> DirBuffer::References() const {
  std::vector<NodeId> nodes;
  if (!plus_) return nodes;
  for (size_t at = 0; at < bytes_.size();) {
    fuse_direntplus record;
    std::memcpy(&record, bytes_.data() + at, FUSE_NAME_OFFSET_DIRENTPLUS);
    if (record.entry_out.nodeid != 0) nodes.push_back(NodeId(record.entry_out.nodeid));
    at += RecordSize(record.dirent.namelen);
  }
  return nodes;
}

}  // namespace daxvmm::fuse
