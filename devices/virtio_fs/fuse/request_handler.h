// One request in the hands of the server: its decoded fields, the methods that the op table names, and the payload of
// its reply. Lives on the stack of Dispatcher::Handle.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FUSE_REQUEST_HANDLER_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FUSE_REQUEST_HANDLER_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include "absl/strings/string_view.h"
#include "devices/virtio_fs/fuse/dir_buffer.h"
#include "devices/virtio_fs/fuse/dispatcher.h"
#include "devices/virtio_fs/fuse/ops.h"
#include "memory/iov_cursor.h"

namespace daxvmm::fuse {

class RequestHandler {
 public:
  // `body` stands behind the header and has at least the bytes that the header's len announces behind itself; `payload`
  // stands behind the room for the reply's header. All outlive the handler.
  RequestHandler(Dispatcher* dispatcher, const fuse_in_header& header, std::chrono::steady_clock::time_point sent_after,
                 RequestCounts* counts, memory::IovReader* body, memory::IovWriter* payload);

  // Decodes as `op` says, checks, calls. What the reply's error field is to be; on kOk the payload is in place.
  Errno Serve(const Op& op);
  // Bytes of reply payload, after Serve answered kOk.
  size_t payload_size() const { return payload_size_; }
  // Gives back what the client would own by the reply that it did not get: lookup references and open files.
  void TakeBack();

  // One per row of the op table.
  Errno Lookup();
  Errno Forget();
  Errno GetAttr();
  Errno SetAttr();
  Errno ReadLink();
  Errno SymLink();
  Errno MkNod();
  Errno MkDir();
  Errno Unlink();
  Errno RmDir();
  Errno Rename();
  Errno Link();
  Errno Open();
  Errno Read();
  Errno Write();
  Errno StatFs();
  Errno Release();
  Errno Fsync();
  Errno SetXattr();
  Errno GetXattr();
  Errno ListXattr();
  Errno RemoveXattr();
  Errno Flush();
  Errno Init();
  Errno OpenDir();
  Errno ReadDir();
  Errno ReleaseDir();
  Errno FsyncDir();
  Errno Access();
  Errno Create();
  Errno Interrupt();
  Errno Destroy();
  Errno Ioctl();
  Errno BatchForget();
  Errno Fallocate();
  Errno ReadDirPlus();
  Errno Rename2();
  Errno Lseek();
  Errno CopyFileRange();
  Errno SetupMapping();
  Errno RemoveMapping();
  Errno SyncFs();
  Errno TmpFile();

 private:
  // What the client comes to own by the reply.
  struct Gift {
    NodeId reference{0};  // 0: none
    NodeId opened{0};     // the node that `handle` is of
    std::optional<FileHandle> handle;
    bool directory = false;
  };

  // The fixed argument; zero behind what the client sent.
  template <typename T>
  T Argument() const {
    static_assert(sizeof(T) <= kMaxArgument);
    T value;
    std::memcpy(&value, argument_.data(), sizeof(T));
    return value;
  }

  // Takes the next bytes of the body.
  bool ReadBody(std::span<std::byte> to);
  // How much of the body is the fixed argument, in this session.
  size_t ArgumentSize(const Op& op) const;
  bool granted(uint64_t flag) const { return (dispatcher_->granted_ & flag) != 0; }
  // Takes the strings, and the extensions behind them.
  Errno DecodeNames(const Op& op);

  // Adds to the payload: EIO if it does not fit, EFAULT if the guest's buffer is a hole of its DAX window.
  Errno Put(std::span<const std::byte> bytes);
  template <typename T>
  Errno PutObject(const T& value) {
    return Put(std::as_bytes(std::span<const T, 1>(&value, 1)));
  }
  template <typename T>
  Errno PutResult(const Result<T>& result) {
    return result.ok() ? PutObject(*result) : result.error();
  }
  // As PutResult, for what TakeBack has to know of.
  Errno PutEntry(const Result<fuse_entry_out>& entry);
  Errno PutOpened(const Result<fuse_open_out>& open, bool directory);
  Errno PutCreated(const Result<CreateReply>& created);
  // The size protocol of GETXATTR and LISTXATTR.
  Errno PutXattr(const Result<std::string>& value);
  Errno List(bool plus);

  Dispatcher* const dispatcher_;
  FileSystem* const fs_;
  RequestContext context_;
  const NodeId node_;
  uint32_t body_left_;
  const uint32_t extensions_size_;  // as announced; 0 if not
  memory::IovReader* const body_;
  memory::IovWriter* const payload_;
  size_t payload_size_ = 0;
  Gift gift_;
  std::optional<DirBuffer> entries_;

  alignas(8) std::array<std::byte, kMaxArgument> argument_ = {};
  std::string strings_;  // what follows the fixed argument, where the op has names
  absl::string_view names_[2];
  absl::string_view after_names_;
};

}  // namespace daxvmm::fuse

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FUSE_REQUEST_HANDLER_H_
