// One call of WatchWindow.
#ifndef DAXVMM_CONTROL_WINDOW_STREAM_H_
#define DAXVMM_CONTROL_WINDOW_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "control/window_hub.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control {

// At most one message is on its way and one waits: a newer sample takes the place of the one that waits, which counts
// as dropped. Owns itself until gRPC is done with it.
class WindowStream final : public grpc::ServerWriteReactor<v1::WatchWindowResponse>, public WindowHub::Listener {
 public:
  // For gRPC, which calls OnDone in the end. `hub` outlives the server. Unless `admitted` is OK that is all the answer.
  // `controller` says whether there is such a share.
  static WindowStream* Start(WindowHub* hub, const Controller& controller, const absl::Status& admitted,
                             const v1::WatchWindowRequest& request);

  // WindowHub::Listener
  void Sampled(const std::shared_ptr<const WindowHub::Sample>& sample) override;
  void Ended(const absl::Status& status) override;

  // grpc::ServerWriteReactor
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  explicit WindowStream(WindowHub* hub) : hub_(hub) {}
  absl::Status Begin(const Controller& controller, const v1::WatchWindowRequest& request);
  // Does what is next, if anything is. gRPC may call back before StartWrite and Finish return: without the lock, and
  // last.
  void Advance();

  WindowHub* const hub_;
  std::string share_tag_;  // set before the hub knows of it
  std::shared_ptr<WindowStream> self_;
  v1::WatchWindowResponse on_its_way_;  // gRPC reads it while writing_
  Mutex mu_;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t dropped_ ABSL_GUARDED_BY(mu_) = 0;
  std::shared_ptr<const WindowHub::Sample> newest_ ABSL_GUARDED_BY(mu_);
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_WINDOW_STREAM_H_
