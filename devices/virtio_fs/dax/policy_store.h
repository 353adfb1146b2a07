// The policy in force: an immutable snapshot with a generation, replaced as a whole while the machine runs.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_STORE_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_STORE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "devices/virtio_fs/dax/policy.h"

namespace daxvmm::dax {

struct PolicySnapshot {
  uint64_t generation = 0;  // 1 for the first, then one more with each Set
  Policy policy;
};

// Any thread may call any method. The lock is held for a pointer copy or swap, whoever takes it: nobody waits for a
// policy to be validated, compared or freed.
class PolicyStore {
 public:
  // `policy` must be valid.
  explicit PolicyStore(Policy policy);

  std::shared_ptr<const PolicySnapshot> Get() const;
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  // Validates and publishes; the new generation. INVALID_ARGUMENT as Validate says, or ABORTED if `expected_generation`
  // is given and is not the one in force; the old policy stays then.
  absl::StatusOr<uint64_t> Set(Policy policy, std::optional<uint64_t> expected_generation = std::nullopt);

 private:
  mutable Mutex mu_;
  std::shared_ptr<const PolicySnapshot> current_ ABSL_GUARDED_BY(mu_);
  // In front of the mutex, so that whoever only asks for the generation takes no lock.
  std::atomic<uint64_t> generation_;
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_STORE_H_
