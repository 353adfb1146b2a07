// Directory streams.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <utility>

#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "devices/virtio_fs/fs/safe_open.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;
using fuse::kOk;
using fuse::RequestContext;
using fuse::Result;

// What a stream reads ahead, and keeps: whatever size the guest asks for, since it may hold very many directories open.
constexpr size_t kBufferSize = 4096;

// The head of the kernel's struct linux_dirent64; the name follows, NUL-terminated.
struct DirentHead {
  uint64_t ino;
  int64_t next_offset;
  uint16_t record_length;
  uint8_t type;
};
constexpr size_t kNameOffset = 19;  // getdents(2): no padding before d_name

struct DirEntry {
  DirentHead head;
  absl::string_view name;
};

// Fills the stream from where it stands. False at the end of the directory.
Result<bool> Fill(int fd, DirStream* stream) {
  stream->buffer.resize(kBufferSize);
  const long n = syscall(SYS_getdents64, fd, stream->buffer.data(), stream->buffer.size());
  const Errno error = n < 0 ? Errno::Last() : kOk;
  stream->buffer.resize(n > 0 ? static_cast<size_t>(n) : 0);
  stream->at = 0;
  if (!error.ok()) return error;
  return n > 0;
}

// Brings the stream to `offset`. Offset 0 is a rewind: what was read ahead is stale.
Errno Seek(int fd, DirStream* stream, uint64_t offset) {
  if (offset != 0 && offset == stream->next_offset) return kOk;
  stream->buffer.clear();
  stream->at = 0;
  if (lseek(fd, static_cast<off_t>(offset), SEEK_SET) < 0) return Errno::Last();
  stream->next_offset = offset;
  return kOk;
}

DirEntry EntryAt(const DirStream& stream) {
  DirEntry entry;
  memcpy(&entry.head.ino, &stream.buffer[stream.at], 8);
  memcpy(&entry.head.next_offset, &stream.buffer[stream.at + 8], 8);
  memcpy(&entry.head.record_length, &stream.buffer[stream.at + 16], 2);
  memcpy(&entry.head.type, &stream.buffer[stream.at + 18], 1);
  entry.name = absl::string_view(reinterpret_cast<const char*>(&stream.buffer[stream.at + kNameOffset]));
  return entry;
}

}  // namespace

Result<fuse_open_out> PassthroughFs::OpenDir(const RequestContext& /*ctx*/, NodeId node, const fuse_open_in& /*in*/) {
  // The client takes that for "no need to", once for the whole mount.
  if (Granted(FUSE_NO_OPENDIR_SUPPORT)) return Errno(ENOSYS);
  const Result<PinnedInode> dir = FindDirectory(node);
  if (!dir.ok()) return dir.error();
  Result<UniqueFd> fd = Reopen(dir->fd(), S_IFDIR, O_RDONLY);
  if (!fd.ok()) return fd.error();
  return OpenReply(*dir, *std::move(fd));
}

Errno PassthroughFs::ReadDir(const RequestContext& ctx, NodeId node, const fuse_read_in& in, bool plus,
                             fuse::DirSink* sink) {
  if (in.fh == 0 && Granted(FUSE_NO_OPENDIR_SUPPORT)) {
    const Result<PinnedInode> dir = FindDirectory(node);
    if (!dir.ok()) return dir.error();
    const Result<UniqueFd> fd = Reopen(dir->fd(), S_IFDIR, O_RDONLY);
    if (!fd.ok()) return fd.error();
    DirStream stream;
    return ReadStream(ctx, (*fd).get(), **dir, &stream, in, plus, sink);
  }
  const Result<std::shared_ptr<Handle>> found = FindOpenDirectory(FileHandle(in.fh), node);
  if (!found.ok()) return found.error();
  Handle& handle = **found;
  MutexLock lock(&handle.stream_mu);
  return ReadStream(ctx, handle.fd(), *handle.inode(), &handle.stream, in, plus, sink);
}

Errno PassthroughFs::ReadStream(const fuse::RequestContext& ctx, int fd, const Inode& dir, DirStream* position,
                                const fuse_read_in& in, bool plus, fuse::DirSink* sink) {
  DirStream& stream = *position;
  if (const Errno error = Seek(fd, &stream, in.offset); !error.ok()) return error;

  for (bool any = false;; any = true) {
    if (stream.at == stream.buffer.size()) {
      const Result<bool> more = Fill(fd, &stream);
      // What was delivered counts; the error comes back with the next READDIR, which starts where this one ends.
      if (!more.ok()) return any ? kOk : more.error();
      if (!*more) return kOk;
    }
    const DirEntry entry = EntryAt(stream);
    if (!sink->Fits(entry.name.size())) return any ? kOk : Errno(EINVAL);
    const bool dots = entry.name == "." || entry.name == "..";
    // The number of what lies above the share is none of the guest's business.
    const uint64_t ino = dots && dir.id() == kRootNode ? dir.key().inode : entry.head.ino;
    const uint64_t next = static_cast<uint64_t>(entry.head.next_offset);
    std::optional<fuse_entry_out> attributes;
    if (plus) {
      attributes =
          fuse_entry_out{};  // node id 0: no reference taken, and the client looks the name up when it needs it
      if (!dots) {
        const std::string name(entry.name);
        Result<UniqueFd> child = OpenChild(fd, name);
        if (child.ok()) {
          const Result<fuse_entry_out> made = MakeEntry(ctx, *std::move(child), dir.id(), name);
          if (made.ok()) attributes = *made;
        }
      }
    }
    sink->Add(entry.name, ino, entry.head.type, next, attributes.has_value() ? &*attributes : nullptr);
    stream.at += entry.head.record_length;
    stream.next_offset = next;
  }
}

Errno PassthroughFs::ReleaseDir(const RequestContext& /*ctx*/, NodeId node, FileHandle fh) {
  if (!FindOpenDirectory(fh, node).ok()) return Errno(EBADF);
  return handles_.Remove(fh, node) ? kOk : Errno(EBADF);
}

Errno PassthroughFs::FsyncDir(const RequestContext& /*ctx*/, NodeId node, const fuse_fsync_in& in) {
  const bool data_only = (in.fsync_flags & FUSE_FSYNC_FDATASYNC) != 0;
  const auto sync = [data_only](int fd) { return data_only ? fdatasync(fd) : fsync(fd); };
  int rc = 0;
  if (in.fh == 0 && Granted(FUSE_NO_OPENDIR_SUPPORT)) {
    const Result<PinnedInode> dir = FindDirectory(node);
    if (!dir.ok()) return dir.error();
    const Result<UniqueFd> fd = Reopen(dir->fd(), S_IFDIR, O_RDONLY);
    if (!fd.ok()) return fd.error();
    rc = sync((*fd).get());
  } else {
    const Result<std::shared_ptr<Handle>> dir = FindOpenDirectory(FileHandle(in.fh), node);
    if (!dir.ok()) return dir.error();
    rc = sync((*dir)->fd());
  }
  return rc == 0 ? kOk : Errno::Last();
}

}  // namespace daxvmm::fs
