#include "control/ctl/flag_values.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/suggest.h"

namespace daxvmm::control {
namespace {

constexpr double kMaxSpanSeconds = 366.0 * 86400;

}  // namespace

absl::StatusOr<absl::Duration> ParseSeconds(absl::string_view value, double least, double most) {
  double seconds = 0;
  if (!absl::SimpleAtod(value, &seconds) || !(seconds >= least && seconds <= most)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("\"%s\" is not a number of seconds from %.6g to %.15g", value, least, most));
  }
  return absl::Seconds(seconds);
}

absl::StatusOr<absl::Duration> ParseSpan(absl::string_view value) {
  absl::string_view number = value;
  double unit = 1;
  if (!number.empty()) {
    const char last = number.back();
    unit = last == 'm' ? 60 : last == 'h' ? 3600 : last == 'd' ? 86400 : 1;
    if (last == 's' || unit != 1) number.remove_suffix(1);
  }
  double count = 0;
  if (!absl::SimpleAtod(number, &count) || !(count * unit >= 1 && count * unit <= kMaxSpanSeconds)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", value, "\" is not a time such as 90s, 15m, 12h or 7d, of a second to a year"));
  }
  return absl::Seconds(count * unit);
}

absl::StatusOr<uint64_t> ParseWholeNumber(absl::string_view value, absl::string_view what) {
  uint64_t number = 0;
  if (!absl::SimpleAtoi(value, &number)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", value, "\" is not ", what, ", a whole number"));
  }
  return number;
}

absl::StatusOr<bool> ParseYesNo(absl::string_view value) {
  if (value != "yes" && value != "no") {
    return absl::InvalidArgumentError(absl::StrCat("\"", value, "\" is neither yes nor no"));
  }
  return value == "yes";
}

absl::Status SetText(absl::string_view value, std::string* text) {
  if (value.empty()) return absl::InvalidArgumentError("the value is empty");
  *text = std::string(value);
  return absl::OkStatus();
}

std::string JoinChoices(const std::vector<std::string>& words) {
  if (words.empty()) return "";
  const std::string start = absl::StrJoin(words.begin(), words.end() - 1, ", ");
  return absl::StrCat(start, start.empty() ? "" : " or ", words.back());
}

absl::Status NoSuchChoice(absl::string_view value, const std::vector<std::string>& words) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", value, "\" is not ", JoinChoices(words), DidYouMean(value, words)));
}

}  // namespace daxvmm::control
