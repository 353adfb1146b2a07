#include "control/text.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace daxvmm::control {
namespace {

// The length of the UTF-8 sequence at the start of `text`, 0 if there is none (Unicode 15, table 3-7).
size_t Utf8SequenceLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (first >= 0xc2 && first <= 0xdf) {
    length = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    length = 3;
    if (first == 0xe0) low = 0xa0;   // overlong
    if (first == 0xed) high = 0x9f;  // surrogates
  } else if (first >= 0xf0 && first <= 0xf4) {
    length = 4;
    if (first == 0xf0) low = 0x90;   // overlong
    if (first == 0xf4) high = 0x8f;  // beyond U+10FFFF
  }
  if (length == 0 || text.size() < length || byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  return length;
}

// Whether `text` begins with \xNN.
bool BeginsWithEscape(absl::string_view text) {
  return text.size() >= 4 && text[0] == '\\' && text[1] == 'x' &&
         absl::ascii_isxdigit(static_cast<unsigned char>(text[2])) &&
         absl::ascii_isxdigit(static_cast<unsigned char>(text[3]));
}

int HexDigit(char c) { return c <= '9' ? c - '0' : absl::ascii_tolower(static_cast<unsigned char>(c)) - 'a' + 10; }

std::string Escape(absl::string_view bytes, bool path) {
  std::string out;
  out.reserve(bytes.size());
  // Whole stretches at once: nearly every name is valid to its end.
  size_t valid = 0;
  while (!bytes.empty()) {
    const absl::string_view rest = bytes.substr(valid);
    const size_t length = rest.empty() || (path && BeginsWithEscape(rest)) ? 0 : Utf8SequenceLength(rest);
    valid += length;
    if (length != 0) continue;
    out.append(bytes.data(), valid);
    bytes.remove_prefix(valid);
    valid = 0;
    if (bytes.empty()) break;
    absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(bytes[0]));
    bytes.remove_prefix(1);
  }
  return out;
}

}  // namespace

std::string EscapeNonUtf8(absl::string_view bytes) { return Escape(bytes, /*path=*/false); }

std::string ToPathText(absl::string_view bytes) { return Escape(bytes, /*path=*/true); }

std::string FromPathText(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    if (BeginsWithEscape(text)) {
      out += static_cast<char>(HexDigit(text[2]) << 4 | HexDigit(text[3]));
      text.remove_prefix(4);
    } else {
      out += text[0];
      text.remove_prefix(1);
    }
  }
  return out;
}

std::string DurationText(absl::Duration duration) {
  if (duration == absl::InfiniteDuration()) return "ever";
  duration = std::max(duration, absl::ZeroDuration());
  if (duration > absl::ZeroDuration()) duration = std::max(duration, absl::Milliseconds(1));
  // Three digits are enough for any number that means something here, and tell 0.1 s from 0.13.
  const double seconds = absl::ToDoubleSeconds(duration);
  return seconds < 100 ? absl::StrFormat("%.3g s", seconds) : absl::StrFormat("%.0f s", seconds);
}

}  // namespace daxvmm::control
