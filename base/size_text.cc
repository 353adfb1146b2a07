#include "base/size_text.h"

#include <cstdint>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace daxvmm {
namespace {

constexpr absl::string_view kLetters = "KMGT";

}  // namespace

absl::StatusOr<ByteCount> ParseSize(absl::string_view text) {
  absl::Status bad = absl::InvalidArgumentError(absl::StrCat("'", text, "' is not a size such as 512K, 64M or 2G"));
  std::string digits = absl::AsciiStrToUpper(text);
  unsigned shift = 0;
  absl::string_view rest = digits;
  const bool has_ib = absl::ConsumeSuffix(&rest, "IB");
  if (!rest.empty() && kLetters.find(rest.back()) != absl::string_view::npos) {
    shift = 10 * static_cast<unsigned>(kLetters.find(rest.back()) + 1);
    rest.remove_suffix(1);
  } else if (has_ib) {
    return bad;
  }
  // SimpleAtoi alone would let signs and white space pass.
  for (const char c : rest) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return bad;
  }
  uint64_t value = 0;
  if (!absl::SimpleAtoi(rest, &value)) return bad;
  if (value > (static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) >> shift)) return bad;
  return ByteCount(value << shift);
}

std::string FormatSize(ByteCount size) {
  uint64_t value = size.raw();
  size_t unit = 0;
  while (value != 0 && value % 1024 == 0 && unit < kLetters.size()) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0) return absl::StrCat(value, " B");
  return absl::StrCat(value, " ", kLetters.substr(unit - 1, 1), "iB");
}

}  // namespace daxvmm
