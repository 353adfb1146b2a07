// The machine's run: starting, pausing, resuming and ending it.
#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "control/machine_state.h"
#include "vmm/machine.h"

namespace daxvmm::vmm {
namespace {

using control::EventKind;
using control::MachineCommand;
using control::MachineState;

// A vCPU leaves the guest within microseconds, unless the host's kernel keeps it: a page of a file that it waits for.
constexpr std::chrono::seconds kPauseTimeout{5};
constexpr absl::Duration kMaxShutdownTimeout = absl::Hours(24);

EventKind ToEventKind(GuestEndKind kind) {
  switch (kind) {
    case GuestEndKind::kPowerOff:
      return EventKind::kPowerOff;
    case GuestEndKind::kReset:
      return EventKind::kReset;
    case GuestEndKind::kPanic:
      return EventKind::kPanic;
    case GuestEndKind::kFault:
      return EventKind::kFault;
    case GuestEndKind::kHostError:
      return EventKind::kHostError;
    case GuestEndKind::kStopped:
      return EventKind::kStopped;
  }
  return EventKind::kHostError;
}

std::string DescribeEnd(const GuestEnd& end) {
  if (!end.message.empty()) return end.message;
  return end.kind == GuestEndKind::kPowerOff ? "the guest powered off" : "the machine was ended";
}

std::string By(const std::string& requester) { return requester.empty() ? "" : absl::StrCat(" by ", requester); }

std::string SecondsText(absl::Duration time) { return absl::StrCat(absl::ToDoubleSeconds(time), " s"); }

}  // namespace

MachineState Machine::StateLocked() const {
  if (end_.has_value() || halted_) return MachineState::kEnded;
  if (!started_.has_value()) return MachineState::kCreated;
  if (force_at_.has_value()) return MachineState::kShuttingDown;
  return paused_ ? MachineState::kPaused : MachineState::kRunning;
}

absl::Status Machine::Start(StartMode mode) {
  MutexLock running(&run_mu_);
  if (mode == StartMode::kRun) {
    MutexLock lock(&mu_);
    StartLocked();
  }
  for (auto& vcpu : vcpus_) RETURN_IF_ERROR(vcpu->Start());
  threads_made_ = true;
  return absl::OkStatus();
}

void Machine::StartLocked() {
  started_ = absl::Now();
  events_.Append(EventKind::kStarted, absl::StrCat(config_.cpus, config_.cpus == 1 ? " CPU, " : " CPUs, ",
                                                   config_.memory.raw() >> 20, " MiB"));
  gate_.Open();
}

void Machine::Halt() {
  // Nobody steers the vCPUs meanwhile, or later.
  MutexLock running(&run_mu_);
  {
    MutexLock lock(&mu_);
    halted_ = true;
  }
  shutdown_.Stop();
  for (auto& vcpu : vcpus_) vcpu->RequestStop();
  vcpus_.clear();
}

void Machine::ReportVcpus() {
  for (auto& vcpu : vcpus_) vcpu->RequestReport();
}

std::optional<GuestEnd> Machine::end() const {
  MutexLock lock(&mu_);
  return end_;
}

void Machine::EndGuest(GuestEnd end) {
  {
    MutexLock lock(&mu_);
    if (end_.has_value()) return;
    end_ = std::move(end);
    events_.Append(ToEventKind(end_->kind), DescribeEnd(*end_));
  }
  console_.Close();
  // The caller may be a vCPU in the middle of an exit, which must not wait for itself: whoever owns the machine stops
  // the vCPUs when it sees this.
  end_event_.Signal();
}

void Machine::FirstEntry(unsigned index) {
  if (index == 0) first_entry_.Signal();
}

control::MachineInfo Machine::GetMachine() const {
  control::MachineInfo info;
  info.cpus = config_.cpus;
  info.memory = config_.memory;
  for (size_t i = 0; i < shares_.size(); ++i) {
    const control::WindowUse use = UseOf(shares_[i]);
    info.shares.push_back({.tag = use.share_tag,
                           .path = config_.shares[i].options.path,
                           .read_only = use.read_only,
                           .window = use.capacity,
                           .mount_mode = use.mount_mode});
  }
  info.created = created_;
  MutexLock lock(&mu_);
  info.state = StateLocked();
  info.started = started_;
  if (info.state == MachineState::kShuttingDown) info.force_at = force_at_;
  if (end_.has_value()) info.end_reason = DescribeEnd(*end_);
  return info;
}

absl::Status Machine::StartMachine() {
  MutexLock running(&run_mu_);
  MutexLock lock(&mu_);
  RETURN_IF_ERROR(control::CheckMay(MachineCommand::kStart, StateLocked()));
  if (!threads_made_) return absl::FailedPreconditionError("the machine is still being made");
  StartLocked();
  return absl::OkStatus();
}

absl::Status Machine::PauseMachine() {
  MutexLock running(&run_mu_);
  {
    MutexLock lock(&mu_);
    RETURN_IF_ERROR(control::CheckMay(MachineCommand::kPause, StateLocked()));
    if (paused_) return absl::OkStatus();
  }
  const std::optional<unsigned> inside = gate_.Close(std::chrono::steady_clock::now() + kPauseTimeout);
  MutexLock lock(&mu_);
  // Meanwhile the guest may have ended, or a shutdown have been asked for.
  absl::Status status = control::CheckMay(MachineCommand::kPause, StateLocked());
  if (status.ok() && inside.has_value()) {
    status =
        absl::AbortedError(absl::StrCat("vCPU ", *inside, " did not leave the guest within ", kPauseTimeout.count(),
                                        " s: the host's kernel keeps it, as with a disk "
                                        "that does not answer; the machine runs on"));
  }
  if (!status.ok()) {
    gate_.Open();
    return status;
  }
  paused_ = true;
  events_.Append(EventKind::kPaused, "");
  return absl::OkStatus();
}

absl::Status Machine::ResumeMachine() {
  MutexLock running(&run_mu_);
  MutexLock lock(&mu_);
  RETURN_IF_ERROR(control::CheckMay(MachineCommand::kResume, StateLocked()));
  ResumeLocked("");
  return absl::OkStatus();
}

void Machine::ResumeLocked(const std::string& why) {
  if (!paused_) return;
  paused_ = false;
  events_.Append(EventKind::kResumed, why);
  gate_.Open();
}

// Not behind run_mu_: a pause that waits for a vCPU must not hold it up. That pause finds out, and gives way.
absl::StatusOr<absl::Time> Machine::ShutdownMachine(const control::ShutdownOptions& options) {
  const absl::Time now = absl::Now();
  std::string why_at_once;
  {
    MutexLock lock(&mu_);
    const MachineState state = StateLocked();
    RETURN_IF_ERROR(control::CheckMay(MachineCommand::kShutdown, state));
    if (state == MachineState::kCreated) {
      why_at_once = "ended before it was started";
    } else if (options.force) {
      why_at_once = "ended by force";
    } else {
      const absl::Duration wanted =
          options.timeout.value_or(absl::Seconds(static_cast<int64_t>(config_.shutdown_timeout.count())));
      const absl::Duration timeout = std::clamp(wanted, absl::ZeroDuration(), kMaxShutdownTimeout);
      ResumeLocked("for the shutdown");
      force_at_ = now + timeout;
      events_.Append(EventKind::kShutdownRequested,
                     absl::StrCat("asked for", By(options.requester), "; the guest has ", SecondsText(timeout)));
      shutdown_.Ask(absl::ToChronoNanoseconds(timeout));
      return *force_at_;
    }
  }
  Stop(absl::StrCat(why_at_once, By(options.requester)));
  return now;
}

void Machine::ForceEnd(std::chrono::nanoseconds timeout) {
  Stop(absl::StrCat("the guest did not power off within ", SecondsText(absl::FromChrono(timeout))));
}

}  // namespace daxvmm::vmm
