// `policy get`, `set`, `explain`, `history` and `override`.
#ifndef DAXVMM_CONTROL_CTL_POLICY_COMMANDS_H_
#define DAXVMM_CONTROL_CTL_POLICY_COMMANDS_H_

#include "control/ctl/runner.h"

namespace daxvmm::control {

ExitCode PolicyGet(Runner* runner);
ExitCode PolicyExplain(Runner* runner);
ExitCode PolicyHistory(Runner* runner);
ExitCode OverrideSet(Runner* runner);
ExitCode OverrideClear(Runner* runner);
ExitCode OverrideList(Runner* runner);
// Connects by itself: a bad file is a usage error whatever runs.
ExitCode PolicySet(Runner* runner);

// What `request` would change, from a machine that can tell. An older one would not know that nothing is to be changed,
// and is not asked: UNIMPLEMENTED.
absl::StatusOr<v1::SetPolicyResponse> DryRun(const Runner& runner, v1::SetPolicyRequest request);
// Says what is in force after a change, and with --wait follows the guest.
ExitCode TellChange(const Runner& runner, const google::protobuf::Message& response, uint64_t generation,
                    const v1::ChangeBound& bound);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_POLICY_COMMANDS_H_
