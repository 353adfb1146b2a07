// The two text forms of a policy, protobuf's text format and JSON of daxvmm.v1.Policy. Loses nothing either way.
#ifndef DAXVMM_CONTROL_POLICY_TEXT_H_
#define DAXVMM_CONTROL_POLICY_TEXT_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "devices/virtio_fs/dax/policy.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control {

enum class PolicyFormat { kTextproto, kJson };

// JSON if the text begins, after white space, with a brace or a bracket, which no policy in text format does.
PolicyFormat RecognizePolicyFormat(absl::string_view text);

// A valid policy. INVALID_ARGUMENT in one line, "NAME:12: rules[3].size_below: ...", without the line where there is
// none to name (a field of the policy itself that is missing). `format` is recognised if it is not given.
absl::StatusOr<dax::Policy> ParsePolicyText(absl::string_view text, absl::string_view name,
                                            std::optional<PolicyFormat> format = std::nullopt);

// With a newline at the end.
std::string FormatPolicyText(const v1::Policy& policy, PolicyFormat format);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_POLICY_TEXT_H_
