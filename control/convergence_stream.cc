#include "control/convergence_stream.h"

#include <utility>

#include "control/codec.h"
#include "control/grpc_status.h"

namespace daxvmm::control {

ConvergenceStream* ConvergenceStream::Start(ConvergenceHub* hub, const absl::Status& admitted,
                                            const v1::WatchConvergenceRequest& request) {
  const std::shared_ptr<ConvergenceStream> stream(new ConvergenceStream(hub));
  stream->self_ = stream;
  if (!admitted.ok()) {
    stream->Ended(admitted);
    return stream.get();
  }
  auto command = DecodeWatch(request);
  absl::Status status = command.status();
  if (command.ok()) {
    status = hub->Add(stream, {.share_tag = std::move(command->share_tag),
                               .interval = command->interval,
                               .until_settled = command->until_settled});
  }
  if (!status.ok()) stream->Ended(status);
  return stream.get();
}

void ConvergenceStream::Counted(const ConvergenceCounts& counts) {
  {
    MutexLock lock(&mu_);
    if (end_) return;
    newest_ = counts;
  }
  Advance();
}

void ConvergenceStream::Ended(const absl::Status& status) {
  {
    MutexLock lock(&mu_);
    if (end_) return;
    end_ = status;
  }
  Advance();
}

void ConvergenceStream::OnWriteDone(bool ok) {
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

void ConvergenceStream::OnCancel() {
  {
    MutexLock lock(&mu_);
    newest_.reset();
    if (!end_) end_ = absl::CancelledError("the call was cancelled, or its deadline has passed");
  }
  Advance();
}

void ConvergenceStream::OnDone() {
  hub_->Remove(this);
  // The hub may hold another reference for a call that is under way; that finds the stream finished.
  const std::shared_ptr<ConvergenceStream> last = std::move(self_);
}

void ConvergenceStream::Advance() {
  std::optional<grpc::Status> finish;
  {
    MutexLock lock(&mu_);
    if (writing_ || finished_) return;
    if (newest_) {
      EncodeCounts(*newest_, &on_its_way_);
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
