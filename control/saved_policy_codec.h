// Between control::SavedPolicy and the text of daxvmm.state.v1.State.
#ifndef DAXVMM_CONTROL_SAVED_POLICY_CODEC_H_
#define DAXVMM_CONTROL_SAVED_POLICY_CODEC_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "control/saved_policy.h"

namespace daxvmm::control {

// As StateCodec says. Lossless but for fractions of a nanosecond, and times outside of the years 1 to 9999.
absl::StatusOr<std::string> EncodeSavedPolicy(const SavedPolicy& state);
absl::StatusOr<SavedPolicy> DecodeSavedPolicy(absl::string_view text);

// For a process that has the contract linked in, and so must not load the control library.
std::shared_ptr<const StateCodec> LinkedStateCodec();

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_SAVED_POLICY_CODEC_H_
