// JSON into a message by protobuf's JSON mapping, with the line of every field. Knows what daxvmm.v1.Policy is made of:
// messages, lists, strings, booleans, whole numbers and enums; no maps, bytes, floating point or well-known types.
#ifndef DAXVMM_CONTROL_JSON_MESSAGE_H_
#define DAXVMM_CONTROL_JSON_MESSAGE_H_

#include <google/protobuf/message.h>

#include <map>
#include <string>

#include "absl/status/status.h"
#include "control/json_reader.h"

namespace daxvmm::control {

// Line by path: "rules[3].size_below".
using FieldLines = std::map<std::string, int>;

// Fills `message`, which is empty, and `lines`. INVALID_ARGUMENT "LINE: FIELD: what is wrong"; an unknown field and one
// that comes twice are errors.
absl::Status JsonToMessage(const JsonValue& value, google::protobuf::Message* message, FieldLines* lines);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_JSON_MESSAGE_H_
