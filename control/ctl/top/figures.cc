#include "control/ctl/top/figures.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace daxvmm::control::top {
namespace {

std::string Scaled(double value, double base, absl::string_view letters) {
  size_t letter = 0;
  value /= base;
  // 999.6 would be printed as 1000.
  while (value >= base - 0.5 && letter + 1 < letters.size()) {
    value /= base;
    ++letter;
  }
  const bool whole = value >= 99.95 || std::lround(value * 10) % 10 == 0;
  return absl::StrFormat("%.*f%c", whole ? 0 : 1, value, letters[letter]);
}

}  // namespace

std::string CompactCount(uint64_t count) {
  return count < 100000 ? absl::StrCat(count) : Scaled(static_cast<double>(count), 1000, "kMGTPE");
}

std::string CompactSize(uint64_t bytes) {
  if (bytes < 1024 || (bytes < 100000 && bytes % 1024 != 0)) return absl::StrCat(bytes);
  return Scaled(static_cast<double>(bytes), 1024, "KMGTPE");
}

std::string CompactRate(double per_second) {
  if (!(per_second >= 0)) return "-";
  if (per_second < 999.95) return absl::StrFormat("%.1f", per_second);
  if (per_second < 99999.5) return absl::StrFormat("%.0f", per_second);
  return Scaled(per_second, 1000, "kMGTPE");
}

std::string CompactDuration(absl::Duration duration) {
  const int64_t seconds = std::max<int64_t>(0, absl::ToInt64Seconds(duration));
  if (seconds < 60) return absl::StrCat(seconds, "s");
  if (seconds < 3600) return absl::StrCat(seconds / 60, "m");
  if (seconds < 86400) return absl::StrFormat("%dh%02dm", seconds / 3600, seconds / 60 % 60);
  return absl::StrFormat("%dd%dh", seconds / 86400, seconds / 3600 % 24);
}

std::string Sparkline(const std::vector<double>& values, int columns, Charset charset) {
  constexpr const char* kAscii[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
  constexpr const char* kBlocks[] = {"\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84",
                                     "\xe2\x96\x85", "\xe2\x96\x86", "\xe2\x96\x87", "\xe2\x96\x88"};
  constexpr int kTop = static_cast<int>(std::size(kAscii)) - 1;
  const size_t shown = std::min(values.size(), static_cast<size_t>(std::max(0, columns)));
  const auto first = values.end() - static_cast<ptrdiff_t>(shown);
  const double highest = shown == 0 ? 0 : *std::max_element(first, values.end());
  std::string out;
  for (auto value = first; value != values.end(); ++value) {
    int level = 0;
    if (*value > 0) level = std::clamp(static_cast<int>(std::lround(*value / highest * kTop)), 1, kTop);
    out += (charset == Charset::kUtf8 ? kBlocks : kAscii)[level];
  }
  return out;
}

std::vector<int> Divide(const std::vector<uint64_t>& counts, int columns) {
  std::vector<int> parts(counts.size(), 0);
  const double all = std::accumulate(counts.begin(), counts.end(), 0.0,
                                     [](double sum, uint64_t count) { return sum + static_cast<double>(count); });
  if (all <= 0 || columns <= 0) return parts;
  int left = columns;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0 || left == 0) continue;
    parts[i] = std::clamp(static_cast<int>(static_cast<double>(counts[i]) / all * columns), 1, left);
    left -= parts[i];
  }
  // What rounding left goes to the largest part, which it changes least.
  parts[std::max_element(counts.begin(), counts.end()) - counts.begin()] += left;
  return parts;
}

}  // namespace daxvmm::control::top
