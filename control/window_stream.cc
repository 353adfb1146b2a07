#include "control/window_stream.h"

#include <utility>

#include "base/status.h"
#include "control/window_codec.h"

namespace daxvmm::control {

WindowStream* WindowStream::Start(WindowHub* hub, const Controller& controller, const absl::Status& admitted,
                                  const v1::WatchWindowRequest& request) {
  const std::shared_ptr<WindowStream> stream(new WindowStream(hub));
  stream->Keep(stream);
  const absl::Status status = admitted.ok() ? stream->Begin(stream, controller, request) : admitted;
  if (!status.ok()) stream->End(status);
  return stream.get();
}

absl::Status WindowStream::Begin(const std::shared_ptr<WindowStream>& self, const Controller& controller,
                                 const v1::WatchWindowRequest& request) {
  ASSIGN_OR_RETURN(WatchWindowCommand command, DecodeWatchWindow(request));
  RETURN_IF_ERROR(controller.GetWindows(command.share_tag).status());
  share_tag_ = std::move(command.share_tag);
  return hub_->Add(self, command.interval);
}

void WindowStream::Encode(const std::shared_ptr<const WindowHub::Sample>& sample, uint64_t dropped,
                          v1::WatchWindowResponse* message) {
  EncodeWindowSample(sample->at, sample->windows, share_tag_, dropped, message);
}

}  // namespace daxvmm::control
