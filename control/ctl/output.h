// How daxvmmctl shows values: what the tables of all commands have in common, and the forms for programs.
#ifndef DAXVMM_CONTROL_CTL_OUTPUT_H_
#define DAXVMM_CONTROL_CTL_OUTPUT_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "control/ctl/text_table.h"
#include "control/ctl/view.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"
#include "proto/daxvmm/v1/machine.pb.h"

namespace daxvmm::control {

std::string YesNo(bool value);
// "yes" or "no", in the colour of DAX.
Cell DaxCell(bool dax);
// "OUTCOME_NO_DAX" as "no-dax": what the contract adds for the sake of unique names is noise to a reader. A number for
// a value without a name, which a newer server may send.
std::string EnumText(int value, const std::string& name, absl::string_view prefix);
// "policy-changed".
std::string EventKindText(v1::Event::Kind kind);
// "64 MiB".
std::string SizeText(uint64_t bytes);
// "1.5 GiB": three digits at most, for what is to be read and not to be used again.
std::string RoughSizeText(uint64_t bytes);
// "0.4 s".
std::string DurationOf(const google::protobuf::Duration& duration);
absl::Time TimeOf(const google::protobuf::Timestamp& time);
google::protobuf::Duration ToProto(absl::Duration duration);
// "2026-05-01 12:00:00 UTC".
std::string TimeText(const google::protobuf::Timestamp& time);
// "3 min ago", "in 20 s", "now".
std::string AgoText(absl::Time time, absl::Time now);
// "3 min".
std::string SpanText(absl::Duration span);
// "cached 0.4 s", "held open".
std::string StateText(v1::Convergence convergence, const google::protobuf::Duration& attributes_left);
Tone StateTone(v1::Convergence convergence);
// "generation 3: 12 converged, 2 cached for 0.8 s, 1 held open": the kinds that there are.
std::string CountsLine(const v1::WatchConvergenceResponse& response);
// The line above a table, with a newline; empty where there are to be no headings.
std::string Title(const std::string& text, const View& view);

// Field names as in the .proto, 64-bit numbers as strings (the JSON mapping of protobuf), enums by name. `all`: also
// fields that have their default, but for absent optional ones. `compact`: on one line, without a newline.
std::string Json(const google::protobuf::Message& message, bool all = true, bool compact = false);
// Protobuf's text format.
std::string TextFormat(const google::protobuf::Message& message);
// The same on one line, without a newline.
std::string TextLine(const google::protobuf::Message& message);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_OUTPUT_H_
