// A name of what went wrong, for programs, beside a status' text, which is for people and may change.
#ifndef DAXVMM_BASE_ERROR_REASON_H_
#define DAXVMM_BASE_ERROR_REASON_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace daxvmm {

// What the reason is about: {"share", "data"}. Keys are lower_snake_case.
using ReasonFacts = std::map<std::string, std::string>;

// `status` with a reason in UPPER_SNAKE_CASE, "STALE_ETAG", and facts. The reason that it has already stays, with its
// facts: the place that is nearest to the error knows best. OK stays OK.
absl::Status WithReason(absl::Status status, absl::string_view reason, const ReasonFacts& facts = {});

// Empty if it has none.
std::string ReasonOf(const absl::Status& status);
ReasonFacts FactsOfReason(const absl::Status& status);

}  // namespace daxvmm

#endif  // DAXVMM_BASE_ERROR_REASON_H_
