// Open files: bytes move by preadv(2) and pwritev(2) straight between the host's file and guest memory.
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <span>
#include <utility>

#include "devices/virtio_fs/fs/credentials.h"
#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "devices/virtio_fs/fs/safe_open.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;
using fuse::kOk;
using fuse::RequestContext;
using fuse::Result;

// [offset, offset + size) is a range that the host's off_t can express.
bool IsFileRange(uint64_t offset, uint64_t size) { return offset <= INT64_MAX && size <= INT64_MAX - offset; }

int ForOneCall(std::span<const iovec> iov) { return static_cast<int>(std::min<size_t>(iov.size(), IOV_MAX)); }

// What is left of `iov` behind its first `bytes` bytes.
std::span<iovec> Behind(std::span<iovec> iov, size_t bytes) {
  while (!iov.empty() && bytes >= iov.front().iov_len) {
    bytes -= iov.front().iov_len;
    iov = iov.subspan(1);
  }
  if (!iov.empty()) {
    iov.front().iov_base = static_cast<std::byte*>(iov.front().iov_base) + bytes;
    iov.front().iov_len -= bytes;
  }
  return iov;
}

// An ordinary user's allocation or copy clears the set-id bits; there is no flag for it in these requests.
bool KillsPriv(const RequestContext& ctx) { return ctx.uid != 0; }

}  // namespace

void PassthroughFs::NoteSize(Inode& inode, uint64_t size) const {
  uint64_t known = inode.known_size.load(std::memory_order_relaxed);
  while (known < size && !inode.known_size.compare_exchange_weak(known, size, std::memory_order_relaxed)) {
  }
  // Also where the guest knows of that size: the host may have truncated the file meanwhile.
  if (observer_ != nullptr) observer_->Grew(inode.ForObserver(), ByteCount(std::max(known, size)));
}

Result<fuse_open_out> PassthroughFs::OpenReply(const PinnedInode& inode, UniqueFd fd) {
  fuse_open_out out = {};
  if (options_.cache == CacheMode::kAlways) {
    out.open_flags = FOPEN_KEEP_CACHE | (inode->is_directory() ? FOPEN_CACHE_DIR : 0);
  } else if (inode->is_regular()) {
    // Without FOPEN_KEEP_CACHE the guest drops its pages and, for a DAX file, every other mapper's page table entries.
    // With it, it goes on with what it has: right only if nobody else has changed the file meanwhile.
    const Result<struct statx> stx = StatInode(inode.fd());
    if (stx.ok() && inode->UnchangedSinceLastOpen(*stx)) out.open_flags |= FOPEN_KEEP_CACHE;
    // A file that the guest maps by DAX it reads through the window all the same.
    if (options_.cache != CacheMode::kAuto) out.open_flags |= FOPEN_DIRECT_IO;
  }
  Result<OpenInode> open = inodes_.Open(inode);
  if (!open.ok()) return open.error();
  const Result<FileHandle> fh = handles_.Add(*std::move(open), std::move(fd));
  if (!fh.ok()) return fh.error();
  out.fh = (*fh).raw();
  return out;
}

// A client that collects writes reads the rest of the pages that it writes parts of, through whatever handle it has.
int PassthroughFs::HostFlags(uint32_t flags) const {
  const int host = static_cast<int>(flags);
  return Granted(FUSE_WRITEBACK_CACHE) && (host & O_ACCMODE) == O_WRONLY ? (host & ~O_ACCMODE) | O_RDWR : host;
}

Result<fuse_open_out> PassthroughFs::Open(const RequestContext& ctx, NodeId node, const fuse_open_in& in) {
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  const int flags = HostFlags(in.flags);
  if (options_.read_only && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0)) return Errno(EROFS);
  Result<UniqueFd> fd = Errno(EIO);
  {
    const ScopedKillPriv kill((in.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0, inode->fd(), HostGroupOf(ctx));
    fd = Reopen(inode->fd(), S_IFREG, flags & ~O_NONBLOCK);
  }
  if (!fd.ok()) return fd.error();
  if ((flags & O_TRUNC) != 0) (*inode)->known_size.store(0, std::memory_order_relaxed);
  return OpenReply(*inode, *std::move(fd));
}

