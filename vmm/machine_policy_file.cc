// The machine's part in watching a policy file.
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "base/log.h"
#include "vmm/machine.h"

namespace daxvmm::vmm {

absl::StatusOr<control::PolicyChange> Machine::SetPolicyFromFile(const dax::Policy& policy) {
  const absl::StatusOr<uint64_t> generation =
      policy_.Set(ComposePolicy(config_, policy),
                  {.source = {.kind = dax::SourceKind::kFile, .detail = config_.policy_file}, .file_policy = &policy});
  if (!generation.ok()) {
    const bool wrong = !absl::IsUnavailable(generation.status());  // and not merely impossible to keep
    std::string message = absl::StrCat(config_.policy_file, wrong ? ": with the rules of shares in front: " : ": ",
                                       generation.status().message());
    absl::Status refusal(generation.status().code(), message);
    MutexLock lock(&mu_);
    policy_file_refusal_ = std::move(message);
    return refusal;
  }
  LOG(kInfo) << config_.policy_file << ": policy generation " << *generation << " is in force";
  control::PolicyChange change;
  change.generation = *generation;
  return change;
}

void Machine::ReportPolicyFile(const absl::Status& error) {
  if (!error.ok()) events_.Append(control::EventKind::kPolicyFileRefused, std::string(error.message()));
  bool known = false;
  {
    MutexLock lock(&mu_);
    if (error.ok()) {
      policy_file_error_.reset();
    } else {
      policy_file_error_ = {.message = std::string(error.message()), .time = absl::Now()};
    }
    // The store has told the audit log of that.
    known = std::exchange(policy_file_refusal_, "") == error.message();
  }
  if (error.ok() || known) return;
  keeper_->AuditRefusal("load-policy-file", {.kind = dax::SourceKind::kFile, .detail = config_.policy_file}, "", error);
}

}  // namespace daxvmm::vmm
