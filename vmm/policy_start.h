// Which policy a machine starts with, where flags, a watched file and a state directory each have one.
#ifndef DAXVMM_VMM_POLICY_START_H_
#define DAXVMM_VMM_POLICY_START_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "control/saved_policy.h"
#include "devices/virtio_fs/dax/policy_store.h"
#include "vmm/config.h"

namespace daxvmm::vmm {

struct ChosenStart {
  dax::PolicyStart start;          // its `file_policy` points into the config
  std::vector<std::string> notes;  // what the operator should read, a line each; bytes
};

// docs/policy_state.md has the rules. `saved`: of config.state_dir, if it holds one. `set_aside`: a state that was bad
// was put there ("" if none was). `now`: the wall clock.
ChosenStart ChooseStart(const MachineConfig& config, const std::optional<control::SavedPolicy>& saved,
                        const std::string& set_aside, absl::Time now);

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_POLICY_START_H_
