// A machine without a guest, for tests of the control plane: a true policy store, and files and windows as they are
// put.
#ifndef DAXVMM_CONTROL_TESTING_FAKE_CONTROLLER_H_
#define DAXVMM_CONTROL_TESTING_FAKE_CONTROLLER_H_

#include <atomic>
#include <string>
#include <vector>

#include "control/controller.h"
#include "devices/virtio_fs/dax/policy_store.h"

namespace daxvmm::control {

// The lists are set before the controller is shared; then any thread may call any method.
class FakeController final : public Controller {
 public:
  PolicyState GetPolicy() const override;
  absl::StatusOr<uint64_t> SetPolicy(const dax::Policy& policy, std::optional<uint64_t> expected_generation) override;
  absl::StatusOr<std::vector<LiveFile>> ListFiles(const std::string& share_tag) const override;
  absl::StatusOr<std::vector<WindowUse>> GetWindows(const std::string& share_tag) const override;

  // Two files of the share "data" and one of "src", and a window for each share.
  void FillWithExamples();

  std::vector<LiveFile> files;
  std::vector<WindowUse> windows;
  // As many of the next ListFiles calls see the policy change under them.
  mutable std::atomic<int> policy_changes_during_list{0};

 private:
  mutable dax::PolicyStore store_{dax::DefaultPolicy()};
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_TESTING_FAKE_CONTROLLER_H_
