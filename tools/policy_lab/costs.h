// What things cost in the lab. One table; where a number was measured, on the machine that the project's benchmarks
// name (two cores, KVM without hardware support), the comment says how. Integers of nanoseconds, so that a run is the
// same everywhere.
#ifndef DAXVMM_TOOLS_POLICY_LAB_COSTS_H_
#define DAXVMM_TOOLS_POLICY_LAB_COSTS_H_

#include <cstdint>

namespace daxvmm::lab {

using Nanos = int64_t;

inline constexpr uint64_t kPage = 4096;
inline constexpr uint64_t kChunk = 2 << 20;
inline constexpr uint64_t kPagesPerChunk = kChunk / kPage;
inline constexpr uint64_t kDescriptorBytesPerChunk = 512 * 64;

// What holds a file's pages on the host.
enum class Backing : uint8_t {
  kTmpfs,  // 4 KiB pages, mapped for writing
  kExt4,   // 4 KiB pages as seen by the guest: large folios are not mapped by huge entries
  kHuge,   // 2 MiB pages (tmpfs huge=always)
};

struct Costs {
  // Requests. 4 KiB by FUSE_READ take 36 us, 1 MiB 137 to 224 us (the guest's copy included): 35 us and 0.57 us a page.
  Nanos fuse_request = 35'000;
  Nanos fuse_page = 570;
  // LOOKUP, GETATTR, OPEN, CREATE: as a request without data. RELEASE and FORGET are not waited for.
  Nanos metadata_request = 35'000;
  // Exit 31 us, mmap 4 us.
  Nanos setup_mapping = 35'000;
  // A range given back: break layouts and write back 14 us (TLB), REMOVEMAPPING 35 us.
  Nanos reclaim_range = 49'000;
  // REMOVEMAPPING of up to 256 ranges when an inode goes: a request, and each munmap.
  Nanos remove_request = 35'000;
  Nanos remove_range = 4'000;
  // What the guest's other CPUs lose when a range is taken away in the background (estimated: half of the 14 us above).
  Nanos shootdown = 7'000;
  // The first touch of a page of a mapping: 2 MiB scanned in 865 us (tmpfs), 2352 us (ext4), 129 us (huge), less 35 us
  // for the request and 92 us for the scan.
  Nanos first_touch_tmpfs = 1'440;
  Nanos first_touch_ext4 = 4'340;
  Nanos first_touch_huge_chunk = 2'000;
  // A page read or written that is there, by either way: 22 GiB/s. And the system call.
  Nanos page_hit = 180;
  Nanos syscall = 200;
  // The worker looks again after 1 ms (fs/fuse/dax.c).
  Nanos worker_delay = 1'000'000;

  Nanos FirstTouch(Backing backing) const {
    return backing == Backing::kExt4 ? first_touch_ext4 : backing == Backing::kTmpfs ? first_touch_tmpfs : 0;
  }
};

}  // namespace daxvmm::lab

#endif  // DAXVMM_TOOLS_POLICY_LAB_COSTS_H_
