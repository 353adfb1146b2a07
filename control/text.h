// Bytes of host names, and durations, as text. The contract's "path text" is defined in proto/daxvmm/v1/daxvmm.proto.
#ifndef DAXVMM_CONTROL_TEXT_H_
#define DAXVMM_CONTROL_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace daxvmm::control {

// The text itself where it is UTF-8 (no surrogates, no overlong forms, at most U+10FFFF); every other byte becomes
// \xNN. For what is only shown: a proto3 string that is not UTF-8 fails the whole message.
std::string EscapeNonUtf8(absl::string_view bytes);

// As EscapeNonUtf8, and a backslash in front of "x" and two hexadecimal digits becomes \x5c, so that
// FromPathText(ToPathText(b)) == b for any bytes.
std::string ToPathText(absl::string_view bytes);
// \xNN becomes a byte, everything else stays. Any text is path text.
std::string FromPathText(absl::string_view text);

// "1 s", "0.25 s", "90 s"; "ever" for an infinite one. Not below 0; a millisecond at least is told from 0.
std::string DurationText(absl::Duration duration);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_TEXT_H_
