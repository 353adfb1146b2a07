// One call of WatchConvergence.
#ifndef DAXVMM_CONTROL_CONVERGENCE_STREAM_H_
#define DAXVMM_CONTROL_CONVERGENCE_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <optional>

#include "base/mutex.h"
#include "control/convergence_hub.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control {

// At most one message is on its way and one waits: newer counts take the place of the one that waits. Owns itself until
// gRPC is done with it.
class ConvergenceStream final : public grpc::ServerWriteReactor<v1::WatchConvergenceResponse>,
                                public ConvergenceHub::Listener {
 public:
  // For gRPC, which calls OnDone in the end. `hub` outlives the server. Unless `admitted` is OK that is all the answer.
  static ConvergenceStream* Start(ConvergenceHub* hub, const absl::Status& admitted,
                                  const v1::WatchConvergenceRequest& request);

  // ConvergenceHub::Listener
  void Counted(const ConvergenceCounts& counts) override;
  void Ended(const absl::Status& status) override;

  // grpc::ServerWriteReactor
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  explicit ConvergenceStream(ConvergenceHub* hub) : hub_(hub) {}
  // Does what is next, if anything is. gRPC may call back before StartWrite and Finish return: without the lock, and
  // last.
  void Advance();

  ConvergenceHub* const hub_;
  std::shared_ptr<ConvergenceStream> self_;
  v1::WatchConvergenceResponse on_its_way_;  // gRPC reads it while writing_
  Mutex mu_;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<ConvergenceCounts> newest_ ABSL_GUARDED_BY(mu_);
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CONVERGENCE_STREAM_H_
