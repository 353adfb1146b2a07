// Between the messages of DaxWindowService and the plain structs of the controller. Every check of such a message
// stands here.
#ifndef DAXVMM_CONTROL_WINDOW_CODEC_H_
#define DAXVMM_CONTROL_WINDOW_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "control/controller.h"
#include "control/page_token.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control {

// Requests. INVALID_ARGUMENT names the field at fault.

struct ListMappingsCommand {
  MappingQuery query;
  uint64_t conditions = 0;  // for the token of the next page
};
absl::StatusOr<ListMappingsCommand> DecodeListMappings(const v1::ListMappingsRequest& message);

struct WatchWindowCommand {
  std::string share_tag;  // empty: all
  absl::Duration interval = absl::Seconds(1);
};
absl::StatusOr<WatchWindowCommand> DecodeWatchWindow(const v1::WatchWindowRequest& message);

// Replies. `message` is filled anew.

void EncodeWindows(const std::vector<WindowUse>& windows, v1::GetWindowResponse* message);
// Those of `share_tag`, or all if it is empty.
void EncodeWindowSample(absl::Time at, const std::vector<WindowUse>& windows, const std::string& share_tag,
                        uint64_t dropped_samples, v1::WatchWindowResponse* message);
// As EncodeFilePage.
void EncodeMappingPage(const MappingPage& page, const ListMappingsCommand& command, v1::ListMappingsResponse* message,
                       size_t limit = kMaxPageBytes);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_WINDOW_CODEC_H_
