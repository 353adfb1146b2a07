#include "control/call_gate.h"

#include <grpc/grpc_security_constants.h>

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/error_reason.h"
#include "base/log.h"
#include "base/status.h"

namespace daxvmm::control {
namespace {

absl::Status TooManyAnswers(const CallBudget& budget) {
  return WithReason(absl::ResourceExhaustedError(absl::StrCat("more than ", budget.limits().answer_bytes,
                                                              " bytes of answers wait to be read by you; read them")),
                    "TOO_MANY_CALLS");
}

// As a certificate may have any bytes.
std::string Quoted(const std::string& name) { return absl::StrCat("'", absl::CHexEscape(name), "'"); }

}  // namespace

CallGate::CallGate(Caller caller, const CallBudget::Limits& limits)
    : fixed_(std::make_unique<Principal>(std::move(caller), limits)) {}

CallGate::CallGate(const std::vector<AllowRule>& rules, const CallBudget::Limits& limits) : access_(rules) {
  for (const AllowRule& rule : rules) {
    if (rule.kind != AllowRule::Kind::kCertificate) continue;
    const auto match = access_->OfCertificate({&rule.name, 1});
    by_name_.emplace(rule.name,
                     std::make_unique<Principal>(
                         Caller{.who = absl::StrCat("certificate ", Quoted(rule.name)), .role = match->role}, limits));
  }
}

CallGate::Principal* CallGate::Find(const grpc::AuthContext* peer, std::string* names) {
  if (fixed_) return fixed_.get();
  if (peer == nullptr || !peer->IsPeerAuthenticated()) return nullptr;
  std::vector<std::string> found;
  for (const char* property : {GRPC_X509_CN_PROPERTY_NAME, GRPC_X509_SAN_PROPERTY_NAME}) {
    for (const grpc::string_ref& value : peer->FindPropertyValues(property)) {
      found.emplace_back(value.data(), value.size());
    }
  }
  if (const auto match = access_->OfCertificate(found)) return by_name_.at(match->name).get();
  if (names != nullptr)
    *names = absl::StrJoin(found, ", ",
                           [](std::string* out, const std::string& name) { absl::StrAppend(out, Quoted(name)); });
  return nullptr;
}

absl::Status CallGate::Unlisted(const std::string& names, const char* method) const {
  LOG_LIMITED(kWarning) << "control: refused a call with the certificate " << names;
  return WithReason(Deny(method, absl::StrCat("certificate ", names),
                         absl::StrCat("no --control-allow lists your certificate, which names ", names)),
                    "CERTIFICATE_NOT_LISTED");
}

absl::Status CallGate::Deny(const char* method, const std::string& who, absl::string_view why) const {
  const absl::Status denied = absl::PermissionDeniedError(why);
  if (audit_log_ != nullptr) {
    audit_log_->Write({.time = absl::Now(), .action = method, .source = "request", .who = who, .result = denied});
  }
  return denied;
}

CallBudget* CallGate::BudgetOf(const grpc::AuthContext* peer) {
  Principal* const principal = Find(peer, nullptr);
  return principal == nullptr ? nullptr : &principal->budget;
}

absl::Status CallGate::Arrive(const grpc::AuthContext* peer) {
  std::string names;
  Principal* const principal = Find(peer, &names);
  if (principal == nullptr) return Unlisted(names, "call");
  if (principal->budget.Arrived(CallBudget::Clock::now())) return absl::OkStatus();
  const CallBudget::Limits& limits = principal->budget.limits();
  return WithReason(
      absl::ResourceExhaustedError(absl::StrCat(principal->caller.who, " makes more than ", limits.calls_per_second,
                                                " calls a second, or ", limits.burst, " at once; try again later")),
      "TOO_MANY_CALLS");
}

absl::StatusOr<Caller> CallGate::Admit(const grpc::CallbackServerContext& context, const char* method, Role needed) {
  std::string names;
  Principal* const principal = Find(context.auth_context().get(), &names);
  if (principal == nullptr) return Unlisted(names, method);
  if (needed == Role::kOperator && principal->caller.role != Role::kOperator) {
    return WithReason(Deny(method, principal->caller.who,
                           absl::StrCat(method, " is for operators; ", principal->caller.who, " is read-only")),
                      "ROLE_REQUIRED", {{"role", "operator"}});
  }
  if (!principal->budget.MayAnswer()) return TooManyAnswers(principal->budget);
  return principal->caller;
}

absl::Status CallGate::MayAnswer(const grpc::CallbackServerContext& context) {
  CallBudget* const budget = BudgetOf(fixed_ ? nullptr : context.auth_context().get());
  return budget == nullptr || budget->MayAnswer() ? absl::OkStatus() : TooManyAnswers(*budget);
}

}  // namespace daxvmm::control
