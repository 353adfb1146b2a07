#include "devices/virtio_fs/fuse/request_counts.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

namespace daxvmm::fuse {
namespace {

// What the system calls of a passthrough answer, and what this server answers by itself.
constexpr int kErrors[kCountedErrors] = {
    0,       EPERM,   ENOENT,    EINTR,      EIO,    ENXIO,   E2BIG,    EBADF,   EAGAIN,       ENOMEM, EACCES,
    EFAULT,  EBUSY,   EEXIST,    EXDEV,      ENODEV, ENOTDIR, EISDIR,   EINVAL,  ENFILE,       EMFILE, ENOTTY,
    ETXTBSY, EFBIG,   ENOSPC,    ESPIPE,     EROFS,  EMLINK,  ERANGE,   EDEADLK, ENAMETOOLONG, ENOSYS, ENOTEMPTY,
    ELOOP,   ENODATA, EOVERFLOW, EOPNOTSUPP, ESTALE, EDQUOT,  EREMOTEIO};

constexpr int kLargestErrno = *std::max_element(std::begin(kErrors), std::end(kErrors));

constexpr std::array<uint8_t, kLargestErrno + 1> kIndexOf = [] {
  std::array<uint8_t, kLargestErrno + 1> index{};
  for (size_t i = 0; i < kCountedErrors; ++i) index[static_cast<size_t>(kErrors[i])] = static_cast<uint8_t>(i);
  return index;
}();

}  // namespace

std::span<const int> CountedErrors() { return kErrors; }

uint64_t OperationTotals::requests() const { return std::accumulate(latency.begin(), latency.end(), uint64_t{0}); }

void RequestCounts::CountError(Errno error) {
  const int value = error.value();
  errors_[served_][value > 0 && value <= kLargestErrno ? kIndexOf[static_cast<size_t>(value)] : 0].Add();
}

void RequestCounts::StartConclusions(uint64_t subject, size_t size) {
  auto fresh = std::make_shared<Conclusions>(subject, size);
  conclusions_ = fresh.get();
  MutexLock lock(&mu_);
  shared_conclusions_.swap(fresh);
}

uint64_t RequestCounts::requests(uint32_t opcode) const {
  if (opcode >= kCountedOpcodes) return 0;
  uint64_t sum = 0;
  for (const OwnedCounter& bucket : operations_[opcode].latency) sum += bucket.value();
  return sum;
}

void RequestCounts::AddTo(RequestTotals* totals) const {
  for (uint32_t opcode = 0; opcode < kCountedOpcodes; ++opcode) {
    OperationTotals& to = totals->operations[opcode];
    const Operation& from = operations_[opcode];
    for (size_t i = 0; i < kLatencyBuckets; ++i) to.latency[i] += from.latency[i].value();
    to.nanoseconds += from.nanoseconds.value();
    for (size_t i = 0; i < kCountedErrors; ++i) to.errors[i] += errors_[opcode][i].value();
  }
  totals->bytes_read += bytes_read_.value();
  totals->bytes_written += bytes_written_.value();
}

void RequestCounts::AddConclusions(uint64_t subject, std::span<uint64_t> sums) const {
  std::shared_ptr<const Conclusions> now;
  {
    MutexLock lock(&mu_);
    now = shared_conclusions_;
  }
  if (now == nullptr || now->subject != subject) return;
  const size_t known = std::min(sums.size(), now->counts.size());
  for (size_t i = 0; i < known; ++i) sums[i] += now->counts[i].value();
}

}  // namespace daxvmm::fuse
