// From request bytes to reply bytes: decode, call, encode. Knows no transport: the virtio-fs device and the loopback
// mount of the tests both stand on it.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FUSE_DISPATCHER_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FUSE_DISPATCHER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <span>
#include <vector>

#include "base/mutex.h"
#include "devices/virtio_fs/fuse/file_system.h"
#include "devices/virtio_fs/fuse/mapping_handler.h"
#include "devices/virtio_fs/fuse/request_counts.h"
#include "memory/guest_memory.h"

namespace daxvmm::fuse {

// What this server is willing to grant in INIT.
struct SessionOptions {
  // The device has a DAX window: grants MAP_ALIGNMENT and HAS_INODE_DAX whenever the client offers them, whatever the
  // policy says at that moment, since the policy may change and INIT is not repeated.
  bool dax_window = false;
  // The largest WRITE and READ; a multiple of the page size, at most 1 MiB (256 pages, MAX_PAGES).
  ByteCount max_write = MiB(1);
};

// How the client mounted, told by its INIT (see docs/dax.md).
enum class ClientDaxMode {
  kNoSession,  // no INIT yet, or destroyed
  kNever,      // no window is used in this mount
  kAlways,     // dax=always: every regular file, FUSE_ATTR_DAX is ignored
  kPerFile,    // dax=inode or no option: by FUSE_ATTR_DAX
};

struct Op;
class RequestHandler;
class ReplySlot;

// Told of a session's beginning and end, with no other request running.
class SessionListener {
 public:
  virtual ~SessionListener() = default;
  virtual void SessionStarted(ClientDaxMode mode) = 0;  // before INIT is answered
  virtual void SessionEnded() = 0;                      // mappings must be gone when this returns
};

// Handle may be called on several threads at once. Every malformed request gets an errno reply; none ends anything.
class Dispatcher {
 public:
  // `mappings` may be null: SETUPMAPPING and REMOVEMAPPING then answer ENOSYS. `listener` may be null. All outlive the
  // dispatcher.
  Dispatcher(const SessionOptions& options, FileSystem* fs, MappingHandler* mappings, SessionListener* listener);

  // Serves the request in `in`; writes the reply to `out`. The number of bytes written: 0 for a request without reply
  // (FORGET, BATCH_FORGET, INTERRUPT) or where not even a header fits. A reply is always a whole one: its header's len
  // is what was written (a driver trusts it blindly).
  // `sent_after`: see RequestContext. `counts` is the calling thread's, which calls Begun before and Answered after;
  // null: the request is not counted.
  uint32_t Handle(const memory::IoVecs& in, const memory::IoVecs& out,
                  std::chrono::steady_clock::time_point sent_after = std::chrono::steady_clock::time_point::max(),
                  RequestCounts* counts = nullptr);

  // Counts for one more thread that serves requests; they live as long as the dispatcher.
  RequestCounts* AddCounts();

  // Ends the session as DESTROY does. No Handle may be running.
  void Reset();

  ClientDaxMode client_dax_mode() const { return mode_.load(std::memory_order_acquire); }
  // How many requests of an opcode were served and counted, by all threads; unknown opcodes are counted at 0.
  uint64_t request_count(uint32_t opcode) const;
  // All that was counted, by all threads. Not one moment's picture.
  RequestTotals request_totals() const;
  // See RequestCounts::AddConclusions.
  void AddConclusions(uint64_t subject, std::span<uint64_t> sums) const;

 private:
  friend class RequestHandler;

  bool alive() const { return client_dax_mode() != ClientDaxMode::kNoSession; }
  // With session_mu_ held, alone or shared as `op` wants it. What Handle is to return.
  uint32_t Serve(const Op* op, RequestHandler* handler, ReplySlot* reply);
  // Both with session_mu_ held alone.
  void StartSession(uint64_t granted, ClientDaxMode mode);
  void EndSession();

  const SessionOptions options_;
  FileSystem* const fs_;
  MappingHandler* const mappings_;
  SessionListener* const listener_;
  // Held shared by every request, and alone by INIT, DESTROY and Reset: nothing of an old session, such as a mapping,
  // can arrive in a new one. A request that blocks delays only the session's end. Readers are preferred (as glibc's
  // rwlock does by default), so FORGET on the hiprio queue never waits for a slow READ.
  std::shared_mutex session_mu_;
  // The INIT flags of this session. Written with session_mu_ held alone, read with it held.
  uint64_t granted_ = 0;
  // Written with session_mu_ held alone; atomic for client_dax_mode().
  std::atomic<ClientDaxMode> mode_{ClientDaxMode::kNoSession};
  // Held for as long as it takes to look at the list: the blocks count by themselves.
  mutable Mutex counts_mu_;
  std::vector<std::unique_ptr<RequestCounts>> counts_ ABSL_GUARDED_BY(counts_mu_);
};

}  // namespace daxvmm::fuse

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FUSE_DISPATCHER_H_
