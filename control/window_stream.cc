#include "control/window_stream.h"

#include <utility>

#include "base/status.h"
#include "control/grpc_status.h"
#include "control/window_codec.h"

namespace daxvmm::control {

WindowStream* WindowStream::Start(WindowHub* hub, const Controller& controller, const absl::Status& admitted,
                                  const v1::WatchWindowRequest& request) {
  const std::shared_ptr<WindowStream> stream(new WindowStream(hub));
  stream->self_ = stream;
  const absl::Status status = admitted.ok() ? stream->Begin(controller, request) : admitted;
  if (!status.ok()) stream->Ended(status);
  return stream.get();
}

absl::Status WindowStream::Begin(const Controller& controller, const v1::WatchWindowRequest& request) {
  ASSIGN_OR_RETURN(WatchWindowCommand command, DecodeWatchWindow(request));
  RETURN_IF_ERROR(controller.GetWindows(command.share_tag).status());
  share_tag_ = std::move(command.share_tag);
  return hub_->Add(self_, command.interval);
}

void WindowStream::Sampled(const std::shared_ptr<const WindowHub::Sample>& sample) {
  {
    MutexLock lock(&mu_);
    if (end_) return;
    if (newest_ != nullptr) ++dropped_;
    newest_ = sample;
  }
  Advance();
}

void WindowStream::Ended(const absl::Status& status) {
  {
    MutexLock lock(&mu_);
    if (end_) return;
    end_ = status;
  }
  Advance();
}

void WindowStream::OnWriteDone(bool ok) {
  {
    MutexLock lock(&mu_);
    writing_ = false;
    if (!ok) {
      newest_.reset();
      if (!end_) end_ = absl::CancelledError("the reader is gone");
    }
  }
  Advance();
}

void WindowStream::OnCancel() {
  {
    MutexLock lock(&mu_);
    newest_.reset();
    if (!end_) end_ = absl::CancelledError("the call was cancelled, or its deadline has passed");
  }
  Advance();
}

void WindowStream::OnDone() {
  hub_->Remove(this);
  // The hub may hold another reference for a call that is under way; that finds the stream finished.
  const std::shared_ptr<WindowStream> last = std::move(self_);
}

void WindowStream::Advance() {
  std::optional<grpc::Status> finish;
  {
    MutexLock lock(&mu_);
    if (writing_ || finished_) return;
    if (newest_ != nullptr) {
      EncodeWindowSample(newest_->at, newest_->windows, share_tag_, dropped_, &on_its_way_);
      newest_.reset();
      writing_ = true;
    } else if (end_) {
      finished_ = true;
      finish = ToGrpc(*end_);
    } else {
      return;
    }
  }
  if (finish) {
    Finish(*finish);
  } else {
    StartWrite(&on_its_way_);
  }
}

}  // namespace daxvmm::control
