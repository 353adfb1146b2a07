// Between the messages of the contract and the plain structs of the controller. Every check of a message stands here
// and in policy_codec.h: behind them there are only valid values.
#ifndef DAXVMM_CONTROL_CODEC_H_
#define DAXVMM_CONTROL_CODEC_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "control/controller.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control {

// A list of files larger than this is refused with RESOURCE_EXHAUSTED: it has to be asked for share by share.
inline constexpr size_t kMaxResponseBytes = size_t{64} << 20;

// Requests. INVALID_ARGUMENT names the field at fault. `options.requester` is left empty.

struct SetPolicyCommand {
  dax::Policy policy;
  PolicySetOptions options;
};
absl::StatusOr<SetPolicyCommand> DecodeSetPolicy(const v1::SetPolicyRequest& message);

struct SetOverrideCommand {
  dax::Override override;
  PolicySetOptions options;
};
// A `ttl` counts from `now`.
absl::StatusOr<SetOverrideCommand> DecodeSetOverride(const v1::SetFileOverrideRequest& message, absl::Time now);

struct ClearOverrideCommand {
  FileRef file;
  PolicySetOptions options;
};
absl::StatusOr<ClearOverrideCommand> DecodeClearOverride(const v1::ClearFileOverrideRequest& message);

absl::StatusOr<FileRef> DecodeExplain(const v1::ExplainFileRequest& message);

struct WatchCommand {
  std::string share_tag;  // empty: all
  absl::Duration interval = absl::Seconds(1);
  bool until_settled = true;
};
absl::StatusOr<WatchCommand> DecodeWatch(const v1::WatchConvergenceRequest& message);

// The tag in the field `share` of a request, empty for all; INVALID_ARGUMENT if no share can have it.
absl::StatusOr<std::string> DecodeShare(const std::string& share);

// Replies. `message` is filled anew.

void EncodePolicyState(const PolicyState& state, v1::GetPolicyResponse* message);
void EncodeHistory(const std::vector<dax::PolicyHistoryEntry>& entries, v1::ListPolicyHistoryResponse* message);
// What every reply to a change carries.
void EncodeBound(const PolicyChange& change, v1::ChangeBound* message);
void EncodeExplanation(const Explanation& explanation, v1::ExplainFileResponse* message);
// RESOURCE_EXHAUSTED and an empty message if that would have more than `limit` bytes.
absl::Status EncodeFiles(const std::vector<LiveFile>& files, uint64_t generation, v1::ListFilesResponse* message,
                         size_t limit = kMaxResponseBytes);
void EncodeCounts(const ConvergenceCounts& counts, v1::WatchConvergenceResponse* message);
void EncodeWindows(const std::vector<WindowUse>& windows, v1::GetWindowResponse* message);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CODEC_H_
