// The policy, its history, and why a file is what it is, for people.
#ifndef DAXVMM_CONTROL_CTL_POLICY_OUTPUT_H_
#define DAXVMM_CONTROL_CTL_POLICY_OUTPUT_H_

#include <string>

#include "control/ctl/view.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control {

std::string PolicyText(const v1::GetPolicyResponse& response, const View& view);
// Those of `share`; of all if that is empty.
std::string OverridesText(const v1::GetPolicyResponse& response, const std::string& share, const View& view);
std::string HistoryText(const v1::ListPolicyHistoryResponse& response, const View& view);
std::string ExplanationText(const v1::ExplainFileResponse& response, const View& view);
// What a change would mean: "3 files would become DAX, ...", and which.
std::string EffectText(const v1::PolicyEffect& effect, const View& view);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_POLICY_OUTPUT_H_
