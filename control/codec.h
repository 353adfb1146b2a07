// Between the messages of DaxPolicyService and the plain structs of the controller. Every check of a message stands
// here and in policy_codec.h, list_codec.h and window_codec.h: behind them there are only valid values.
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

// Requests. INVALID_ARGUMENT names the field at fault. `options.requester` is left empty.

struct SetPolicyCommand {
  dax::Policy policy;  // where a part is not to be taken (options.parts), there is something valid
  PolicySetOptions options;
  bool validate_only = false;
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

// Replies. `message` is filled anew.

void EncodePolicyState(const PolicyState& state, v1::GetPolicyResponse* message);
// The last `limit` of them; 0: all.
void EncodeHistory(const std::vector<dax::PolicyHistoryEntry>& entries, uint32_t limit,
                   v1::ListPolicyHistoryResponse* message);
// What every reply to a change carries.
void EncodeBound(const PolicyChange& change, v1::ChangeBound* message);
void EncodeEffect(const PolicyPreview& preview, v1::PolicyEffect* message);
void EncodeExplanation(const Explanation& explanation, v1::ExplainFileResponse* message);
void EncodeCounts(const ConvergenceCounts& counts, v1::WatchConvergenceResponse* message);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CODEC_H_
