#include "devices/virtio_fs/fuse/dispatcher.h"

#include <algorithm>
#include <mutex>

#include "base/log.h"
#include "devices/virtio_fs/fuse/ops.h"
#include "devices/virtio_fs/fuse/request_handler.h"
#include "memory/iov_cursor.h"

namespace daxvmm::fuse {
namespace {

// 0, or -1 to -511: Linux refuses other values where it looks (fuse_dev_do_write in fs/fuse/dev.c of 6.1), and its
// virtio-fs driver does not look.
int32_t WireError(Errno error) {
  const int value = error.value();
  return value >= 0 && value <= 511 ? -value : -EIO;
}

// Larger than any request of an honest client: the data of a WRITE or of a SETXATTR, names and arguments.
uint64_t LargestRequest(const SessionOptions& options) {
  return std::max<uint64_t>(options.max_write.raw(), 64 << 10) + (8 << 10);
}

}  // namespace

Dispatcher::Dispatcher(const SessionOptions& options, FileSystem* fs, MappingHandler* mappings,
                       SessionListener* listener)
    : options_(options), fs_(fs), mappings_(mappings), listener_(listener) {
  CHECK(options.max_write >= kPageSize && options.max_write <= MiB(1) && options.max_write.IsMultipleOf(kPageSize))
      << "max_write " << options.max_write.raw();
}

uint32_t Dispatcher::Handle(const memory::IoVecs& in, const memory::IoVecs& out) {
  memory::IovReader reader(in);
  const size_t received = reader.remaining();
  fuse_in_header header;
  // Without a header there is no `unique` to answer to.
  if (!reader.ReadObject(&header)) return 0;
  const Op* const op = FindOp(header.opcode);
  counts_[op != nullptr && header.opcode < kOpcodes ? header.opcode : 0].fetch_add(1, std::memory_order_relaxed);

  const bool replies = op == nullptr || !op->Has(kNoReply);
  memory::IovWriter reply(out);
  // Where no reply fits nothing is done either: the client could not learn of it.
  if (replies && reply.remaining() < sizeof(fuse_out_header)) return 0;
  memory::IovWriter payload = reply.At(sizeof(fuse_out_header));

  Errno error;
  size_t payload_size = 0;
  if (header.len < sizeof(header) || header.len > received || header.len > LargestRequest(options_)) {
    error = Errno(EINVAL);
  } else {
    RequestHandler handler(this, header, header.len - static_cast<uint32_t>(sizeof(header)), &reader, &payload);
    error = Serve(op, &handler);
    payload_size = handler.payload_size();
  }
  if (!replies) return 0;

  fuse_out_header answer = {};
  answer.len = static_cast<uint32_t>(sizeof(answer) + (error.ok() ? payload_size : 0));
  answer.error = WireError(error);
  answer.unique = header.unique;
  // Last, so that a reply that could not be completed was never begun.
  return reply.WriteObject(answer) ? answer.len : 0;
}

Errno Dispatcher::Serve(const Op* op, RequestHandler* handler) {
  if (op != nullptr && op->Has(kTransition)) {
    std::unique_lock<std::shared_mutex> alone(session_mu_);
    return alive() || op->Has(kNoSession) ? handler->Serve(*op) : Errno(EIO);
  }
  std::shared_lock<std::shared_mutex> with_others(session_mu_);
  if (!alive()) return Errno(EIO);
  return op != nullptr ? handler->Serve(*op) : Errno(ENOSYS);
}

void Dispatcher::StartSession(uint64_t granted, ClientDaxMode mode) {
  fs_->Init(granted);
  if (listener_ != nullptr) listener_->SessionStarted(mode);
  mode_.store(mode, std::memory_order_release);
}

void Dispatcher::EndSession() {
  if (!alive()) return;
  mode_.store(ClientDaxMode::kNoSession, std::memory_order_release);
  if (listener_ != nullptr) listener_->SessionEnded();
  fs_->Destroy();
}

void Dispatcher::Reset() {
  std::unique_lock<std::shared_mutex> alone(session_mu_);
  EndSession();
}

uint64_t Dispatcher::request_count(uint32_t opcode) const {
  return opcode < kOpcodes ? counts_[opcode].load(std::memory_order_relaxed) : 0;
}

}  // namespace daxvmm::fuse
