#include "devices/virtio_fs/fuse/dispatcher.h"

#include <algorithm>
#include <mutex>
#include <utility>

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

// Where a reply's header goes, if the request has a reply.
class ReplySlot {
 public:
  // `counts` may be null.
  ReplySlot(const Op* op, uint64_t unique, const memory::IoVecs& out, RequestCounts* counts)
      : wanted_(op == nullptr || !op->Has(kNoReply)),
        opcode_(op != nullptr ? op->opcode : 0),
        unique_(unique),
        counts_(counts),
        header_(out) {}

  // Where no reply fits nothing may be done either: the client could not learn of it.
  bool HasRoom() const { return !wanted_ || header_.remaining() >= sizeof(fuse_out_header); }
  memory::IovWriter Payload() const { return wanted_ ? header_.At(sizeof(fuse_out_header)) : header_; }

  // After the payload, so that a reply that could not be completed was never begun. The bytes of the whole reply; 0 if
  // there is none.
  uint32_t Complete(Errno error, size_t payload_size) {
    if (counts_ != nullptr) counts_->Served(opcode_, error);
    if (!wanted_) return 0;
    fuse_out_header answer = {};
    answer.len = static_cast<uint32_t>(sizeof(answer) + (error.ok() ? payload_size : 0));
    answer.error = WireError(error);
    answer.unique = unique_;
    return header_.WriteObject(answer) ? answer.len : 0;
  }

 private:
  const bool wanted_;
  const uint32_t opcode_;
  const uint64_t unique_;
  RequestCounts* const counts_;
  memory::IovWriter header_;
};

Dispatcher::Dispatcher(const SessionOptions& options, FileSystem* fs, MappingHandler* mappings,
                       SessionListener* listener)
    : options_(options), fs_(fs), mappings_(mappings), listener_(listener) {
  CHECK(options.max_write >= kPageSize && options.max_write <= MiB(1) && options.max_write.IsMultipleOf(kPageSize))
      << "max_write " << options.max_write.raw();
}

uint32_t Dispatcher::Handle(const memory::IoVecs& in, const memory::IoVecs& out,
                            std::chrono::steady_clock::time_point sent_after, RequestCounts* counts) {
  memory::IovReader reader(in);
  const size_t received = reader.remaining();
  fuse_in_header header;
  // Without a header there is no `unique` to answer to.
  if (!reader.ReadObject(&header)) return 0;
  const Op* const op = FindOp(header.opcode);
  ReplySlot reply(op, header.unique, out, counts);
  if (!reply.HasRoom()) {
    if (counts != nullptr) counts->Served(op != nullptr ? op->opcode : 0, Errno(EIO));
    return 0;
  }
  memory::IovWriter payload = reply.Payload();
  if (header.len < sizeof(header) || header.len > received || header.len > LargestRequest(options_)) {
    return reply.Complete(Errno(EINVAL), 0);
  }
  RequestHandler handler(this, header, sent_after, counts, &reader, &payload);
  if (op != nullptr && op->Has(kTransition)) {
    std::unique_lock<std::shared_mutex> alone(session_mu_);
    return Serve(op, &handler, &reply);
  }
  std::shared_lock<std::shared_mutex> with_others(session_mu_);
  return Serve(op, &handler, &reply);
}

uint32_t Dispatcher::Serve(const Op* op, RequestHandler* handler, ReplySlot* reply) {
  if (!alive() && (op == nullptr || !op->Has(kNoSession))) return reply->Complete(Errno(EIO), 0);
  if (op == nullptr) return reply->Complete(Errno(ENOSYS), 0);
  const Errno error = handler->Serve(*op);
  const uint32_t written = reply->Complete(error, handler->payload_size());
  // Still in the session: in the next one the same ids may be somebody else's.
  if (!error.ok() || written == 0) handler->TakeBack();
  return written;
}

void Dispatcher::StartSession(uint64_t granted, ClientDaxMode mode) {
  granted_ = granted;
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

RequestCounts* Dispatcher::AddCounts() {
  auto counts = std::make_unique<RequestCounts>();
  RequestCounts* const raw = counts.get();
  MutexLock lock(&counts_mu_);
  counts_.push_back(std::move(counts));
  return raw;
}

uint64_t Dispatcher::request_count(uint32_t opcode) const {
  MutexLock lock(&counts_mu_);
  uint64_t sum = 0;
  for (const auto& counts : counts_) sum += counts->requests(opcode);
  return sum;
}

RequestTotals Dispatcher::request_totals() const {
  RequestTotals totals;
  MutexLock lock(&counts_mu_);
  for (const auto& counts : counts_) counts->AddTo(&totals);
  return totals;
}

void Dispatcher::AddConclusions(uint64_t subject, std::span<uint64_t> sums) const {
  MutexLock lock(&counts_mu_);
  for (const auto& counts : counts_) counts->AddConclusions(subject, sums);
}

}  // namespace daxvmm::fuse
