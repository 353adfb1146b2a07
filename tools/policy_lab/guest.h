// A guest that replays a trace against one policy: its inodes, its page cache and its half of the window, and the
// server's counters. One program at a time, one worker that reclaims beside it.
#ifndef DAXVMM_TOOLS_POLICY_LAB_GUEST_H_
#define DAXVMM_TOOLS_POLICY_LAB_GUEST_H_

#include <cstdint>
#include <list>
#include <vector>

#include "tools/policy_lab/lab_policy.h"
#include "tools/policy_lab/page_cache.h"
#include "tools/policy_lab/trace.h"
#include "tools/policy_lab/window_model.h"

namespace daxvmm::lab {

struct GuestConfig {
  uint64_t window_bytes = 64 << 20;
  uint64_t cache_bytes = 128 << 20;  // guest memory that the page cache may take
  size_t max_inodes = 4096;          // closed files beyond these leave the inode cache, oldest first
  Backing backing = Backing::kTmpfs;
  Nanos attr_timeout = 1'000'000'000;
  Costs costs;
};

struct Metrics {
  Nanos io_ns = 0;       // what the trace's operations took
  Nanos elapsed_ns = 0;  // and the time between them
  uint64_t waits = 0;    // for a free range
  Nanos wait_ns = 0;
  uint64_t setups = 0;
  uint64_t removes = 0;          // ranges given back
  uint64_t remove_requests = 0;  // by so many requests
  uint64_t fuse_reads = 0;
  uint64_t fuse_writes = 0;
  uint64_t copied_bytes = 0;  // by both
  uint64_t peak_chunks = 0;
  double mean_chunks = 0;
  uint64_t peak_cache_bytes = 0;
  double mean_cache_bytes = 0;
  uint64_t verdict_changes = 0;
  uint64_t dropped_inodes = 0;  // because the flag differed
};

class Guest {
 public:
  // `policy` outlives this.
  Guest(const GuestConfig& config, LabPolicy* policy);

  Metrics Run(const Trace& trace);

  // For tests, and what Run is made of.
  void AddFiles(const Trace& trace);
  void Do(const Op& op);
  const Metrics& metrics() const { return metrics_; }
  Nanos now() const { return now_; }
  WindowModel& window() { return window_; }
  bool IsLive(FileId file) const { return files_[file].live; }
  bool IsDax(FileId file) const { return files_[file].live && files_[file].dax; }

 private:
  struct File {
    uint64_t size = 0;
    bool huge = false;
    bool live = false;
    bool dax = false;         // as the inode was made
    bool dont_cache = false;  // the server's flag differs: gone at the last close
    uint32_t opens = 0;
    Nanos attr_until = 0;
    uint64_t next_page = 0;   // after the one read by FUSE last
    uint64_t next_chunk = 0;  // after the one mapped last
    bool active = false;      // had a request since the last tick
    bool idle_listed = false;
    std::list<FileId>::iterator idle;
    dax::FileSample seen;
  };

  void Spend(Nanos cost) { now_ += cost; }
  void Settle();  // lets the worker catch up; its shootdowns cost time
  void LookUp(FileId id);
  void Open(FileId id);
  void Close(FileId id);
  void Evict(FileId id);
  void Unlink(FileId id);
  void Read(FileId id, uint64_t offset, uint64_t length);
  void Write(FileId id, uint64_t offset, uint64_t length);
  void Touch(FileId id, uint64_t offset, uint64_t length);
  void FuseRead(FileId id, uint64_t first_page, uint64_t pages);
  void FuseWrite(FileId id, uint64_t offset, uint64_t length);
  // Loads, stores or faults through the window.
  void Mapped(FileId id, uint64_t offset, uint64_t length, bool write, bool fault);
  Range* Map(FileId id, uint64_t chunk, bool write, bool fault);
  void Active(FileId id);
  void MaybeTick();
  void Account(Nanos since);

  const GuestConfig config_;
  LabPolicy* const policy_;
  WindowModel window_;
  PageCache cache_;
  std::vector<File> files_;
  std::list<FileId> idle_;  // live and closed, the least recently used first
  std::vector<FileId> active_;
  Nanos now_ = 0;
  uint64_t maps_ = 0;
  uint64_t unmaps_ = 0;
  double chunk_ns_ = 0;
  double cache_ns_ = 0;
  Metrics metrics_;
};

}  // namespace daxvmm::lab

#endif  // DAXVMM_TOOLS_POLICY_LAB_GUEST_H_
