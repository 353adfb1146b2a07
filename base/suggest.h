// "Did you mean": the nearest of some words to a mistyped one.
#ifndef DAXVMM_BASE_SUGGEST_H_
#define DAXVMM_BASE_SUGGEST_H_

#include <span>
#include <string>

#include "absl/strings/string_view.h"

namespace daxvmm {

// The candidate that fewest insertions, deletions, replacements and swaps of neighbours turn into `word`; the first of
// several. Empty if none is near: of three letters (dashes in front do not count) one may be wrong, of two none. A word
// that begins a single candidate is near it, however much is missing.
std::string Nearest(absl::string_view word, std::span<const std::string> candidates);

// "; did you mean CANDIDATE?", or nothing.
std::string DidYouMean(absl::string_view word, std::span<const std::string> candidates);

}  // namespace daxvmm

#endif  // DAXVMM_BASE_SUGGEST_H_
