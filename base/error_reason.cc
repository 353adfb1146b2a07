#include "base/error_reason.h"

#include <optional>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace daxvmm {
namespace {

// Types of payloads.
constexpr absl::string_view kReason = "daxvmm/reason";
constexpr absl::string_view kFactPrefix = "daxvmm/fact/";

}  // namespace

absl::Status WithReason(absl::Status status, absl::string_view reason, const ReasonFacts& facts) {
  if (status.ok() || status.GetPayload(kReason).has_value()) return status;
  status.SetPayload(kReason, absl::Cord(reason));
  for (const auto& [key, value] : facts) status.SetPayload(absl::StrCat(kFactPrefix, key), absl::Cord(value));
  return status;
}

std::string ReasonOf(const absl::Status& status) {
  const auto reason = status.GetPayload(kReason);
  return reason.has_value() ? std::string(*reason) : "";
}

ReasonFacts FactsOfReason(const absl::Status& status) {
  ReasonFacts facts;
  status.ForEachPayload([&facts](absl::string_view type, const absl::Cord& value) {
    if (absl::ConsumePrefix(&type, kFactPrefix)) facts.emplace(std::string(type), std::string(value));
  });
  return facts;
}

}  // namespace daxvmm
