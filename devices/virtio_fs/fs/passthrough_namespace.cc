// Names: looking them up, making, moving and removing them. Every system call here takes a held directory and one
// component, which cannot lead out of the share.
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
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

// The inverse of what attributes carry (new_decode_dev, include/linux/kdev_t.h).
dev_t DecodeDevice(uint32_t device) {
  return makedev((device & 0xfff00) >> 8, (device & 0xff) | ((device >> 12) & 0xfff00));
}

// Runs `make` (a system call: negative and errno on failure) in the caller's name.
template <typename Function>
Errno MakeAs(const RequestContext& ctx, Function make) {
  const ScopedNoUmask no_umask;
  const ScopedCredentials credentials(ctx);
  if (!credentials.error().ok()) return credentials.error();
  return make() < 0 ? Errno::Last() : kOk;
}

std::optional<InodeKey> KeyOfChild(int dir, const std::string& name) {
  const Result<UniqueFd> fd = OpenChild(dir, name);
  if (!fd.ok()) return std::nullopt;
  const Result<struct statx> stx = StatInode((*fd).get());
  if (!stx.ok()) return std::nullopt;
  return KeyOf(*stx);
}

// How often a name may change between "exists" and "does not" under a CREATE before it is given up.
constexpr int kCreateAttempts = 8;

struct OpenedFile {
  UniqueFd io;
  UniqueFd path;
};

Result<OpenedFile> CreateNew(const RequestContext& ctx, int dir, const std::string& name, int flags, mode_t mode) {
  const ScopedNoUmask no_umask;
  Result<UniqueFd> io = Errno(EIO);
  {
    const ScopedCredentials credentials(ctx);
    if (!credentials.error().ok()) return credentials.error();
    io = CreateFile(dir, name, flags, mode);
  }
  if (!io.ok()) return io.error();
  Result<UniqueFd> path = PathDescriptor((*io).get());
  if (!path.ok()) return path.error();
  return OpenedFile{*std::move(io), *std::move(path)};
}

// Whether the mode bits let the caller open the file like that; a caller's supplementary groups are not known here.
bool ModeAllows(const RequestContext& ctx, const struct statx& stx, int flags) {
  if (ctx.uid == 0) return true;
  constexpr unsigned kRead = 4;
  constexpr unsigned kWrite = 2;
  const unsigned read = (flags & O_ACCMODE) != O_WRONLY ? kRead : 0;
  const unsigned write = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0 ? kWrite : 0;
  const unsigned shift = ctx.uid == stx.stx_uid ? 6 : ctx.gid == stx.stx_gid ? 3 : 0;
  return ((read | write) & ~(unsigned{stx.stx_mode} >> shift)) == 0;
}

// The client saw no file of that name, so it has not checked whether the caller may open this one, which came since.
// ESTALE makes Linux look the name up again and check (do_filp_open in fs/namei.c, 6.1).
Result<OpenedFile> OpenExisting(const RequestContext& ctx, int dir, const std::string& name, int flags) {
  Result<UniqueFd> path = OpenChild(dir, name);
  if (!path.ok()) return path.error();
  const Result<struct statx> stx = StatInode((*path).get());
  if (!stx.ok()) return stx.error();
  if (S_ISREG(stx->stx_mode) && !ModeAllows(ctx, *stx, flags)) return Errno(ESTALE);
  Result<UniqueFd> io = Reopen((*path).get(), S_IFREG, flags);
  if (!io.ok()) return io.error();
  return OpenedFile{*std::move(io), *std::move(path)};
}

// O_CREAT without O_EXCL, as two steps: an open that may create would open whatever lies there, a FIFO for instance.
Result<OpenedFile> CreateOrOpen(const RequestContext& ctx, int dir, const std::string& name, int flags, mode_t mode) {
  Result<OpenedFile> file = Errno(EIO);
  for (int i = 0; i < kCreateAttempts; ++i) {
    file = CreateNew(ctx, dir, name, flags, mode);
    if (file.ok() || file.error() != Errno(EEXIST) || (flags & O_EXCL) != 0) break;
    file = OpenExisting(ctx, dir, name, flags);
    if (file.ok() || file.error() != Errno(ENOENT)) break;
  }
  return file;
}

}  // namespace

