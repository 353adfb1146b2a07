// How daxvmmctl shows the answers: tables for people, protobuf's JSON mapping for scripts.
#ifndef DAXVMM_CONTROL_CTL_OUTPUT_H_
#define DAXVMM_CONTROL_CTL_OUTPUT_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control {

// Service name and status.
using HealthList = std::vector<std::pair<std::string, std::string>>;

// Of ctl/policy_output.cc.
std::string PolicyTable(const v1::GetPolicyResponse& response);
std::string HistoryTable(const v1::ListPolicyHistoryResponse& response);
std::string ExplanationText(const v1::ExplainFileResponse& response);

// `wide`: every column.
std::string FilesTable(const v1::ListFilesResponse& response, bool wide);
std::string WindowTable(const v1::GetWindowResponse& response, bool wide);
std::string HealthTable(const HealthList& services);
// "generation 3: 12 converged, 2 cached for 0.8 s, 1 held open": the kinds that there are.
std::string CountsLine(const v1::WatchConvergenceResponse& response);
// "cached 0.4 s", "held open".
std::string StateText(v1::Convergence convergence, const google::protobuf::Duration& attributes_left);
std::string YesNo(bool value);
// "OUTCOME_NO_DAX" as "no-dax": what the contract adds for the sake of unique names is noise to a reader. A number for
// a value without a name, which a newer server may send.
std::string EnumText(int value, const std::string& name, absl::string_view prefix);

// Field names as in the .proto, 64-bit numbers as strings (the JSON mapping of protobuf), enums by name. `all`: also
// fields that have their default, but for absent optional ones. `compact`: on one line, without a newline.
std::string Json(const google::protobuf::Message& message, bool all = true, bool compact = false);
std::string HealthJson(const HealthList& services);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_OUTPUT_H_
