// Takes overrides out of the policy when their time is over.
#ifndef DAXVMM_VMM_OVERRIDE_EXPIRY_H_
#define DAXVMM_VMM_OVERRIDE_EXPIRY_H_

#include <optional>

#include "base/mutex.h"
#include "base/named_thread.h"
#include "devices/virtio_fs/dax/policy_store.h"

namespace daxvmm::vmm {

// Decisions go by the time themselves: this is for lists, and so that a convergence which somebody watches has a
// generation to name. The thread starts with the first override that runs out.
class OverrideExpiry {
 public:
  // `policy` outlives this.
  explicit OverrideExpiry(dax::PolicyStore* policy) : policy_(policy) {}
  ~OverrideExpiry();

  // An override was set or cleared. Any thread.
  void Changed();

 private:
  void Run();

  dax::PolicyStore* const policy_;
  Mutex mu_;
  CondVar changed_;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  bool look_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<NamedThread> thread_ ABSL_GUARDED_BY(mu_);
};

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_OVERRIDE_EXPIRY_H_
