#include "control/ctl/machine_commands.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "control/ctl/machine_output.h"
#include "control/ctl/output.h"

namespace daxvmm::control {
namespace {

// What a stream of events has shown so far.
struct Seen {
  uint64_t sequence = 0;  // of the last event
  bool ended = false;     // it was one that ends the machine
  std::string last;       // that one's kind
  ExitCode written = ExitCode::kOk;
};

// Events until the stream ends; those that `wanted` refuses are counted as seen, and not given to `show`.
template <typename Wanted, typename Show>
absl::Status FollowEvents(const Runner& runner, const v1::WatchEventsRequest& request,
                          std::optional<absl::Duration> limit, Seen* seen, Wanted wanted, Show show) {
  return runner.client()->WatchEvents(request, limit, [&](const v1::WatchEventsResponse& response) {
    const v1::Event& event = response.event();
    seen->sequence = std::max(seen->sequence, event.sequence());
    if (EndsMachine(event.kind())) {
      seen->ended = true;
      seen->last = EventKindText(event.kind());
    }
    if (!wanted(event)) return true;
    if (response.missed() > 0 && !runner.for_programs()) {
      runner.Note(absl::StrCat(response.missed(), " earlier events are not kept any more"));
    }
    seen->written = show(response);
    return seen->written == ExitCode::kOk;
  });
}

ExitCode ShowMachine(const Runner& runner, const absl::StatusOr<v1::Machine>& machine) {
  return runner.Show(machine, [&runner](const v1::Machine& message) { return MachineText(message, runner.view()); });
}

// One line after a change of the state.
ExitCode TellState(const Runner& runner, const absl::StatusOr<v1::Machine>& machine) {
  return runner.Show(machine, [](const v1::Machine& message) {
    return absl::StrCat("The machine is ", MachineStateText(message.state()), ".\n");
  });
}

// The number of the last event that there is; 0 if there is none.
absl::StatusOr<uint64_t> LastEvent(const Runner& runner) {
  v1::WatchEventsRequest request;
  request.set_no_follow(true);
  Seen seen;
  const absl::Status status = FollowEvents(
      runner, request, runner.line().call_timeout(), &seen, [](const v1::Event&) { return false; },
      [](const v1::WatchEventsResponse&) { return ExitCode::kOk; });
  if (!status.ok()) return status;
  return seen.sequence;
}

// Whether nobody is behind the control address any more.
bool IsGone(const Runner& runner) { return !ConnectFor(runner.line(), absl::Seconds(1)).ok(); }

// Shows what happens until the machine has ended.
ExitCode AwaitEnd(const Runner& runner, uint64_t after) {
  v1::WatchEventsRequest request;
  request.set_after_sequence(after);
  Seen seen;
  const absl::Status status = FollowEvents(
      runner, request, runner.line().timeout, &seen, [](const v1::Event&) { return true; },
      [&runner](const v1::WatchEventsResponse& response) {
        return runner.for_programs() ? runner.PrintStreamed(response)
                                     : runner.Print(EventLine(response.event(), runner.view()));
      });
  if (seen.written != ExitCode::kOk) return seen.written;
  // The process may be gone before the stream's end has come through.
  const bool gone = status.ok() || seen.ended || (status.code() == absl::StatusCode::kUnavailable && IsGone(runner));
  if (!gone) return runner.FailCall(status);
  if (runner.for_programs()) return ExitCode::kOk;
  return runner.Print(absl::StrCat("The machine has ended", seen.last.empty() ? "" : ": ", seen.last, ".\n"));
}

// Control characters but tab and newline, and what is no ASCII, as \xNN.
std::string EscapeConsole(absl::string_view data) {
  std::string out;
  for (const char c : data) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n' || c == '\t' || (byte >= 0x20 && byte < 0x7f)) {
      out += c;
    } else if (c != '\r') {
      absl::StrAppendFormat(&out, "\\x%02x", byte);
    }
  }
  return out;
}

}  // namespace

