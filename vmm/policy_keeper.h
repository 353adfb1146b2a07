// Keeps a machine's policy in its state directory, and has the audit log tell of every change.
#ifndef DAXVMM_VMM_POLICY_KEEPER_H_
#define DAXVMM_VMM_POLICY_KEEPER_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "control/audit_log_file.h"
#include "control/saved_policy.h"
#include "control/state_directory.h"
#include "devices/virtio_fs/dax/policy_record.h"
#include "devices/virtio_fs/dax/policy_store.h"
#include "vmm/config.h"

namespace daxvmm::vmm {

class PolicyKeeper final : public dax::PolicyRecorder {
 public:
  // Opens what config.state_dir and config.audit_log name, and reads the state. An error's message begins with
  // "state-dir: " or "audit-log: ". A bad state is set aside if config.reset_bad_state says so, else refused.
  static absl::StatusOr<std::unique_ptr<PolicyKeeper>> Open(const MachineConfig& config);

  // What the store is to begin with; says in the log what there is to say of it. Once. Points into `config`.
  dax::PolicyStart Start(const MachineConfig& config);

  // Null: there is none.
  control::AuditLog* audit_log() const { return audit_log_.get(); }
  // Of what never came to the store: a request that was refused before it, a watched file that cannot be read. Any
  // thread.
  void AuditRefusal(absl::string_view action, const dax::PolicySource& source, absl::string_view change,
                    const absl::Status& why) const;

  // dax::PolicyRecorder
  absl::Status Record(const dax::PolicyRecord& next) override;
  void Attempted(const dax::PolicyAttempt& attempt) override;

 private:
  PolicyKeeper() = default;
  absl::Status ReadState(const MachineConfig& config);

  std::shared_ptr<const control::StateCodec> codec_;
  std::unique_ptr<control::StateDirectory> directory_;  // null: nothing is kept
  std::optional<control::SavedPolicy> saved_;           // until Start
  std::string set_aside_;
  std::optional<dax::Policy> file_policy_;  // as it was recorded last; under the store's change lock
  std::unique_ptr<control::AuditLogFile> audit_log_;
};

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_POLICY_KEEPER_H_
