// What stands before every call: who it is from, whether that one may make it, and whether not too many are made.
#ifndef DAXVMM_CONTROL_CALL_GATE_H_
#define DAXVMM_CONTROL_CALL_GATE_H_

#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "control/audit_log.h"
#include "control/call_budget.h"
#include "control/caller.h"
#include "control/control_access.h"

namespace daxvmm::control {

// One per server, which has one kind of caller: gRPC does not tell its services which connection a call came by. Any
// thread may call any method.
class CallGate {
 public:
  // All calls are of `caller`.
  CallGate(Caller caller, const CallBudget::Limits& limits = {});
  // Calls come over TLS: each is of whom its certificate names, by the rules for certificates.
  CallGate(const std::vector<AllowRule>& rules, const CallBudget::Limits& limits);

  // Where permissions that are denied are written as well; null: nowhere. Before the first call; outlives this.
  void SetAuditLog(AuditLog* audit_log) { audit_log_ = audit_log; }

  // Before anything of a call but its header block is looked at: RESOURCE_EXHAUSTED if the caller makes too many,
  // PERMISSION_DENIED for a certificate that nobody listed.
  absl::Status Arrive(const grpc::AuthContext* peer);
  // PERMISSION_DENIED if `needed` is more than the caller has, RESOURCE_EXHAUSTED if it has to take answers first.
  absl::StatusOr<Caller> Admit(const grpc::CallbackServerContext& context, const char* method, Role needed);
  // The second half of Admit again, for a call that has waited since.
  absl::Status MayAnswer(const grpc::CallbackServerContext& context);
  // Whose calls these are; null for a certificate that nobody listed. Lives as long as the gate.
  CallBudget* BudgetOf(const grpc::AuthContext* peer);
  // With one kind of caller: its budget. Else null.
  CallBudget* budget() { return fixed_ ? &fixed_->budget : nullptr; }

 private:
  struct Principal {
    Principal(Caller caller, const CallBudget::Limits& limits) : caller(std::move(caller)), budget(limits) {}
    const Caller caller;
    CallBudget budget;
  };

  // Null if nobody listed the peer. `names`, if given, gets what its certificate says.
  Principal* Find(const grpc::AuthContext* peer, std::string* names);
  absl::Status Unlisted(const std::string& names, const char* method) const;
  absl::Status Deny(const char* method, const std::string& who, absl::string_view why) const;

  AuditLog* audit_log_ = nullptr;
  std::unique_ptr<Principal> fixed_;
  std::optional<AccessList> access_;
  // By name in the rules; fixed once made.
  std::map<std::string, std::unique_ptr<Principal>> by_name_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CALL_GATE_H_
