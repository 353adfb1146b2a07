#include "base/suggest.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace daxvmm {
namespace {

// Longer words are no typing mistakes of ours, and the work grows with the square.
constexpr size_t kMaxWord = 64;

// How many letters may be wrong.
size_t Allowed(absl::string_view word) {
  while (absl::ConsumePrefix(&word, "-")) continue;
  return word.size() < 3 ? 0 : std::max<size_t>(1, word.size() / 3);
}

// The distance of Damerau and Levenshtein, with each letter moved once at most.
size_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> before(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string Nearest(absl::string_view word, std::span<const std::string> candidates) {
  if (word.empty() || word.size() > kMaxWord) return "";
  const std::string* begun = nullptr;
  size_t times_begun = 0;
  const std::string* nearest = nullptr;
  size_t least = Allowed(word) + 1;
  for (const std::string& candidate : candidates) {
    if (absl::StartsWith(candidate, word) && (begun == nullptr || *begun != candidate)) {
      begun = &candidate;
      ++times_begun;
    }
    const size_t distance = Distance(word, candidate);
    if (distance < least && distance < candidate.size()) {
      least = distance;
      nearest = &candidate;
    }
  }
  if (nearest != nullptr) return *nearest;
  return times_begun == 1 ? *begun : "";
}

std::string DidYouMean(absl::string_view word, std::span<const std::string> candidates) {
  const std::string nearest = Nearest(word, candidates);
  return nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?");
}

}  // namespace daxvmm
