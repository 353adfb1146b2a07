// A small JSON reader (RFC 8259) that remembers lines: protobuf's own tells of none.
#ifndef DAXVMM_CONTROL_JSON_READER_H_
#define DAXVMM_CONTROL_JSON_READER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace daxvmm::control {

struct JsonMember;

struct JsonValue {
  enum class Kind { kNull, kBool, kNumber, kString, kArray, kObject };
  Kind kind = Kind::kNull;
  int line = 0;                     // from 1; where it begins
  bool boolean = false;             // of kBool
  std::string text;                 // of kString its characters in UTF-8, of kNumber its spelling
  std::vector<JsonValue> items;     // of kArray
  std::vector<JsonMember> members;  // of kObject, in their order; a name may come twice
};

struct JsonMember {
  std::string name;
  int line = 0;
  JsonValue value;
};

// Deeper nesting is refused, and so are more values than this: each costs some 100 bytes.
inline constexpr int kMaxJsonDepth = 32;
inline constexpr int kMaxJsonValues = 200'000;

// INVALID_ARGUMENT "LINE: what is wrong" for anything but one value with white space around it.
absl::StatusOr<JsonValue> ReadJson(absl::string_view text);

// "a string", "an object": for errors.
absl::string_view JsonKindName(JsonValue::Kind kind);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_JSON_READER_H_
