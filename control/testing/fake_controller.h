// A machine without a guest, for tests of the control plane: a true policy store, and files and windows as they are
// put.
#ifndef DAXVMM_CONTROL_TESTING_FAKE_CONTROLLER_H_
#define DAXVMM_CONTROL_TESTING_FAKE_CONTROLLER_H_

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "control/controller.h"
#include "devices/virtio_fs/dax/policy_names.h"
#include "devices/virtio_fs/dax/policy_store.h"

namespace daxvmm::control {

// The lists are set before the controller is shared, the counts at any time; any thread may call any method.
class FakeController final : public Controller {
 public:
  PolicyState GetPolicy() const override;
  absl::StatusOr<PolicyChange> SetPolicy(const dax::Policy& policy, const PolicySetOptions& options) override;
  absl::StatusOr<PolicyChange> SetOverride(const dax::Override& override, const PolicySetOptions& options) override;
  absl::StatusOr<PolicyChange> ClearOverride(const FileRef& file, const PolicySetOptions& options) override;
  std::vector<dax::PolicyHistoryEntry> PolicyHistory() const override;
  // Of a file in `files`: one step, and the state that the list has.
  absl::StatusOr<Explanation> Explain(const FileRef& file) const override;
  absl::StatusOr<std::vector<LiveFile>> ListFiles(const std::string& share_tag) const override;
  absl::StatusOr<FilePage> QueryFiles(const FileQuery& query) const override;
  // What SetCounts said last, with the generation in force.
  absl::StatusOr<ConvergenceCounts> GetConvergence(const std::string& share_tag) const override;
  absl::StatusOr<std::vector<WindowUse>> GetWindows(const std::string& share_tag) const override;
  absl::StatusOr<PolicyPreview> PreviewPolicy(const dax::Policy& policy, const PolicySetOptions& options,
                                              size_t limit) const override;
  absl::StatusOr<MappingPage> QueryMappings(const MappingQuery& query) const override;
  MachineInfo GetMachine() const override;
  absl::Status StartMachine() override;
  absl::Status PauseMachine() override;
  absl::Status ResumeMachine() override;
  absl::StatusOr<absl::Time> ShutdownMachine(const ShutdownOptions& options) override;
  // As it is put, with the calls that are counted.
  MetricsSnapshot GetMetrics() const override;
  void SetCallCounts(const ControlCallCounts* counts) override;
  EventLog& events() override { return events_; }
  ConsoleLog& console() override { return console_; }

  // The machine is over, with the event for it.
  void EndMachine(EventKind how, const std::string& why);
  // What PauseMachine answers if it is not OK, whatever the state.
  void FailPause(const absl::Status& status);
  // A machine that runs: three files in two shares, and a window for each share.
  void FillWithExamples();
  void SetCounts(const ConvergenceCounts& counts);
  // As daxvmm does with --policy-file; the error is what GetPolicy shows.
  void WatchFile(const std::string& path, std::optional<PolicyFileError> error = std::nullopt);
  absl::StatusOr<uint64_t> SetFromFile(const dax::Policy& policy);

  std::vector<LiveFile> files;
  std::vector<WindowUse> windows;
  std::vector<WindowMapping> mappings;
  // Answered as they are put; the state moves as the calls say.
  PolicyPreview preview;  // but for what is in force, and after the checks of a true change
  MachineInfo machine;
  MetricsSnapshot metrics;
  // As many of the next ListFiles calls see the policy change under them.
  mutable std::atomic<int> policy_changes_during_list{0};
  mutable std::atomic<int> times_counted{0};

 private:
  absl::Status CheckShare(const std::string& tag) const;
  absl::StatusOr<PolicyChange> Changed(const absl::StatusOr<uint64_t>& generation) const;

  mutable dax::PolicyStore store_{dax::DefaultPolicy(), {.kind = dax::SourceKind::kStart, .detail = "--policy"}};
  mutable Mutex mu_;
  EventLog events_;
  ConsoleLog console_;
  absl::Status pause_failure_ ABSL_GUARDED_BY(mu_);
  ConvergenceCounts counts_ ABSL_GUARDED_BY(mu_);
  const ControlCallCounts* call_counts_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::optional<PolicyFileError> file_error_ ABSL_GUARDED_BY(mu_);
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_TESTING_FAKE_CONTROLLER_H_
