// The frame of a state file: one line of header that says what the file is, its format, and the length and checksum of
// the body, which is text.
#ifndef DAXVMM_CONTROL_STATE_FILE_H_
#define DAXVMM_CONTROL_STATE_FILE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace daxvmm::control {

// Far above what the bounds of a policy, its overrides and its history allow.
inline constexpr size_t kMaxStateFileBytes = size_t{64} << 20;

std::string FrameState(absl::string_view body);

// The body, which points into `file`. DATA_LOSS with the reason ("torn: ...", "not a state file of daxvmm") for
// whatever FrameState has not made.
absl::StatusOr<absl::string_view> UnframeState(absl::string_view file);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_STATE_FILE_H_
