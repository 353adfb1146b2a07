#include "control/call_counts.h"

#include <algorithm>
#include <iterator>

namespace daxvmm::control {

void CallCounts::Add(absl::string_view method, int code) {
  const size_t slash = method.rfind('/');
  if (slash != absl::string_view::npos) method.remove_prefix(slash + 1);
  const auto* const last = std::end(kCountedMethods) - 1;
  const auto* const found =
      std::find_if(std::begin(kCountedMethods), last, [method](const char* name) { return method == name; });
  constexpr int kUnknown = 2;
  if (code < 0 || code >= kStatusCodes) code = kUnknown;
  counts_[found - std::begin(kCountedMethods)][code].fetch_add(1, std::memory_order_relaxed);
}

std::vector<CallCounts::Count> CallCounts::Snapshot() const {
  std::vector<Count> all;
  for (size_t method = 0; method < kMethods; ++method) {
    for (int code = 0; code < kStatusCodes; ++code) {
      const uint64_t calls = counts_[method][code].load(std::memory_order_relaxed);
      if (calls != 0) all.push_back({.method = kCountedMethods[method], .code = code, .calls = calls});
    }
  }
  return all;
}

}  // namespace daxvmm::control
