// A server's stream of which only the newest message matters.
#ifndef DAXVMM_CONTROL_NEWEST_STREAM_H_
#define DAXVMM_CONTROL_NEWEST_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "control/grpc_status.h"

namespace daxvmm::control {

// At most one message is on its way and one value waits: a newer one takes the place of the one that waits, which
// counts as dropped. Owns itself from Keep on, until gRPC is done with it. Any thread may call Offer and End.
template <typename Response, typename Value>
class NewestStream : public grpc::ServerWriteReactor<Response> {
 public:
  // grpc::ServerWriteReactor
  void OnWriteDone(bool ok) final {
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

  void OnCancel() final {
    {
      MutexLock lock(&mu_);
      newest_.reset();
      if (!end_) end_ = absl::CancelledError("the call was cancelled, or its deadline has passed");
    }
    Advance();
  }

  void OnDone() final {
    Leave();
    // Whoever offers may hold another reference for a call that is under way; that finds the stream finished.
    const std::shared_ptr<void> last = std::move(self_);
  }

 protected:
  // `self` is this.
  void Keep(std::shared_ptr<void> self) { self_ = std::move(self); }

  void Offer(Value value) {
    {
      MutexLock lock(&mu_);
      if (end_) return;
      if (newest_) ++dropped_;
      newest_ = std::move(value);
    }
    Advance();
  }

  // The call is answered with `status` after what waits. The first one counts.
  void End(const absl::Status& status) {
    {
      MutexLock lock(&mu_);
      if (end_) return;
      end_ = status;
    }
    Advance();
  }

 private:
  // Fills `message`, which holds the one before; `dropped` values have been since the stream began. Must call none of
  // the above.
  virtual void Encode(const Value& value, uint64_t dropped, Response* message) = 0;
  // Nothing is to be offered any more.
  virtual void Leave() = 0;

  // Does what is next, if anything is. gRPC may call back before StartWrite and Finish return: without the lock, and
  // last.
  void Advance() {
    std::optional<grpc::Status> finish;
    {
      MutexLock lock(&mu_);
      if (writing_ || finished_) return;
      if (newest_) {
        Encode(*newest_, dropped_, &on_its_way_);
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
      this->Finish(*finish);
    } else {
      this->StartWrite(&on_its_way_);
    }
  }

  std::shared_ptr<void> self_;
  Response on_its_way_;  // gRPC reads it while writing_
  Mutex mu_;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t dropped_ ABSL_GUARDED_BY(mu_) = 0;
  std::optional<Value> newest_ ABSL_GUARDED_BY(mu_);
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_NEWEST_STREAM_H_
