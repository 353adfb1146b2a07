#include "control/log_streams.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace daxvmm::control {

LogStreams::LogStreams(EventLog* events, ConsoleLog* console) : events_(events), console_(console) {
  events_->AddWaker(&waker_);
  console_->AddWaker(&waker_);
  thread_ = NamedThread("control-logs", [this] { Run(); });
}

absl::Status LogStreams::Add(Kind kind, std::shared_ptr<Stream> stream) {
  MutexLock lock(&mu_);
  if (stopped()) return absl::UnavailableError("the machine is ending");
  const auto same = std::ranges::count(entries_, kind, &Entry::kind);
  if (same >= static_cast<ptrdiff_t>(kMaxLogStreams)) {
    return absl::ResourceExhaustedError(
        absl::StrCat(kind == Kind::kEvents ? "events are watched " : "the console is read ", kMaxLogStreams,
                     " times already; end one, or try later"));
  }
  entries_.push_back({kind, std::move(stream)});
  return absl::OkStatus();
}

void LogStreams::Remove(const Stream* stream) {
  std::shared_ptr<Stream> removed;  // freed without the lock
  MutexLock lock(&mu_);
  const auto at = std::ranges::find_if(entries_, [stream](const Entry& one) { return one.stream.get() == stream; });
  if (at == entries_.end()) return;
  removed = std::move(at->stream);
  entries_.erase(at);
}

void LogStreams::AdvanceAll() {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    MutexLock lock(&mu_);
    for (const Entry& entry : entries_) streams.push_back(entry.stream);
  }
  for (const auto& stream : streams) stream->Advance();
}

void LogStreams::Run() {
  for (;;) {
    waker_.Await();
    if (stopped()) return;
    AdvanceAll();
  }
}

void LogStreams::Stop() {
  {
    MutexLock lock(&mu_);
    if (stop_.exchange(true, std::memory_order_acq_rel)) return;
  }
  events_->RemoveWaker(&waker_);
  console_->RemoveWaker(&waker_);
  waker_.Wake();
  thread_.Join();
  AdvanceAll();
}

}  // namespace daxvmm::control