Result<fuse_entry_out> PassthroughFs::MakeEntry(UniqueFd fd, NodeId parent, const std::string& name) {
  const Result<struct statx> stx = StatInode(fd.get());
  if (!stx.ok()) return stx.error();
  // The reference is taken last: nothing after it may fail.
  Result<InodeTable::Acquired> acquired = inodes_.Acquire(std::move(fd), *stx, parent, name);
  if (!acquired.ok()) return acquired.error();
  fuse_entry_out out = {};
  out.nodeid = acquired->inode->id().raw();
  out.entry_valid = static_cast<uint64_t>(entry_valid_.tv_sec);
  out.entry_valid_nsec = static_cast<uint32_t>(entry_valid_.tv_nsec);
  out.attr_valid = static_cast<uint64_t>(attr_valid_.tv_sec);
  out.attr_valid_nsec = static_cast<uint32_t>(attr_valid_.tv_nsec);
  out.attr = MakeAttr(acquired->inode, *stx, fuse::AttrReply::kEntry, acquired->first);
  // A guest that guesses the id may have forgotten it before the observer heard of it, from another queue. What the
  // observer keeps of it would then stay for the rest of the session, and more with each such race.
  if (acquired->first && observer_ != nullptr && inodes_.Find(acquired->inode->id()) == nullptr) {
    observer_->Forgotten(acquired->inode->id());
  }
  return out;
}

Result<fuse_entry_out> PassthroughFs::EntryOfNew(const PinnedInode& parent, const std::string& name, mode_t type) {
  Result<UniqueFd> fd = OpenChild(parent.fd(), name);
  if (!fd.ok()) return fd.error();
  struct stat st;
  if (fstat((*fd).get(), &st) != 0) return Errno::Last();
  if ((st.st_mode & S_IFMT) != type) return Errno(EIO);
  return MakeEntry(*std::move(fd), parent->id(), name);
}

