// A stream that takes what it sends next from a log, once the reader has taken what was sent before: a slow reader
// costs one message, however much happens.
#ifndef DAXVMM_CONTROL_PULL_STREAM_H_
#define DAXVMM_CONTROL_PULL_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "control/grpc_status.h"
#include "control/log_streams.h"

namespace daxvmm::control {

// Owns itself until gRPC is done with it. `Source` has
//   std::optional<absl::Status> Next(bool stopping, Response* message, bool* filled);
// which fills `message`, or gives what the stream ends with (perhaps both: the message goes first), or neither where
// nothing is new. `stopping`: nothing will be. It is called from one thread at a time.
template <typename Response, typename Source>
class PullStream final : public grpc::ServerWriteReactor<Response>, public LogStreams::Stream {
 public:
  // For gRPC, which calls OnDone in the end. `streams` outlives the server.
  static PullStream* Start(LogStreams* streams, LogStreams::Kind kind, Source source) {
    const std::shared_ptr<PullStream> stream(new PullStream(streams, std::move(source)));
    stream->self_ = stream;
    const absl::Status status = streams->Add(kind, stream);
    if (status.ok()) {
      stream->Advance();
    } else {
      stream->End(status);
    }
    return stream.get();
  }
  // Answers with nothing but an error.
  static PullStream* Refuse(LogStreams* streams, const absl::Status& status, Source source) {
    const std::shared_ptr<PullStream> stream(new PullStream(streams, std::move(source)));
    stream->self_ = stream;
    stream->End(status);
    return stream.get();
  }

  // LogStreams::Stream. gRPC may call back before StartWrite and Finish return: without the lock, and last.
  void Advance() override {
    std::optional<grpc::Status> finish;
    {
      MutexLock lock(&mu_);
      if (writing_ || finished_) return;
      bool filled = false;
      if (!end_) end_ = source_.Next(streams_->stopped(), &on_its_way_, &filled);
      if (filled) {
        writing_ = true;
      } else if (end_) {
        finished_ = true;
        finish = ToGrpc(*end_);
      } else {
        return;
      }
    }
    if (finish) {
      this->Finish(*finish);
    } else {
      this->StartWrite(&on_its_way_);
    }
  }

  // grpc::ServerWriteReactor
  void OnWriteDone(bool ok) override {
    {
      MutexLock lock(&mu_);
      writing_ = false;
      if (!ok && !end_) end_ = absl::CancelledError("the reader is gone");
    }
    Advance();
  }
  void OnCancel() override { End(absl::CancelledError("the call was cancelled, or its deadline has passed")); }
  void OnDone() override {
    streams_->Remove(this);
    // A round of the streams may hold another reference; it finds this one finished.
    const std::shared_ptr<PullStream> last = std::move(self_);
  }

 private:
  PullStream(LogStreams* streams, Source source) : streams_(streams), source_(std::move(source)) {}

  void End(const absl::Status& status) {
    {
      MutexLock lock(&mu_);
      if (!end_) end_ = status;
    }
    Advance();
  }

  LogStreams* const streams_;
  std::shared_ptr<PullStream> self_;
  Response on_its_way_;  // gRPC reads it while writing_
  Mutex mu_;
  Source source_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_PULL_STREAM_H_
