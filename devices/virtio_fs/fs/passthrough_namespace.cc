// Names: looking them up, moving, linking and removing them. Every system call here takes a held directory and one
// component, which cannot lead out of the share.
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
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

std::optional<InodeKey> KeyOfChild(int dir, const std::string& name) {
  const Result<UniqueFd> fd = OpenChild(dir, name);
  if (!fd.ok()) return std::nullopt;
  const Result<struct statx> stx = StatInode((*fd).get());
  if (!stx.ok()) return std::nullopt;
  return KeyOf(*stx);
}

}  // namespace

Result<fuse_entry_out> PassthroughFs::MakeEntry(const RequestContext& ctx, UniqueFd fd, NodeId parent,
                                                const std::string& name) {
  const Result<struct statx> stx = StatInode(fd.get());
  if (!stx.ok()) return stx.error();
  // The reference is taken last: nothing after it may fail.
  Result<InodeTable::Acquired> acquired = inodes_.Acquire(std::move(fd), *stx, parent, name);
  if (!acquired.ok()) return acquired.error();
  fuse_entry_out out = {};
  out.nodeid = acquired->inode->id().raw();  // never used twice: the generation can stay 0
  out.entry_valid = static_cast<uint64_t>(entry_valid_.tv_sec);
  out.entry_valid_nsec = static_cast<uint32_t>(entry_valid_.tv_nsec);
  out.attr_valid = static_cast<uint64_t>(attr_valid_.tv_sec);
  out.attr_valid_nsec = static_cast<uint32_t>(attr_valid_.tv_nsec);
  out.attr = MakeAttr(ctx, acquired->inode, *stx, fuse::AttrReply::kEntry);
  return out;
}

Result<fuse_entry_out> PassthroughFs::Lookup(const RequestContext& ctx, NodeId parent, absl::string_view name) {
  const Result<PinnedInode> dir = FindDirectory(parent);
  if (!dir.ok()) return dir.error();
  const std::string child(name);
  Result<UniqueFd> fd = OpenChild(dir->fd(), child);
  if (!fd.ok()) return fd.error();
  return MakeEntry(ctx, *std::move(fd), parent, child);
}

Result<std::string> PassthroughFs::ReadLink(const RequestContext& /*ctx*/, NodeId node) {
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  std::string target(PATH_MAX, '\0');
  const ssize_t length = readlinkat(inode->fd(), "", target.data(), target.size());
  // readlinkat says ENOENT where the descriptor is not a symbolic link's; the answer for that is EINVAL.
  if (length < 0) return errno == ENOENT ? Errno(EINVAL) : Errno::Last();
  target.resize(static_cast<size_t>(length));
  return target;
}

std::optional<PinnedInode> PassthroughFs::PinBeforeRemoval(const PinnedInode& dir, const std::string& name) {
  if (!inodes_.uses_handles()) return std::nullopt;  // every inode has its descriptor
  Result<UniqueFd> fd = OpenChild(dir.fd(), name);
  if (!fd.ok()) return std::nullopt;
  const Result<struct statx> stx = StatInode((*fd).get());
  if (!stx.ok()) return std::nullopt;
  return inodes_.PinKnown(*std::move(fd), *stx);
}

Errno PassthroughFs::Unlink(const RequestContext& /*ctx*/, NodeId parent, absl::string_view name) {
  const Result<PinnedInode> dir = FindWritableDirectory(parent);
  if (!dir.ok()) return dir.error();
  const std::string child(name);
  if (!IsPlainName(child)) return Errno(EINVAL);
  const std::optional<PinnedInode> kept = PinBeforeRemoval(*dir, child);
  return unlinkat(dir->fd(), child.c_str(), 0) == 0 ? kOk : Errno::Last();
}

Errno PassthroughFs::RmDir(const RequestContext& /*ctx*/, NodeId parent, absl::string_view name) {
  const Result<PinnedInode> dir = FindWritableDirectory(parent);
  if (!dir.ok()) return dir.error();
  const std::string child(name);
  if (!IsPlainName(child)) return Errno(EINVAL);
  const std::optional<PinnedInode> kept = PinBeforeRemoval(*dir, child);
  return unlinkat(dir->fd(), child.c_str(), AT_REMOVEDIR) == 0 ? kOk : Errno::Last();
}

Errno PassthroughFs::Rename(const RequestContext& ctx, NodeId parent, absl::string_view name, NodeId new_parent,
                            absl::string_view new_name, uint32_t flags) {
  if ((flags & ~uint32_t{RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT}) != 0) return Errno(EINVAL);
  const Result<PinnedInode> dir = FindWritableDirectory(parent);
  if (!dir.ok()) return dir.error();
  const Result<PinnedInode> new_dir = FindWritableDirectory(new_parent);
  if (!new_dir.ok()) return new_dir.error();
  const std::string from(name), to(new_name);
  if (!IsPlainName(from) || !IsPlainName(to)) return Errno(EINVAL);
  // Only for the paths that policies and lists know: a race with the host makes a wrong one, nothing else.
  const std::optional<InodeKey> moved = KeyOfChild(dir->fd(), from);
  const std::optional<InodeKey> exchanged =
      (flags & RENAME_EXCHANGE) != 0 ? KeyOfChild(new_dir->fd(), to) : std::nullopt;
  std::optional<PinnedInode> kept;
  if ((flags & (RENAME_EXCHANGE | RENAME_NOREPLACE)) == 0) kept = PinBeforeRemoval(*new_dir, to);
  const auto rename = [&] { return renameat2(dir->fd(), from.c_str(), new_dir->fd(), to.c_str(), flags); };
  if ((flags & RENAME_WHITEOUT) != 0) {
    // A whiteout is a new inode, made in the caller's name; a plain rename makes nothing.
    const Result<HostIdentity> who = IdentityOf(ctx, *dir);
    if (!who.ok()) return who.error();
    if (const Errno error = CallAs(*who, /*mask=*/0, rename); !error.ok()) return error;
  } else if (rename() != 0) {
    return Errno::Last();
  }
  if (moved.has_value()) NoteRenamed(inodes_.Moved(*moved, new_parent, to));
  if (exchanged.has_value()) NoteRenamed(inodes_.Moved(*exchanged, parent, from));
  return kOk;
}

void PassthroughFs::NoteRenamed(const InodePtr& inode) const {
  if (inode != nullptr && observer_ != nullptr) observer_->Renamed(inode->ForObserver(), inode->is_directory());
}

Result<fuse_entry_out> PassthroughFs::Link(const RequestContext& ctx, NodeId node, NodeId new_parent,
                                           absl::string_view new_name) {
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  const Result<PinnedInode> dir = FindWritableDirectory(new_parent);
  if (!dir.ok()) return dir.error();
  const std::string child(new_name);
  if (!IsPlainName(child)) return Errno(EINVAL);
  // For the reply's reference: the inode that is held, not whatever the new name leads to by then.
  UniqueFd fd(fcntl(inode->fd(), F_DUPFD_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoOfOpen();
  if (linkat(AT_FDCWD, ProcPath(inode->fd()).c_str(), dir->fd(), child.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    return Errno::Last();
  }
  const Result<fuse_entry_out> entry = MakeEntry(ctx, std::move(fd), new_parent, child);
  // Its first name, if it was made without one.
  if (entry.ok() && entry->attr.nlink == 1) NoteRenamed(inodes_.Moved((*inode)->key(), new_parent, child));
  return entry;
}

}  // namespace daxvmm::fs
