// Between daxvmm.v1.Policy and dax::Policy.
#ifndef DAXVMM_CONTROL_POLICY_CODEC_H_
#define DAXVMM_CONTROL_POLICY_CODEC_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "devices/virtio_fs/dax/policy.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control {

// INVALID_ARGUMENT names the field at fault as seen from `field`: "policy.rules[2].outcome: ...", or
// "rules[2].outcome: ..." if that is empty.
absl::StatusOr<dax::Policy> DecodePolicy(const v1::Policy& message, absl::string_view field);

// Loses nothing: DecodePolicy of the result is `policy`, if that is valid.
void EncodePolicy(const dax::Policy& policy, v1::Policy* message);

absl::StatusOr<dax::Outcome> DecodeOutcome(v1::Outcome outcome, absl::string_view field);
v1::Outcome EncodeOutcome(dax::Outcome outcome);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_POLICY_CODEC_H_
