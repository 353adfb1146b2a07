#include "devices/virtio_fs/dax/policy_store.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"

namespace daxvmm::dax {

PolicyStore::PolicyStore(Policy policy) : generation_(1) {
  const absl::Status valid = Validate(policy);
  CHECK(valid.ok()) << valid.ToString();
  current_ = std::make_shared<const PolicySnapshot>(PolicySnapshot{.generation = 1, .policy = std::move(policy)});
}

std::shared_ptr<const PolicySnapshot> PolicyStore::Get() const {
  MutexLock lock(&mu_);
  return current_;
}

absl::StatusOr<uint64_t> PolicyStore::Set(Policy policy, std::optional<uint64_t> expected_generation) {
  RETURN_IF_ERROR(Validate(policy));
  auto next = std::make_shared<PolicySnapshot>();
  next->policy = std::move(policy);
  // Declared before the lock, so that the old policy is freed after it: readers wait for a pointer swap, no longer.
  std::shared_ptr<const PolicySnapshot> published;
  MutexLock lock(&mu_);
  const uint64_t in_force = current_->generation;
  if (expected_generation && *expected_generation != in_force) {
    return absl::AbortedError(
        absl::StrCat("expected_generation is ", *expected_generation, ", but generation ", in_force, " is in force"));
  }
  const uint64_t generation = next->generation = in_force + 1;
  published = std::move(next);
  current_.swap(published);
  // Release: who sees the new generation and then takes the lock gets this snapshot or a later one.
  generation_.store(generation, std::memory_order_release);
  return generation;
}

}  // namespace daxvmm::dax
