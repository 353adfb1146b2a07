// Between the messages of the contract and the plain structs of the controller. Every check of a message stands here:
// behind it there are only valid values.
#ifndef DAXVMM_CONTROL_CODEC_H_
#define DAXVMM_CONTROL_CODEC_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "control/controller.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control {

// A list of files larger than this is refused with RESOURCE_EXHAUSTED: it has to be asked for share by share.
inline constexpr size_t kMaxResponseBytes = size_t{64} << 20;

// INVALID_ARGUMENT names the field at fault as seen from `field`: "policy.rules[2].outcome: ...".
absl::StatusOr<dax::Policy> DecodePolicy(const v1::Policy& message, absl::string_view field);

struct SetPolicyCommand {
  dax::Policy policy;
  std::optional<uint64_t> expected_generation;
};
// INVALID_ARGUMENT names the field at fault.
absl::StatusOr<SetPolicyCommand> DecodeSetPolicy(const v1::SetPolicyRequest& message);

// The tag in the field `share` of a request, empty for all; INVALID_ARGUMENT if no share can have it.
absl::StatusOr<std::string> DecodeShare(const std::string& share);

void EncodePolicy(const dax::Policy& policy, v1::Policy* message);
void EncodePolicyState(const PolicyState& state, v1::GetPolicyResponse* message);
// RESOURCE_EXHAUSTED and an empty message if that would have more than `limit` bytes.
absl::Status EncodeFiles(const std::vector<LiveFile>& files, uint64_t generation, v1::ListFilesResponse* message,
                         size_t limit = kMaxResponseBytes);
void EncodeWindows(const std::vector<WindowUse>& windows, v1::GetWindowResponse* message);

// The text itself where it is UTF-8 (no surrogates, no overlong forms, at most U+10FFFF); every other byte becomes
// \xNN. Host file names are bytes, but a proto3 string that is not UTF-8 fails the whole reply.
std::string EscapeNonUtf8(absl::string_view bytes);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CODEC_H_
