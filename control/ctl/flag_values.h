// Values of flags as text.
#ifndef DAXVMM_CONTROL_CTL_FLAG_VALUES_H_
#define DAXVMM_CONTROL_CTL_FLAG_VALUES_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace daxvmm::control {

// All errors are INVALID_ARGUMENT in one line that repeats the value.

// A number of seconds, also with a fraction.
absl::StatusOr<absl::Duration> ParseSeconds(absl::string_view value, double least, double most);
// "90", "90s", "15m", "12h" or "7d": a second to a year.
absl::StatusOr<absl::Duration> ParseSpan(absl::string_view value);
// `what` is "a generation".
absl::StatusOr<uint64_t> ParseWholeNumber(absl::string_view value, absl::string_view what);
absl::StatusOr<bool> ParseYesNo(absl::string_view value);
// Not empty.
absl::Status SetText(absl::string_view value, std::string* text);

// A word and what it stands for. Tables of choices are kept static.
template <typename T>
struct Choice {
  const char* word;
  T value;
};

// "a, b or c".
std::string JoinChoices(const std::vector<std::string>& words);
// "\"x\" is none of a, b and c; did you mean b?"
absl::Status NoSuchChoice(absl::string_view value, const std::vector<std::string>& words);

template <typename T>
std::vector<std::string> WordsOf(std::span<const Choice<T>> choices) {
  std::vector<std::string> words;
  for (const Choice<T>& choice : choices) words.emplace_back(choice.word);
  return words;
}

template <typename T>
absl::StatusOr<T> ParseChoice(absl::string_view value, std::span<const Choice<T>> choices) {
  for (const Choice<T>& choice : choices) {
    if (value == choice.word) return choice.value;
  }
  return NoSuchChoice(value, WordsOf(choices));
}

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_FLAG_VALUES_H_
