// One call of WatchConvergence.
#ifndef DAXVMM_CONTROL_CONVERGENCE_STREAM_H_
#define DAXVMM_CONTROL_CONVERGENCE_STREAM_H_

#include <cstdint>

#include "control/convergence_hub.h"
#include "control/newest_stream.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control {

class ConvergenceStream final : public NewestStream<v1::WatchConvergenceResponse, ConvergenceCounts>,
                                public ConvergenceHub::Listener {
 public:
  // For gRPC, which calls OnDone in the end. `hub` outlives the server. Unless `admitted` is OK that is all the answer.
  static ConvergenceStream* Start(ConvergenceHub* hub, const absl::Status& admitted,
                                  const v1::WatchConvergenceRequest& request);

  // ConvergenceHub::Listener
  void Counted(const ConvergenceCounts& counts) override { Offer(counts); }
  void Ended(const absl::Status& status) override { End(status); }

 private:
  explicit ConvergenceStream(ConvergenceHub* hub) : hub_(hub) {}

  // NewestStream
  void Encode(const ConvergenceCounts& counts, uint64_t dropped, v1::WatchConvergenceResponse* message) override;
  void Leave() override { hub_->Remove(this); }

  ConvergenceHub* const hub_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CONVERGENCE_STREAM_H_
