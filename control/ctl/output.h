// How daxvmmctl shows the answers: tables for people, protobuf's JSON mapping for scripts.
#ifndef DAXVMM_CONTROL_CTL_OUTPUT_H_
#define DAXVMM_CONTROL_CTL_OUTPUT_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control {

// Service name and status.
using HealthList = std::vector<std::pair<std::string, std::string>>;

std::string PolicyTable(const v1::GetPolicyResponse& response);
std::string FilesTable(const v1::ListFilesResponse& response);
std::string WindowTable(const v1::GetWindowResponse& response);
std::string HealthTable(const HealthList& services);

// Field names as in the .proto, every field printed but an absent optional one, 64-bit numbers as strings (the JSON
// mapping of protobuf), enums by name.
std::string Json(const google::protobuf::Message& message);
std::string HealthJson(const HealthList& services);

// A daxvmm.v1.Policy in that mapping; INVALID_ARGUMENT for anything else, an unknown field included.
absl::StatusOr<v1::Policy> ParsePolicyJson(absl::string_view text);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_OUTPUT_H_
