// The machine's part in watching a policy file.
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "base/log.h"
#include "vmm/machine.h"

namespace daxvmm::vmm {

absl::StatusOr<control::PolicyChange> Machine::SetPolicyFromFile(const dax::Policy& policy) {
  const absl::StatusOr<uint64_t> generation = policy_.Set(
      ComposePolicy(config_, policy), {.source = {.kind = dax::SourceKind::kFile, .detail = config_.policy_file}});
  if (!generation.ok()) {
    return absl::Status(
        generation.status().code(),
        absl::StrCat(config_.policy_file, ": with the rules of shares in front: ", generation.status().message()));
  }
  LOG(kInfo) << config_.policy_file << ": policy generation " << *generation << " is in force";
  control::PolicyChange change;
  change.generation = *generation;
  return change;
}

void Machine::ReportPolicyFile(const absl::Status& error) {
  if (!error.ok()) events_.Append(control::EventKind::kPolicyFileRefused, std::string(error.message()));
  MutexLock lock(&mu_);
  if (error.ok()) {
    policy_file_error_.reset();
  } else {
    policy_file_error_ = {.message = std::string(error.message()), .time = absl::Now()};
  }
}

}  // namespace daxvmm::vmm