Result<size_t> PassthroughFs::Read(const RequestContext& /*ctx*/, NodeId node, const fuse_read_in& in,
                                   memory::IovWriter* out) {
  const Result<std::shared_ptr<Handle>> handle = FindFile(FileHandle(in.fh), node);
  if (!handle.ok()) return handle.error();
  Inode& inode = *(*handle)->inode();
  inode.reads.fetch_add(1, std::memory_order_relaxed);
  if (!IsFileRange(in.offset, in.size)) return Errno(EINVAL);
  if (observer_ != nullptr) observer_->Read(inode.ForObserver(), FileOffset(in.offset), ByteCount(in.size));
  std::vector<iovec> buffers = out->Peek(in.size);
  std::span<iovec> left(buffers);
  size_t done = 0;
  // A short answer means end of file to the guest, so it must be one: go on until preadv says 0.
  while (!left.empty()) {
    const ssize_t n = preadv((*handle)->fd(), left.data(), ForOneCall(left), static_cast<off_t>(in.offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Errno::Last();
    if (n == 0) break;
    done += static_cast<size_t>(n);
    left = Behind(left, static_cast<size_t>(n));
  }
  out->Advance(done);
  return done;
}

Result<size_t> PassthroughFs::Write(const RequestContext& ctx, NodeId node, const fuse_write_in& in,
                                    memory::IovReader* data) {
  const Result<std::shared_ptr<Handle>> handle = FindFile(FileHandle(in.fh), node);
  if (!handle.ok()) return handle.error();
  Inode& inode = *(*handle)->inode();
  inode.writes.fetch_add(1, std::memory_order_relaxed);
  if (options_.read_only) return Errno(EROFS);
  if (!IsFileRange(in.offset, in.size)) return Errno(EFBIG);
  if (observer_ != nullptr) observer_->Write(inode.ForObserver(), FileOffset(in.offset), ByteCount(in.size));
  std::vector<iovec> buffers = data->Take(in.size);
  std::span<iovec> left(buffers);
  // Appending is decided per write: the guest also writes back pages, at their own offsets, through whatever handle it
  // finds, one opened with O_APPEND included. A client that collects writes knows alone where the file ends.
  const bool append =
      (in.flags & O_APPEND) != 0 && (in.write_flags & FUSE_WRITE_CACHE) == 0 && !Granted(FUSE_WRITEBACK_CACHE);
  const ScopedKillPriv kill((in.write_flags & FUSE_WRITE_KILL_SUIDGID) != 0, (*handle)->fd(), HostGroupOf(ctx));
  size_t done = 0;
  Errno error;
  while (!left.empty()) {
    const ssize_t n = pwritev2((*handle)->fd(), left.data(), ForOneCall(left), static_cast<off_t>(in.offset + done),
                               append ? RWF_APPEND : 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) error = Errno::Last();
    if (n <= 0) break;
    done += static_cast<size_t>(n);
    left = Behind(left, static_cast<size_t>(n));
  }
  if (done == 0 && !error.ok()) return error;
  // The client counts from where it took the end to be, also where the host has truncated the file meanwhile.
  uint64_t end = in.offset + done;
  struct stat st;
  if (append && fstat((*handle)->fd(), &st) == 0) end = std::max(end, static_cast<uint64_t>(st.st_size));
  if (done != 0) NoteSize(inode, end);
  return done;
}

Errno PassthroughFs::Release(const RequestContext& /*ctx*/, NodeId node, const fuse_release_in& in) {
  InodePtr inode;
  {
    const Result<std::shared_ptr<Handle>> handle = FindFile(FileHandle(in.fh), node);
    if (!handle.ok()) return Errno(EBADF);
    inode = (*handle)->inode();
  }
  if (!handles_.Remove(FileHandle(in.fh), node)) return Errno(EBADF);
  if (observer_ != nullptr && inode->open_handles.load(std::memory_order_relaxed) == 0) {
    observer_->Closed(inode->ForObserver());
  }
  return kOk;
}

Errno PassthroughFs::Flush(const RequestContext& /*ctx*/, NodeId node, FileHandle fh) {
  const Result<std::shared_ptr<Handle>> handle = FindFile(fh, node);
  if (!handle.ok()) return handle.error();
  // Closing a duplicate runs the host file system's flush, whose error is the guest's close(2)'s.
  const int duplicate = fcntl((*handle)->fd(), F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) return ErrnoOfOpen();
  return close(duplicate) == 0 || errno == EINTR ? kOk : Errno::Last();
}

Errno PassthroughFs::Fsync(const RequestContext& /*ctx*/, NodeId node, const fuse_fsync_in& in) {
  const Result<std::shared_ptr<Handle>> handle = FindFile(FileHandle(in.fh), node);
  if (!handle.ok()) return handle.error();
  // Writes back what guests stored through mappings, too.
  const bool data_only = (in.fsync_flags & FUSE_FSYNC_FDATASYNC) != 0;
  const int rc = data_only ? fdatasync((*handle)->fd()) : fsync((*handle)->fd());
  return rc == 0 ? kOk : Errno::Last();
}

Errno PassthroughFs::Fallocate(const RequestContext& ctx, NodeId node, const fuse_fallocate_in& in) {
  const Result<std::shared_ptr<Handle>> handle = FindFile(FileHandle(in.fh), node);
  if (!handle.ok()) return handle.error();
  if (options_.read_only) return Errno(EROFS);
  if (!IsFileRange(in.offset, in.length)) return Errno(EFBIG);
  const ScopedKillPriv kill(KillsPriv(ctx), (*handle)->fd(), HostGroupOf(ctx));
  if (fallocate((*handle)->fd(), static_cast<int>(in.mode), static_cast<off_t>(in.offset),
                static_cast<off_t>(in.length)) != 0) {
    return Errno::Last();
  }
  struct stat st;
  if (fstat((*handle)->fd(), &st) == 0) NoteSize(*(*handle)->inode(), static_cast<uint64_t>(st.st_size));
  return kOk;
}

Result<uint64_t> PassthroughFs::Lseek(const RequestContext& /*ctx*/, NodeId node, const fuse_lseek_in& in) {
  const Result<std::shared_ptr<Handle>> handle = FindFile(FileHandle(in.fh), node);
  if (!handle.ok()) return handle.error();
  // The others are the guest's own arithmetic, relative to a position that only the guest knows.
  if (in.whence != SEEK_DATA && in.whence != SEEK_HOLE) return Errno(EINVAL);
  const off_t at = lseek((*handle)->fd(), static_cast<off_t>(in.offset), static_cast<int>(in.whence));
  if (at < 0) return Errno::Last();
  return static_cast<uint64_t>(at);
}

Result<size_t> PassthroughFs::CopyFileRange(const RequestContext& ctx, NodeId node, const fuse_copy_file_range_in& in) {
  const Result<std::shared_ptr<Handle>> from = FindFile(FileHandle(in.fh_in), node);
  if (!from.ok()) return from.error();
  const Result<std::shared_ptr<Handle>> to = FindFile(FileHandle(in.fh_out), NodeId(in.nodeid_out));
  if (!to.ok()) return to.error();
  if (options_.read_only) return Errno(EROFS);
  if (in.flags != 0 || in.off_in > INT64_MAX || in.off_out > INT64_MAX) return Errno(EINVAL);
  // The reply has 32 bits for the count, and one request must not hold its thread for ever; the guest asks again.
  constexpr uint64_t kMost = uint64_t{1} << 30;
  off_t off_in = static_cast<off_t>(in.off_in);
  off_t off_out = static_cast<off_t>(in.off_out);
  const ScopedKillPriv kill(KillsPriv(ctx), (*to)->fd(), HostGroupOf(ctx));
  const ssize_t n =
      copy_file_range((*from)->fd(), &off_in, (*to)->fd(), &off_out, static_cast<size_t>(std::min(in.len, kMost)), 0);
  if (n < 0) return Errno::Last();
  if (n > 0) NoteSize(*(*to)->inode(), static_cast<uint64_t>(off_out));
  return static_cast<size_t>(n);
}

Errno PassthroughFs::SyncFs(const RequestContext& /*ctx*/, NodeId node) {
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  // syncfs(2) refuses O_PATH descriptors. Linux names the root of the share, or of a submount.
  const int dir = (*inode)->is_directory() ? inode->fd() : inodes_.root_fd();
  const Result<UniqueFd> fd = Reopen(dir, S_IFDIR, O_RDONLY);
  if (!fd.ok()) return fd.error();
  return syncfs((*fd).get()) == 0 ? kOk : Errno::Last();
}

}  // namespace daxvmm::fs