Result<fuse_entry_out> PassthroughFs::Lookup(const RequestContext& /*ctx*/, NodeId parent, absl::string_view name) {
  const Result<PinnedInode> dir = FindDirectory(parent);
  if (!dir.ok()) return dir.error();
  const std::string child(name);
  Result<UniqueFd> fd = OpenChild(dir->fd(), child);
  if (!fd.ok()) return fd.error();
  return MakeEntry(*std::move(fd), parent, child);
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

Result<fuse_entry_out> PassthroughFs::SymLink(const RequestContext& ctx, NodeId parent, absl::string_view name,
                                              absl::string_view target) {
  const Result<PinnedInode> dir = FindWritableDirectory(parent);
  if (!dir.ok()) return dir.error();
  const std::string child(name), to(target);
  if (!IsPlainName(child)) return Errno(EINVAL);
  const Errno error = MakeAs(ctx, [&] { return symlinkat(to.c_str(), dir->fd(), child.c_str()); });
  if (!error.ok()) return error;
  return EntryOfNew(*dir, child, S_IFLNK);
}

Result<fuse_entry_out> PassthroughFs::MkNod(const RequestContext& ctx, NodeId parent, absl::string_view name,
                                            const fuse_mknod_in& in) {
  const Result<PinnedInode> dir = FindWritableDirectory(parent);
  if (!dir.ok()) return dir.error();
  const std::string child(name);
  if (!IsPlainName(child)) return Errno(EINVAL);
  const mode_t type = (in.mode & S_IFMT) == 0 ? S_IFREG : in.mode & S_IFMT;
  if (type == S_IFREG) {
    Result<OpenedFile> file = CreateNew(ctx, dir->fd(), child, O_RDONLY, in.mode);
    if (!file.ok()) return file.error();
    return MakeEntry(std::move(file->path), parent, child);
  }
  if (type == S_IFDIR || type == S_IFLNK) return Errno(EINVAL);
  const Errno error = MakeAs(
      ctx, [&] { return mknodat(dir->fd(), child.c_str(), type | (in.mode & 07777), DecodeDevice(in.rdev)); });
  if (!error.ok()) return error;
  return EntryOfNew(*dir, child, type);
}

Result<fuse_entry_out> PassthroughFs::MkDir(const RequestContext& ctx, NodeId parent, absl::string_view name,
                                            const fuse_mkdir_in& in) {
  const Result<PinnedInode> dir = FindWritableDirectory(parent);
  if (!dir.ok()) return dir.error();
  const std::string child(name);
  if (!IsPlainName(child)) return Errno(EINVAL);
  const Errno error = MakeAs(ctx, [&] { return mkdirat(dir->fd(), child.c_str(), in.mode & 07777); });
  if (!error.ok()) return error;
  return EntryOfNew(*dir, child, S_IFDIR);
}

Errno PassthroughFs::Unlink(const RequestContext& /*ctx*/, NodeId parent, absl::string_view name) {
  const Result<PinnedInode> dir = FindWritableDirectory(parent);
  if (!dir.ok()) return dir.error();
  const std::string child(name);
  if (!IsPlainName(child)) return Errno(EINVAL);
  return unlinkat(dir->fd(), child.c_str(), 0) == 0 ? kOk : Errno::Last();
}

Errno PassthroughFs::RmDir(const RequestContext& /*ctx*/, NodeId parent, absl::string_view name) {
  const Result<PinnedInode> dir = FindWritableDirectory(parent);
  if (!dir.ok()) return dir.error();
  const std::string child(name);
  if (!IsPlainName(child)) return Errno(EINVAL);
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
  // Only for the names that the operator is shown: a race with the host makes a wrong label, nothing else.
  const std::optional<InodeKey> moved = KeyOfChild(dir->fd(), from);
  const std::optional<InodeKey> exchanged =
      (flags & RENAME_EXCHANGE) != 0 ? KeyOfChild(new_dir->fd(), to) : std::nullopt;
  const auto rename = [&] { return renameat2(dir->fd(), from.c_str(), new_dir->fd(), to.c_str(), flags); };
  // A whiteout is a new inode, made in the caller's name; a plain rename makes nothing.
  const Errno error = (flags & RENAME_WHITEOUT) != 0 ? MakeAs(ctx, rename) : rename() == 0 ? kOk : Errno::Last();
  if (!error.ok()) return error;
  if (moved.has_value()) inodes_.Moved(*moved, new_parent, to);
  if (exchanged.has_value()) inodes_.Moved(*exchanged, parent, from);
  return kOk;
}

Result<fuse_entry_out> PassthroughFs::Link(const RequestContext& /*ctx*/, NodeId node, NodeId new_parent,
                                           absl::string_view new_name) {
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  const Result<PinnedInode> dir = FindWritableDirectory(new_parent);
  if (!dir.ok()) return dir.error();
  const std::string child(new_name);
  if (!IsPlainName(child)) return Errno(EINVAL);
  // For the reply's reference: the inode that is held, not whatever the new name leads to by then.
  UniqueFd fd(fcntl(inode->fd(), F_DUPFD_CLOEXEC, 0));
  if (!fd.valid()) return Errno::Last();
  if (linkat(AT_FDCWD, ProcPath(inode->fd()).c_str(), dir->fd(), child.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    return Errno::Last();
  }
  return MakeEntry(std::move(fd), new_parent, child);
}

Result<fuse::CreateReply> PassthroughFs::Create(const RequestContext& ctx, NodeId parent, absl::string_view name,
                                                const fuse_create_in& in) {
  const Result<PinnedInode> dir = FindWritableDirectory(parent);
  if (!dir.ok()) return dir.error();
  const std::string child(name);
  Result<OpenedFile> file = Errno(EIO);
  {
    const ScopedKillPriv kill((in.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0);
    file = CreateOrOpen(ctx, dir->fd(), child, static_cast<int>(in.flags), in.mode);
  }
  if (!file.ok()) return file.error();
  const Result<fuse_entry_out> entry = MakeEntry(std::move(file->path), parent, child);
  if (!entry.ok()) return entry.error();
  const NodeId node(entry->nodeid);
  const Result<PinnedInode> inode = inodes_.Pin(node);
  const Result<fuse_open_out> open =
      inode.ok() ? OpenReply(*inode, std::move(file->io), /*may_keep_cache=*/true) : Errno(EIO);
  if (!open.ok()) {
    Forget(node, 1);  // the guest never learns of the reference
    return open.error();
  }
  return fuse::CreateReply{*entry, *open};
}

Result<fuse::CreateReply> PassthroughFs::TmpFile(const RequestContext& /*ctx*/, NodeId /*parent*/,
                                                 const fuse_create_in& /*in*/) {
  return Errno(EOPNOTSUPP);
}

}  // namespace daxvmm::fs
