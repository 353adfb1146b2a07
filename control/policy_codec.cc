#include "control/policy_codec.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

using RepeatedText = google::protobuf::RepeatedPtrField<std::string>;

absl::Status BadField(absl::string_view field, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", why));
}

std::string Below(absl::string_view field, absl::string_view name) {
  return field.empty() ? std::string(name) : absl::StrCat(field, ".", name);
}

absl::StatusOr<dax::Enforcement> DecodeEnforcement(v1::Enforcement enforcement, absl::string_view field) {
  switch (enforcement) {
    case v1::ENFORCEMENT_UNSPECIFIED:
    case v1::ENFORCEMENT_ADVISORY:
      return dax::Enforcement::kAdvisory;
    case v1::ENFORCEMENT_DENY:
      return dax::Enforcement::kDeny;
    default:
      return BadField(field, absl::StrCat("the value ", static_cast<int>(enforcement), " is not known"));
  }
}

std::vector<std::string> DecodeTexts(const RepeatedText& texts) {
  std::vector<std::string> out;
  out.reserve(texts.size());
  for (const std::string& text : texts) out.push_back(FromPathText(text));
  return out;
}

void EncodeTexts(const std::vector<std::string>& bytes, RepeatedText* texts) {
  for (const std::string& one : bytes) *texts->Add() = ToPathText(one);
}

dax::IdRange DecodeRange(const v1::IdRange& message) { return {.first = message.first(), .last = message.last()}; }

void EncodeRange(const dax::IdRange& range, v1::IdRange* message) {
  message->set_first(range.first);
  message->set_last(range.last);
}

// What the values may be is left to dax::Validate, which spells the fields as the contract does.
absl::StatusOr<dax::Rule> DecodeRule(const v1::Rule& message, const std::string& field) {
  dax::Rule rule;
  rule.name = message.name();
  if (message.has_share()) rule.share_tag = FromPathText(message.share());
  if (message.has_read_only_share()) rule.read_only_share = message.read_only_share();
  rule.paths = DecodeTexts(message.paths());
  rule.subtrees = DecodeTexts(message.subtrees());
  rule.extensions = DecodeTexts(message.extensions());
  if (message.has_size_at_least()) rule.size_at_least = ByteCount(message.size_at_least());
  if (message.has_size_below()) rule.size_below = ByteCount(message.size_below());
  if (message.has_owner_uid()) rule.owner_uid = DecodeRange(message.owner_uid());
  if (message.has_owner_gid()) rule.owner_gid = DecodeRange(message.owner_gid());
  if (message.has_executable()) rule.executable = message.executable();
  if (message.has_dax_hint()) rule.dax_hint = message.dax_hint();
  if (message.has_huge_pages()) rule.huge_pages = message.huge_pages();
  ASSIGN_OR_RETURN(rule.outcome, DecodeOutcome(message.outcome(), field + ".outcome"));
  return rule;
}

void EncodeRule(const dax::Rule& rule, v1::Rule* message) {
  message->set_name(EscapeNonUtf8(rule.name));
  if (rule.share_tag) message->set_share(ToPathText(*rule.share_tag));
  if (rule.read_only_share) message->set_read_only_share(*rule.read_only_share);
  EncodeTexts(rule.paths, message->mutable_paths());
  EncodeTexts(rule.subtrees, message->mutable_subtrees());
  EncodeTexts(rule.extensions, message->mutable_extensions());
  if (rule.size_at_least) message->set_size_at_least(rule.size_at_least->raw());
  if (rule.size_below) message->set_size_below(rule.size_below->raw());
  if (rule.owner_uid) EncodeRange(*rule.owner_uid, message->mutable_owner_uid());
  if (rule.owner_gid) EncodeRange(*rule.owner_gid, message->mutable_owner_gid());
  if (rule.executable) message->set_executable(*rule.executable);
  if (rule.dax_hint) message->set_dax_hint(*rule.dax_hint);
  if (rule.huge_pages) message->set_huge_pages(*rule.huge_pages);
  message->set_outcome(EncodeOutcome(rule.outcome));
}

}  // namespace

absl::StatusOr<dax::Outcome> DecodeOutcome(v1::Outcome outcome, absl::string_view field) {
  switch (outcome) {
    case v1::OUTCOME_DAX:
      return dax::Outcome::kDax;
    case v1::OUTCOME_NO_DAX:
      return dax::Outcome::kNoDax;
    case v1::OUTCOME_FOLLOW_HINT:
      return dax::Outcome::kFollowHint;
    case v1::OUTCOME_ADAPTIVE:
      return dax::Outcome::kAdaptive;
    case v1::OUTCOME_UNSPECIFIED:
      return BadField(field, "missing; OUTCOME_DAX, OUTCOME_NO_DAX, OUTCOME_FOLLOW_HINT or OUTCOME_ADAPTIVE is needed");
    default:  // proto3 enums are open: any number arrives
      return BadField(field, absl::StrCat("the value ", static_cast<int>(outcome), " is not known"));
  }
}

v1::Outcome EncodeOutcome(dax::Outcome outcome) {
  switch (outcome) {
    case dax::Outcome::kDax:
      return v1::OUTCOME_DAX;
    case dax::Outcome::kNoDax:
      return v1::OUTCOME_NO_DAX;
    case dax::Outcome::kFollowHint:
      return v1::OUTCOME_FOLLOW_HINT;
    case dax::Outcome::kAdaptive:
      return v1::OUTCOME_ADAPTIVE;
  }
  return v1::OUTCOME_UNSPECIFIED;
}

absl::StatusOr<dax::Policy> DecodePolicy(const v1::Policy& message, absl::string_view field) {
  const std::string rules = Below(field, "rules");
  // Before anything is allocated for them.
  if (static_cast<size_t>(message.rules_size()) > dax::kMaxRules) {
    return BadField(rules, absl::StrCat(message.rules_size(), " rules, but at most ", dax::kMaxRules, " are allowed"));
  }
  dax::Policy policy;
  policy.rules.reserve(message.rules_size());
  for (int i = 0; i < message.rules_size(); ++i) {
    ASSIGN_OR_RETURN(dax::Rule rule, DecodeRule(message.rules(i), absl::StrCat(rules, "[", i, "]")));
    policy.rules.push_back(std::move(rule));
  }
  ASSIGN_OR_RETURN(policy.default_outcome, DecodeOutcome(message.default_outcome(), Below(field, "default_outcome")));
  ASSIGN_OR_RETURN(policy.enforcement, DecodeEnforcement(message.enforcement(), Below(field, "enforcement")));
  if (const absl::Status valid = dax::Validate(policy); !valid.ok()) {
    return absl::Status(valid.code(), Below(field, valid.message()));
  }
  return policy;
}

void EncodePolicy(const dax::Policy& policy, v1::Policy* message) {
  message->Clear();
  for (const dax::Rule& rule : policy.rules) EncodeRule(rule, message->add_rules());
  message->set_default_outcome(EncodeOutcome(policy.default_outcome));
  message->set_enforcement(policy.enforcement == dax::Enforcement::kDeny ? v1::ENFORCEMENT_DENY
                                                                         : v1::ENFORCEMENT_ADVISORY);
}

}  // namespace daxvmm::control