ExitCode MachineShow(Runner* runner) { return ShowMachine(*runner, runner->client()->GetMachine()); }
ExitCode MachineStart(Runner* runner) { return TellState(*runner, runner->client()->StartMachine()); }
ExitCode MachinePause(Runner* runner) { return TellState(*runner, runner->client()->PauseMachine()); }
ExitCode MachineResume(Runner* runner) { return TellState(*runner, runner->client()->ResumeMachine()); }

ExitCode MachineShutdown(Runner* runner) {
  const Invocation& line = runner->line();
  uint64_t after = 0;
  if (line.wait) {
    // From before the request, so that nothing that it does is missed.
    const auto last = LastEvent(*runner);
    if (!last.ok()) return runner->FailCall(last.status());
    after = *last;
  }
  v1::ShutdownMachineRequest request;
  request.set_force(line.force);
  if (line.shutdown_timeout) *request.mutable_timeout() = ToProto(*line.shutdown_timeout);
  const auto response = runner->client()->ShutdownMachine(request);
  if (!response.ok()) return runner->FailCall(response.status());
  if (!runner->for_programs()) {
    const std::string text = line.force ? "The machine is ended by force.\n"
                                        : absl::StrCat("The guest is asked to power off; by force ",
                                                       AgoText(TimeOf(response->force_time()), absl::Now()), ".\n");
    if (const ExitCode code = runner->Print(text); code != ExitCode::kOk) return code;
  } else if (const ExitCode code = line.wait ? runner->PrintStreamed(*response) : runner->PrintMessage(*response);
             code != ExitCode::kOk) {
    return code;
  }
  return line.wait ? AwaitEnd(*runner, after) : ExitCode::kOk;
}

ExitCode MachineConsole(Runner* runner) {
  const Invocation& line = runner->line();
  v1::ReadConsoleRequest request;
  request.set_offset(line.offset.value_or(0));
  request.set_follow(line.follow);
  uint64_t expected = request.offset();
  ExitCode written = ExitCode::kOk;
  const absl::Status status = runner->client()->ReadConsole(
      request, line.follow ? line.timeout : line.call_timeout(), [&](const v1::ReadConsoleResponse& response) {
        if (response.offset() > expected) {
          runner->Note(absl::StrCat(response.offset() - expected, " bytes are not kept any more"));
        }
        expected = response.offset() + response.data().size();
        written = runner->for_programs()
                      ? runner->PrintStreamed(response)
                      : runner->Print(line.escape ? EscapeConsole(response.data()) : response.data());
        return written == ExitCode::kOk;
      });
  if (written != ExitCode::kOk) return written;
  return status.ok() ? ExitCode::kOk : runner->FailCall(status);
}

ExitCode Events(Runner* runner) {
  const Invocation& line = runner->line();
  v1::WatchEventsRequest request;
  request.set_after_sequence(line.events.after.value_or(0));
  for (const v1::Event::Kind kind : line.events.kinds) request.add_kinds(kind);
  request.set_no_follow(!line.follow);
  const absl::Time from = line.events.since ? absl::Now() - *line.events.since : absl::InfinitePast();
  TextTable table = EventsTable(runner->view());
  bool any = false;
  Seen seen;
  const absl::Status status = FollowEvents(
      *runner, request, line.follow ? line.timeout : line.call_timeout(), &seen,
      [from](const v1::Event& event) { return TimeOf(event.time()) >= from; },
      [&](const v1::WatchEventsResponse& response) {
        if (runner->for_programs()) return runner->PrintStreamed(response);
        View view = runner->view();
        view.now = absl::Now();
        any = true;
        AddEvent(response.event(), view, &table);
        // What is kept comes at once and is aligned as one table; what follows is shown as it comes.
        return line.follow ? runner->Print(table.Render(view)) : ExitCode::kOk;
      });
  if (seen.written != ExitCode::kOk) return seen.written;
  const bool ended = status.ok() || (seen.ended && status.code() == absl::StatusCode::kUnavailable);
  if (!ended) return runner->FailCall(status);
  if (runner->for_programs() || line.follow) return ExitCode::kOk;
  return any ? runner->Print(table.Render(runner->view())) : runner->Print(Title("No events.", runner->view()));
}

}  // namespace daxvmm::control
