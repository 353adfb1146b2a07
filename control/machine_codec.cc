#include "control/machine_codec.h"

#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/version.h"
#include "control/field_codec.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

v1::Machine::State EncodeState(MachineState state) {
  switch (state) {
    case MachineState::kCreated:
      return v1::Machine::STATE_CREATED;
    case MachineState::kRunning:
      return v1::Machine::STATE_RUNNING;
    case MachineState::kPaused:
      return v1::Machine::STATE_PAUSED;
    case MachineState::kShuttingDown:
      return v1::Machine::STATE_SHUTTING_DOWN;
    case MachineState::kEnded:
      return v1::Machine::STATE_ENDED;
  }
  return v1::Machine::STATE_UNSPECIFIED;
}

}  // namespace

absl::StatusOr<ShutdownOptions> DecodeShutdown(const v1::ShutdownMachineRequest& message) {
  ShutdownOptions options;
  options.force = message.force();
  if (!message.has_timeout()) return options;
  if (message.force()) return BadField("timeout", "excludes force");
  ASSIGN_OR_RETURN(options.timeout, DecodeDuration(message.timeout(), "timeout"));
  if (*options.timeout > kMaxShutdownTimeout) return BadField("timeout", "must be 0 to 86400 s");
  return options;
}

absl::StatusOr<WatchEventsCommand> DecodeWatchEvents(const v1::WatchEventsRequest& message, uint64_t newest) {
  WatchEventsCommand command;
  for (int i = 0; i < message.kinds_size(); ++i) {
    // Also what a newer client knows and this server does not: it would never come.
    const int kind = message.kinds(i);
    if (kind == v1::Event::KIND_UNSPECIFIED || !v1::Event::Kind_IsValid(kind)) {
      return BadField(absl::StrCat("kinds[", i, "]"), absl::StrCat(kind, " is no kind of event"));
    }
    command.kinds.set(static_cast<size_t>(kind));
  }
  if (message.after_sequence() > newest) {
    return absl::OutOfRangeError(absl::StrCat("after_sequence: is ", message.after_sequence(),
                                              ", but the newest event is ", newest, ": that was another run"));
  }
  command.after = message.after_sequence();
  command.follow = !message.no_follow();
  return command;
}

void EncodeMachine(const MachineInfo& machine, v1::Machine* message) {
  message->Clear();
  message->set_state(EncodeState(machine.state));
  message->set_version(kVersion);
  message->set_pid(getpid());
  message->set_cpus(machine.cpus);
  message->set_memory_bytes(machine.memory.raw());
  for (const ShareInfo& share : machine.shares) {
    v1::Share* const out = message->add_shares();
    out->set_tag(ToPathText(share.tag));
    out->set_path(ToPathText(share.path));
    out->set_read_only(share.read_only);
    out->set_window_bytes(share.window.raw());
    out->set_mount_mode(EncodeMountMode(share.mount_mode));
  }
  EncodeTime(machine.created, message->mutable_create_time());
  if (machine.started) EncodeTime(*machine.started, message->mutable_start_time());
  if (machine.force_at) EncodeTime(*machine.force_at, message->mutable_force_time());
  message->set_end_reason(EscapeNonUtf8(machine.end_reason));
}

void EncodeForceTime(absl::Time force_at, v1::ShutdownMachineResponse* message) {
  message->Clear();
  EncodeTime(force_at, message->mutable_force_time());
}

void EncodeEvent(const Event& event, uint64_t missed, v1::WatchEventsResponse* message) {
  message->Clear();
  v1::Event* const out = message->mutable_event();
  out->set_sequence(event.sequence);
  EncodeTime(event.time, out->mutable_time());
  static_assert(v1::Event::Kind_ARRAYSIZE == static_cast<int>(kEventKinds));
  static_assert(v1::Event::KIND_POLICY_FILE_REFUSED == static_cast<int>(EventKind::kPolicyFileRefused));
  out->set_kind(static_cast<v1::Event::Kind>(event.kind));
  out->set_share(ToPathText(event.share));
  out->set_message(EscapeNonUtf8(event.message));
  out->set_generation(event.generation);
  message->set_missed(missed);
}

}  // namespace daxvmm::control
