// A policy file as bytes: read whole, bounded, and never waiting for anybody.
#ifndef DAXVMM_CONTROL_POLICY_FILE_H_
#define DAXVMM_CONTROL_POLICY_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace daxvmm::control {

inline constexpr size_t kMaxPolicyFileBytes = size_t{1} << 20;

// The content of the regular file at `path`. An error in one line that begins with the path: of the host,
// INVALID_ARGUMENT for what is no regular file or larger than 1 MiB, ABORTED if it changed while it was read.
absl::StatusOr<std::string> ReadPolicyFile(const std::string& path);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_POLICY_FILE_H_
