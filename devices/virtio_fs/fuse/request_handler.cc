#include "devices/virtio_fs/fuse/request_handler.h"

#include <unistd.h>

#include <cstddef>
#include <string>
#include <vector>

#include "devices/virtio_fs/fuse/names.h"
#include "devices/virtio_fs/fuse/request_extensions.h"
#include "devices/virtio_fs/fuse/session.h"

namespace daxvmm::fuse {
namespace {

// XATTR_SIZE_MAX and XATTR_LIST_MAX of Linux: more is neither taken nor answered, whatever sizes a client names.
constexpr uint32_t kMaxXattr = 64 << 10;
// A client asks for one page (6.1) or a few; what is allocated for it is bounded here.
constexpr uint32_t kMaxDirBuffer = 128 << 10;
// FUSE_REMOVEMAPPING_MAX_ENTRY of Linux: a page of entries.
constexpr uint32_t kMaxRemovals = 256;
static_assert(kMaxRemovals * sizeof(fuse_removemapping_one) == 4096);

// The largest input and output of an ioctl; those that a client can reach take a few dozen bytes.
constexpr uint32_t kMaxIoctl = 4 << 10;

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

// Either would make a fault in the guest retry without end (fs/fuse/dax.c, mm/memory.c).
Errno ForFaultHandler(Errno error) { return error.value() == EAGAIN || error.value() == ENOMEM ? Errno(EIO) : error; }

}  // namespace

RequestHandler::RequestHandler(Dispatcher* dispatcher, const fuse_in_header& header,
                               std::chrono::steady_clock::time_point sent_after, RequestCounts* counts,
                               memory::IovReader* body, memory::IovWriter* payload)
    : dispatcher_(dispatcher),
      fs_(dispatcher->fs_),
      context_{.unique = header.unique,
               .uid = header.uid,
               .gid = header.gid,
               .pid = static_cast<pid_t>(header.pid),
               .sent_after = sent_after,
               .counts = counts},
      node_(header.nodeid),
      body_left_(header.len - static_cast<uint32_t>(sizeof(header))),
      extensions_size_(uint32_t{header.total_extlen} * 8),
      body_(body),
      payload_(payload) {}

Errno RequestHandler::Serve(const Op& op) {
  const size_t wanted = ArgumentSize(op);
  if (body_left_ < wanted) return Errno(EINVAL);
  if (!ReadBody(std::span(argument_).first(wanted))) return Errno(EFAULT);
  if (Errno error = DecodeNames(op); !error.ok()) return error;
  if (payload_->remaining() < op.reply_size && !op.Has(kNoReply)) return Errno(EIO);
  return (this->*op.serve)();
}

size_t RequestHandler::ArgumentSize(const Op& op) const {
  switch (op.opcode) {
    case FUSE_INIT:  // grew with 7.36: taken as far as it was sent
      return std::clamp<size_t>(body_left_, op.argument_size, sizeof(fuse_init_in));
    case FUSE_SETXATTR:
      return granted(FUSE_SETXATTR_EXT) ? sizeof(fuse_setxattr_in) : op.argument_size;
    default:
      return op.argument_size;
  }
}

bool RequestHandler::ReadBody(std::span<std::byte> to) {
  if (to.size() > body_left_ || !body_->Read(to)) return false;
  body_left_ -= static_cast<uint32_t>(to.size());
  return true;
}

Errno RequestHandler::DecodeNames(const Op& op) {
  if (op.names[0] == NameKind::kNone) return kOk;
  // Two strings and the extensions, or a name and a value.
  constexpr size_t kMaxStrings = kMaxName + 1 + kMaxTarget + 1 + std::max<size_t>(kMaxExtensions, kMaxXattr);
  const bool whole = body_left_ <= kMaxStrings;
  strings_.resize(std::min<size_t>(body_left_, kMaxStrings));
  if (!ReadBody(std::as_writable_bytes(std::span(strings_)))) return Errno(EFAULT);
  after_names_ = strings_;
  // Announced extensions are the last bytes of the request, and no string may reach into them.
  const bool announced = op.Has(kMakesInode) && extensions_size_ != 0;
  absl::string_view extensions;
  if (announced) {
    if (!whole || extensions_size_ > after_names_.size()) return Errno(EINVAL);
    extensions = after_names_.substr(after_names_.size() - extensions_size_);
    after_names_.remove_suffix(extensions_size_);
  }
  for (size_t i = 0; i < std::size(op.names) && op.names[i] != NameKind::kNone; ++i) {
    if (Errno error = TakeName(op.names[i], &after_names_, &names_[i]); !error.ok()) return error;
  }
  if (announced) {
    if (!after_names_.empty()) return Errno(EINVAL);
  } else if (op.Has(kMakesInode) && granted(FUSE_SECURITY_CTX)) {
    if (!whole) return Errno(EINVAL);
    extensions = after_names_;
  }
  return extensions.empty() ? kOk : DecodeExtensions(extensions, dispatcher_->granted_, &context_);
}

void RequestHandler::TakeBack() {
  // The client never knew the handle, so that whatever its release may fail of concerns nobody.
  if (gift_.handle && gift_.directory) {
    (void)fs_->ReleaseDir(context_, gift_.opened, *gift_.handle);
  } else if (gift_.handle) {
    fuse_release_in in = {};
    in.fh = gift_.handle->raw();
    (void)fs_->Release(context_, gift_.opened, in);
  }
  if (gift_.reference.raw() != 0) fs_->TakeBack(gift_.reference);
  if (!entries_) return;
  for (const NodeId node : entries_->References()) fs_->TakeBack(node);
}

Errno RequestHandler::Put(std::span<const std::byte> bytes) {
  if (bytes.size() > payload_->remaining()) return Errno(EIO);
  if (!payload_->Write(bytes)) return Errno(EFAULT);
  payload_size_ += bytes.size();
  return kOk;
}

Errno RequestHandler::PutEntry(const Result<fuse_entry_out>& entry) {
  if (entry.ok()) gift_.reference = NodeId(entry->nodeid);
  return PutResult(entry);
}

Errno RequestHandler::PutOpened(const Result<fuse_open_out>& open, bool directory) {
  if (open.ok()) {
    gift_.opened = node_;
    gift_.handle = FileHandle(open->fh);
    gift_.directory = directory;
  }
  return PutResult(open);
}

Errno RequestHandler::PutCreated(const Result<CreateReply>& created) {
  if (!created.ok()) return created.error();
  gift_.opened = NodeId(created->entry.nodeid);
  gift_.handle = FileHandle(created->open.fh);
  if (Errno error = PutEntry(created->entry); !error.ok()) return error;
  return PutObject(created->open);
}

Errno RequestHandler::PutXattr(const Result<std::string>& value) {
  if (!value.ok()) return value.error();
  if (value->size() > kMaxXattr) return Errno(E2BIG);
  const auto asked = Argument<fuse_getxattr_in>().size;
  if (asked == 0) return PutObject(fuse_getxattr_out{static_cast<uint32_t>(value->size()), 0});
  if (value->size() > asked) return Errno(ERANGE);
  return Put(Bytes(*value));
}

Errno RequestHandler::Lookup() { return PutEntry(fs_->Lookup(context_, node_, names_[0])); }

Errno RequestHandler::Forget() {
  fs_->Forget(node_, Argument<fuse_forget_in>().nlookup);
  return kOk;
}

Errno RequestHandler::BatchForget() {
  const auto count = Argument<fuse_batch_forget_in>().count;
  if (count > body_left_ / sizeof(fuse_forget_one)) return Errno(EINVAL);
  for (uint32_t i = 0; i < count; ++i) {
    fuse_forget_one one;
    if (!ReadBody(std::as_writable_bytes(std::span(&one, 1)))) return Errno(EFAULT);
    fs_->Forget(NodeId(one.nodeid), one.nlookup);
  }
  return kOk;
}

Errno RequestHandler::GetAttr() {
  const auto in = Argument<fuse_getattr_in>();
  std::optional<FileHandle> handle;
  if ((in.getattr_flags & FUSE_GETATTR_FH) != 0) handle = FileHandle(in.fh);
  return PutResult(fs_->GetAttr(context_, node_, handle));
}

Errno RequestHandler::SetAttr() { return PutResult(fs_->SetAttr(context_, node_, Argument<fuse_setattr_in>())); }

Errno RequestHandler::ReadLink() {
  const Result<std::string> target = fs_->ReadLink(context_, node_);
  return target.ok() ? Put(Bytes(*target)) : target.error();
}

Errno RequestHandler::SymLink() { return PutEntry(fs_->SymLink(context_, node_, names_[0], names_[1])); }

Errno RequestHandler::MkNod() { return PutEntry(fs_->MkNod(context_, node_, names_[0], Argument<fuse_mknod_in>())); }

Errno RequestHandler::MkDir() { return PutEntry(fs_->MkDir(context_, node_, names_[0], Argument<fuse_mkdir_in>())); }

Errno RequestHandler::Unlink() { return fs_->Unlink(context_, node_, names_[0]); }

Errno RequestHandler::RmDir() { return fs_->RmDir(context_, node_, names_[0]); }

Errno RequestHandler::Rename() {
  return fs_->Rename(context_, node_, names_[0], NodeId(Argument<fuse_rename_in>().newdir), names_[1], 0);
}

Errno RequestHandler::Rename2() {
  const auto in = Argument<fuse_rename2_in>();
  return fs_->Rename(context_, node_, names_[0], NodeId(in.newdir), names_[1], in.flags);
}

Errno RequestHandler::Link() {
  return PutEntry(fs_->Link(context_, NodeId(Argument<fuse_link_in>().oldnodeid), node_, names_[0]));
}

Errno RequestHandler::Open() {
  return PutOpened(fs_->Open(context_, node_, Argument<fuse_open_in>()), /*directory=*/false);
}

Errno RequestHandler::Access() {
  const auto mask = Argument<fuse_access_in>().mask;
  if ((mask & ~static_cast<uint32_t>(R_OK | W_OK | X_OK)) != 0) return Errno(EINVAL);
  return fs_->Access(context_, node_, mask);
}

Errno RequestHandler::Create() {
  return PutCreated(fs_->Create(context_, node_, names_[0], Argument<fuse_create_in>()));
}

// The string that comes along names nothing.
Errno RequestHandler::TmpFile() { return PutCreated(fs_->TmpFile(context_, node_, Argument<fuse_create_in>())); }

Errno RequestHandler::Ioctl() {
  const auto in = Argument<fuse_ioctl_in>();
  // An unrestricted one names memory of the caller's that the server is to ask for with FUSE_IOCTL_RETRY; Linux sends
  // such only to character devices (CUSE).
  if ((in.flags & FUSE_IOCTL_UNRESTRICTED) != 0) return Errno(ENOTTY);
  if (in.in_size > body_left_) return Errno(EINVAL);
  if (in.in_size > kMaxIoctl || in.out_size > kMaxIoctl) return Errno(ENOTTY);
  if (payload_->remaining() < sizeof(fuse_ioctl_out) + in.out_size) return Errno(EIO);
  std::string input(in.in_size, '\0');
  if (!ReadBody(std::as_writable_bytes(std::span(input)))) return Errno(EFAULT);
  const Result<std::string> output = fs_->Ioctl(context_, node_, in, input);
  if (!output.ok()) return output.error();
  if (output->size() > in.out_size) return Errno(EIO);
  if (Errno error = PutObject(fuse_ioctl_out{}); !error.ok()) return error;
  return Put(Bytes(*output));
}

Errno RequestHandler::Read() {
  const auto in = Argument<fuse_read_in>();
  // Fewer bytes than asked for would mean the file's end, so what does not fit is refused and not shortened.
  if (in.size > dispatcher_->options_.max_write.raw() || in.size > payload_->remaining()) return Errno(EINVAL);
  const Result<size_t> filled = fs_->Read(context_, node_, in, payload_);
  if (!filled.ok()) return filled.error();
  if (*filled > in.size) return Errno(EIO);
  payload_size_ = *filled;
  if (context_.counts != nullptr) context_.counts->Read(*filled);
  return kOk;
}

Errno RequestHandler::Write() {
  const auto in = Argument<fuse_write_in>();
  if (in.size > dispatcher_->options_.max_write.raw() || in.size > body_left_) return Errno(EINVAL);
  const Result<size_t> written = fs_->Write(context_, node_, in, body_);
  if (!written.ok()) return written.error();
  if (*written > in.size) return Errno(EIO);
  if (context_.counts != nullptr) context_.counts->Written(*written);
  return PutObject(fuse_write_out{static_cast<uint32_t>(*written), 0});
}

Errno RequestHandler::StatFs() { return PutResult(fs_->StatFs(context_, node_)); }

Errno RequestHandler::Release() { return fs_->Release(context_, node_, Argument<fuse_release_in>()); }

Errno RequestHandler::Flush() { return fs_->Flush(context_, node_, FileHandle(Argument<fuse_flush_in>().fh)); }

Errno RequestHandler::Fsync() { return fs_->Fsync(context_, node_, Argument<fuse_fsync_in>()); }

Errno RequestHandler::SetXattr() {
  const auto in = Argument<fuse_setxattr_in>();
  if (in.size > kMaxXattr) return Errno(E2BIG);
  if (in.size > after_names_.size() || (in.setxattr_flags & ~uint32_t{FUSE_SETXATTR_ACL_KILL_SGID}) != 0) {
    return Errno(EINVAL);
  }
  return fs_->SetXattr(context_, node_, std::string(names_[0]), after_names_.substr(0, in.size), in.flags,
                       in.setxattr_flags);
}

Errno RequestHandler::GetXattr() { return PutXattr(fs_->GetXattr(context_, node_, std::string(names_[0]))); }

Errno RequestHandler::ListXattr() { return PutXattr(fs_->ListXattr(context_, node_)); }

Errno RequestHandler::RemoveXattr() { return fs_->RemoveXattr(context_, node_, std::string(names_[0])); }

Errno RequestHandler::Init() {
  const Agreement agreement = Negotiate(Argument<fuse_init_in>(), dispatcher_->options_, fs_->optional_init_flags());
  if (!agreement.error.ok()) return agreement.error;
  if (agreement.starts_session) {
    // A client that mounts anew sends no DESTROY first where the guest crashed, or its driver was bound anew.
    dispatcher_->EndSession();
    dispatcher_->StartSession(agreement.granted, agreement.mode);
  }
  return PutObject(agreement.out);
}

Errno RequestHandler::Destroy() {
  dispatcher_->EndSession();
  return kOk;
}

// Every request is served to its end, so there is nothing to interrupt.
Errno RequestHandler::Interrupt() { return kOk; }

Errno RequestHandler::OpenDir() {
  return PutOpened(fs_->OpenDir(context_, node_, Argument<fuse_open_in>()), /*directory=*/true);
}

Errno RequestHandler::ReadDir() { return List(/*plus=*/false); }

Errno RequestHandler::ReadDirPlus() { return List(/*plus=*/true); }

Errno RequestHandler::List(bool plus) {
  const auto in = Argument<fuse_read_in>();
  entries_.emplace(std::min<size_t>({in.size, payload_->remaining(), kMaxDirBuffer}), plus);
  if (Errno error = fs_->ReadDir(context_, node_, in, plus, &*entries_); !error.ok()) return error;
  if (entries_->refused_first()) return Errno(EINVAL);
  return Put(entries_->bytes());
}

Errno RequestHandler::ReleaseDir() {
  return fs_->ReleaseDir(context_, node_, FileHandle(Argument<fuse_release_in>().fh));
}

Errno RequestHandler::FsyncDir() { return fs_->FsyncDir(context_, node_, Argument<fuse_fsync_in>()); }

Errno RequestHandler::Fallocate() { return fs_->Fallocate(context_, node_, Argument<fuse_fallocate_in>()); }

Errno RequestHandler::Lseek() {
  const Result<uint64_t> offset = fs_->Lseek(context_, node_, Argument<fuse_lseek_in>());
  return offset.ok() ? PutObject(fuse_lseek_out{*offset}) : offset.error();
}

Errno RequestHandler::CopyFileRange() {
  auto in = Argument<fuse_copy_file_range_in>();
  // The reply counts in 32 bits; a client takes a short copy for what it is.
  in.len = std::min<uint64_t>(in.len, UINT32_MAX & ~(kPageSize.raw() - 1));
  const Result<size_t> copied = fs_->CopyFileRange(context_, node_, in);
  if (!copied.ok()) return copied.error();
  if (*copied > in.len) return Errno(EIO);
  return PutObject(fuse_write_out{static_cast<uint32_t>(*copied), 0});
}

Errno RequestHandler::SyncFs() { return fs_->SyncFs(context_, node_); }

Errno RequestHandler::SetupMapping() {
  MappingHandler* const mappings = dispatcher_->mappings_;
  if (mappings == nullptr) return Errno(ENOSYS);
  return ForFaultHandler(mappings->SetupMapping(context_, node_, Argument<fuse_setupmapping_in>()));
}

Errno RequestHandler::RemoveMapping() {
  MappingHandler* const mappings = dispatcher_->mappings_;
  if (mappings == nullptr) return Errno(ENOSYS);
  const auto count = Argument<fuse_removemapping_in>().count;
  if (count == 0 || count > kMaxRemovals) return Errno(EINVAL);
  // The entries lie 4 bytes behind an 8-byte boundary, so they are copied out.
  std::vector<fuse_removemapping_one> entries(count);
  if (body_left_ != count * sizeof(fuse_removemapping_one)) return Errno(EINVAL);
  if (!ReadBody(std::as_writable_bytes(std::span(entries)))) return Errno(EFAULT);
  return ForFaultHandler(mappings->RemoveMapping(node_, entries));
}

}  // namespace daxvmm::fuse
