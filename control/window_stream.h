// One call of WatchWindow.
#ifndef DAXVMM_CONTROL_WINDOW_STREAM_H_
#define DAXVMM_CONTROL_WINDOW_STREAM_H_

#include <cstdint>
#include <memory>
#include <string>

#include "control/newest_stream.h"
#include "control/window_hub.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control {

class WindowStream final : public NewestStream<v1::WatchWindowResponse, std::shared_ptr<const WindowHub::Sample>>,
                           public WindowHub::Listener {
 public:
  // For gRPC, which calls OnDone in the end. `hub` outlives the server. Unless `admitted` is OK that is all the answer.
  // `controller` says whether there is such a share.
  static WindowStream* Start(WindowHub* hub, const Controller& controller, const absl::Status& admitted,
                             const v1::WatchWindowRequest& request);

  // WindowHub::Listener
  void Sampled(const std::shared_ptr<const WindowHub::Sample>& sample) override { Offer(sample); }
  void Ended(const absl::Status& status) override { End(status); }

 private:
  explicit WindowStream(WindowHub* hub) : hub_(hub) {}
  absl::Status Begin(const std::shared_ptr<WindowStream>& self, const Controller& controller,
                     const v1::WatchWindowRequest& request);

  // NewestStream
  void Encode(const std::shared_ptr<const WindowHub::Sample>& sample, uint64_t dropped,
              v1::WatchWindowResponse* message) override;
  void Leave() override { hub_->Remove(this); }

  WindowHub* const hub_;
  std::string share_tag_;  // set before the hub knows of it
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_WINDOW_STREAM_H_
