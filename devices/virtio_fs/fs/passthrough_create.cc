// Making inodes: as the caller, under its umask, and with its labels.
//
// Labels (FUSE_SECURITY_CTX) are set on the held descriptor right after creation, by the server, under the name that
// the share's xattr rules give. What cannot be labelled is removed again, and the guest gets the error, with one
// exception: where there are no such attributes (EOPNOTSUPP, or a rule that leads them to user.*, which only files and
// directories have) the inode stays unlabelled, as on any file system without labels in Linux; otherwise a guest with a
// security module could make nothing there at all. A detour over
// a nameless file, labelled before it is linked, would close the moment in which the host sees the name without label;
// but not every file system has O_TMPFILE, and nothing but regular files could take it.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

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

// A name that was just made, until the guest is told of it: unless kept, it is removed again. Only what was made is, as
// far as can be told: someone on the host may have put something else in its place.
class NewName {
 public:
  NewName(int dir, const std::string& name, mode_t type) : dir_(dir), name_(name), type_(type) {}
  ~NewName() {
    struct stat st;
    if (kept_ || fstatat(dir_, name_.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 || (st.st_mode & S_IFMT) != type_) return;
    if (known_ && (st.st_dev != device_ || st.st_ino != inode_)) return;
    unlinkat(dir_, name_.c_str(), S_ISDIR(type_) ? AT_REMOVEDIR : 0);
  }
  NewName(const NewName&) = delete;
  NewName& operator=(const NewName&) = delete;

  void IsInode(const struct stat& st) {
    known_ = true;
    device_ = st.st_dev;
    inode_ = st.st_ino;
  }
  void Keep() { kept_ = true; }

 private:
  const int dir_;
  const std::string& name_;
  const mode_t type_;
  bool known_ = false;
  bool kept_ = false;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// How often a name may change between "exists" and "does not" under a CREATE before it is given up.
constexpr int kCreateAttempts = 8;

struct OpenedFile {
  UniqueFd io;
  UniqueFd path;
  bool created = false;
};

// A regular file that is wanted: who makes it, and how.
struct FileToMake {
  HostIdentity who;
  mode_t umask = 0;
  mode_t mode = 0;
  int flags = 0;
};

Result<OpenedFile> CreateNew(int dir, const std::string& name, const FileToMake& wanted) {
  Result<UniqueFd> io = Errno(EIO);
  const Errno error = CallAs(wanted.who, wanted.umask, [&] {
    io = CreateFile(dir, name, wanted.flags, wanted.mode);
    return 0;
  });
  if (!error.ok()) return error;
  if (!io.ok()) return io.error();
  Result<UniqueFd> path = PathDescriptor((*io).get());
  if (!path.ok()) {
    NewName made(dir, name, S_IFREG);
    if (struct stat st; fstat((*io).get(), &st) == 0) made.IsInode(st);
    return path.error();
  }
  return OpenedFile{*std::move(io), *std::move(path), /*created=*/true};
}

// Whether the mode bits let the caller open the file like that; a caller's supplementary groups are not known here.
bool ModeAllows(const HostIdentity& who, const struct statx& stx, int flags) {
  if (who.uid == 0) return true;
  constexpr unsigned kRead = 4;
  constexpr unsigned kWrite = 2;
  const unsigned read = (flags & O_ACCMODE) != O_WRONLY ? kRead : 0;
  const unsigned write = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0 ? kWrite : 0;
  const unsigned shift = who.uid == stx.stx_uid ? 6 : who.gid == stx.stx_gid ? 3 : 0;
  return ((read | write) & ~(unsigned{stx.stx_mode} >> shift)) == 0;
}

// The client saw no file of that name, so it has not checked whether the caller may open this one, which came since.
// ESTALE makes Linux look the name up again and check (do_filp_open in fs/namei.c, 6.1).
Result<OpenedFile> OpenExisting(int dir, const std::string& name, const FileToMake& wanted) {
  Result<UniqueFd> path = OpenChild(dir, name);
  if (!path.ok()) return path.error();
  const Result<struct statx> stx = StatInode((*path).get());
  if (!stx.ok()) return stx.error();
  if (S_ISREG(stx->stx_mode) && !ModeAllows(wanted.who, *stx, wanted.flags)) return Errno(ESTALE);
  Result<UniqueFd> io = Reopen((*path).get(), S_IFREG, wanted.flags);
  if (!io.ok()) return io.error();
  return OpenedFile{*std::move(io), *std::move(path), /*created=*/false};
}

// O_CREAT without O_EXCL, as two steps: an open that may create would open whatever lies there, a FIFO for instance.
Result<OpenedFile> CreateOrOpen(int dir, const std::string& name, const FileToMake& wanted) {
  Result<OpenedFile> file = Errno(EIO);
  for (int i = 0; i < kCreateAttempts; ++i) {
    file = CreateNew(dir, name, wanted);
    if (file.ok() || file.error() != Errno(EEXIST) || (wanted.flags & O_EXCL) != 0) break;
    file = OpenExisting(dir, name, wanted);
    if (file.ok() || file.error() != Errno(ENOENT)) break;
  }
  return file;
}

}  // namespace

Result<HostIdentity> PassthroughFs::IdentityOf(const RequestContext& ctx, const PinnedInode& dir) const {
  const std::optional<uint32_t> uid = options_.uid_map.ToHost(ctx.uid);
  const std::optional<uint32_t> gid = options_.gid_map.ToHost(ctx.gid);
  if (!uid.has_value() || !gid.has_value()) return Errno(EOVERFLOW);
  HostIdentity who{.uid = *uid, .gid = *gid};
  if (ctx.supplementary_group.has_value()) {
    // Any other group than the directory's could only have been its group until a moment ago, and is of no use.
    const std::optional<uint32_t> group = options_.gid_map.ToHost(*ctx.supplementary_group);
    struct stat st;
    if (group.has_value() && fstat(dir.fd(), &st) == 0 && st.st_gid == *group) who.group = group;
  }
  return who;
}

gid_t PassthroughFs::HostGroupOf(const RequestContext& ctx) const {
  return options_.gid_map.ToHost(ctx.gid).value_or(kOverflowId);
}

mode_t PassthroughFs::UmaskFor(uint32_t umask) const { return Granted(FUSE_DONT_MASK) ? umask & 0777 : 0; }

Result<fuse_entry_out> PassthroughFs::EntryOfNew(const RequestContext& ctx, const PinnedInode& parent,
                                                 const std::string& name, mode_t type, Result<UniqueFd> fd) {
  NewName made(parent.fd(), name, type);
  if (!fd.ok()) return fd.error();
  struct stat st;
  if (fstat((*fd).get(), &st) != 0) return Errno::Last();
  made.IsInode(st);
  if ((st.st_mode & S_IFMT) != type) return Errno(EIO);
  if (const Errno error = LabelNew(ctx, (*fd).get()); !error.ok()) return error;
  InheritHint(parent, (*fd).get(), type);
  const Result<fuse_entry_out> entry = MakeEntry(ctx, *std::move(fd), parent->id(), name);
  if (entry.ok()) made.Keep();
  return entry;
}

Result<fuse_entry_out> PassthroughFs::SymLink(const RequestContext& ctx, NodeId parent, absl::string_view name,
                                              absl::string_view target) {
  const Result<PinnedInode> dir = FindWritableDirectory(parent);
  if (!dir.ok()) return dir.error();
  const std::string child(name), to(target);
  if (!IsPlainName(child)) return Errno(EINVAL);
  const Result<HostIdentity> who = IdentityOf(ctx, *dir);
  if (!who.ok()) return who.error();
  const Errno error = CallAs(*who, /*mask=*/0, [&] { return symlinkat(to.c_str(), dir->fd(), child.c_str()); });
  if (!error.ok()) return error;
  return EntryOfNew(ctx, *dir, child, S_IFLNK, OpenChild(dir->fd(), child));
}

Result<fuse_entry_out> PassthroughFs::MkNod(const RequestContext& ctx, NodeId parent, absl::string_view name,
                                            const fuse_mknod_in& in) {
  const Result<PinnedInode> dir = FindWritableDirectory(parent);
  if (!dir.ok()) return dir.error();
  const std::string child(name);
  if (!IsPlainName(child)) return Errno(EINVAL);
  const mode_t type = (in.mode & S_IFMT) == 0 ? S_IFREG : in.mode & S_IFMT;
  if (type == S_IFDIR || type == S_IFLNK) return Errno(EINVAL);
  const Result<HostIdentity> who = IdentityOf(ctx, *dir);
  if (!who.ok()) return who.error();
  if (type == S_IFREG) {
    Result<OpenedFile> file =
        CreateNew(dir->fd(), child, {.who = *who, .umask = UmaskFor(in.umask), .mode = in.mode, .flags = O_RDONLY});
    if (!file.ok()) return file.error();
    return EntryOfNew(ctx, *dir, child, type, std::move(file->path));
  }
  const Errno error = CallAs(*who, UmaskFor(in.umask), [&] {
    return mknodat(dir->fd(), child.c_str(), type | (in.mode & 07777), DecodeDevice(in.rdev));
  });
  if (!error.ok()) return error;
  return EntryOfNew(ctx, *dir, child, type, OpenChild(dir->fd(), child));
}

Result<fuse_entry_out> PassthroughFs::MkDir(const RequestContext& ctx, NodeId parent, absl::string_view name,
                                            const fuse_mkdir_in& in) {
  const Result<PinnedInode> dir = FindWritableDirectory(parent);
  if (!dir.ok()) return dir.error();
  const std::string child(name);
  if (!IsPlainName(child)) return Errno(EINVAL);
  const Result<HostIdentity> who = IdentityOf(ctx, *dir);
  if (!who.ok()) return who.error();
  const Errno error =
      CallAs(*who, UmaskFor(in.umask), [&] { return mkdirat(dir->fd(), child.c_str(), in.mode & 07777); });
  if (!error.ok()) return error;
  return EntryOfNew(ctx, *dir, child, S_IFDIR, OpenChild(dir->fd(), child));
}

Result<fuse::CreateReply> PassthroughFs::ReplyToCreate(const RequestContext& ctx, UniqueFd io, UniqueFd path,
                                                       NodeId parent, const std::string& name) {
  const Result<fuse_entry_out> entry = MakeEntry(ctx, std::move(path), parent, name);
  if (!entry.ok()) return entry.error();
  const NodeId node(entry->nodeid);
  const Result<PinnedInode> inode = inodes_.Pin(node);
  const Result<fuse_open_out> open = inode.ok() ? OpenReply(*inode, std::move(io)) : Errno(EIO);
  if (!open.ok()) {
    TakeBack(node);
    return open.error();
  }
  return fuse::CreateReply{*entry, *open};
}

Result<fuse::CreateReply> PassthroughFs::Create(const RequestContext& ctx, NodeId parent, absl::string_view name,
                                                const fuse_create_in& in) {
  const Result<PinnedInode> dir = FindWritableDirectory(parent);
  if (!dir.ok()) return dir.error();
  const std::string child(name);
  const Result<HostIdentity> who = IdentityOf(ctx, *dir);
  if (!who.ok()) return who.error();
  Result<OpenedFile> file = Errno(EIO);
  {
    const ScopedKillPriv kill((in.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0);
    file = CreateOrOpen(dir->fd(), child,
                        {.who = *who, .umask = UmaskFor(in.umask), .mode = in.mode, .flags = HostFlags(in.flags)});
  }
  if (!file.ok()) return file.error();
  NewName made(dir->fd(), child, S_IFREG);
  if (!file->created) {
    made.Keep();
  } else {
    struct stat st;
    if (fstat(file->io.get(), &st) != 0) return Errno::Last();
    made.IsInode(st);
    if (const Errno error = LabelNew(ctx, file->path.get()); !error.ok()) return error;
    InheritHint(*dir, file->path.get(), S_IFREG);
  }
  Result<fuse::CreateReply> reply = ReplyToCreate(ctx, std::move(file->io), std::move(file->path), parent, child);
  if (reply.ok()) made.Keep();
  return reply;
}

// The file's name, until LINK gives it one, is for the operator's eyes only.
Result<fuse::CreateReply> PassthroughFs::TmpFile(const RequestContext& ctx, NodeId parent, const fuse_create_in& in) {
  const Result<PinnedInode> dir = FindWritableDirectory(parent);
  if (!dir.ok()) return dir.error();
  const Result<HostIdentity> who = IdentityOf(ctx, *dir);
  if (!who.ok()) return who.error();
  Result<UniqueFd> io = Errno(EIO);
  const Errno error = CallAs(*who, UmaskFor(in.umask), [&] {
    io = CreateUnnamed(dir->fd(), HostFlags(in.flags), in.mode);
    return 0;
  });
  if (!error.ok()) return error;
  if (!io.ok()) return io.error();
  Result<UniqueFd> path = PathDescriptor((*io).get());
  if (!path.ok()) return path.error();
  if (const Errno labelled = LabelNew(ctx, (*path).get()); !labelled.ok()) return labelled;
  InheritHint(*dir, (*path).get(), S_IFREG);
  return ReplyToCreate(ctx, *std::move(io), *std::move(path), parent, "(no name)");
}

}  // namespace daxvmm::fs
