#include "control/ctl/machine_output.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "control/ctl/output.h"
#include "control/ctl/window_output.h"

namespace daxvmm::control {
namespace {

Tone MachineTone(v1::Machine::State state) {
  switch (state) {
    case v1::Machine::STATE_RUNNING:
      return Tone::kGood;
    case v1::Machine::STATE_CREATED:
    case v1::Machine::STATE_PAUSED:
    case v1::Machine::STATE_SHUTTING_DOWN:
      return Tone::kWait;
    case v1::Machine::STATE_ENDED:
      return Tone::kBad;
    default:
      return Tone::kPlain;
  }
}

Tone EventTone(v1::Event::Kind kind) {
  switch (kind) {
    case v1::Event::KIND_STARTED:
    case v1::Event::KIND_RESUMED:
      return Tone::kGood;
    case v1::Event::KIND_PANIC:
    case v1::Event::KIND_FAULT:
    case v1::Event::KIND_HOST_ERROR:
    case v1::Event::KIND_NEEDS_RESET:
    case v1::Event::KIND_POLICY_FILE_REFUSED:
      return Tone::kBad;
    case v1::Event::KIND_PAUSED:
    case v1::Event::KIND_SHUTDOWN_REQUESTED:
    case v1::Event::KIND_POWER_OFF:
    case v1::Event::KIND_RESET:
    case v1::Event::KIND_STOPPED:
    case v1::Event::KIND_WINDOW_REPAIRED:
      return Tone::kWait;
    default:
      return Tone::kPlain;
  }
}

std::string SharesTable(const v1::Machine& machine, const View& view) {
  TextTable table({{"SHARE"},
                   {"ACCESS", Align::kLeft, 1},
                   {"WINDOW", Align::kRight},
                   {"MOUNT"},
                   {.heading = "DIRECTORY", .cut = true}});
  for (const v1::Share& share : machine.shares()) {
    table.AddRow({share.tag(), share.read_only() ? "read-only" : "read-write",
                  share.window_bytes() == 0 ? Cell("none", Tone::kDim) : Cell(SizeText(share.window_bytes())),
                  MountText(share.mount_mode()), share.path()});
  }
  return table.Render(view);
}

std::string MessageOf(const v1::Event& event) {
  return event.kind() == v1::Event::KIND_POLICY_CHANGED && event.message().empty()
             ? absl::StrCat("generation ", event.generation())
             : event.message();
}

}  // namespace

std::string MachineStateText(v1::Machine::State state) {
  return EnumText(state, v1::Machine::State_Name(state), "STATE_");
}

std::string MachineText(const v1::Machine& machine, const View& view) {
  std::string out;
  const auto line = [&out](const char* name, const std::string& value) {
    absl::StrAppendFormat(&out, "%-12s%s\n", name, value);
  };
  std::string state = Paint(MachineStateText(machine.state()), MachineTone(machine.state()), view.color);
  if (machine.has_force_time()) {
    absl::StrAppend(&state, ", by force ", AgoText(TimeOf(machine.force_time()), view.now));
  }
  if (!machine.end_reason().empty()) absl::StrAppend(&state, ": ", EscapeForTerminal(machine.end_reason()));
  line("State", state);
  line("Version", absl::StrCat("daxvmm ", EscapeForTerminal(machine.version())));
  line("Process", absl::StrCat(machine.pid()));
  line("CPUs", absl::StrCat(machine.cpus()));
  line("Memory", SizeText(machine.memory_bytes()));
  const auto time = [&](const google::protobuf::Timestamp& time) {
    return absl::StrCat(TimeText(time), " (", AgoText(TimeOf(time), view.now), ")");
  };
  line("Created", time(machine.create_time()));
  line("Started", machine.has_start_time() ? time(machine.start_time()) : "not yet");
  line("Shares", absl::StrCat(machine.shares_size()));
  return machine.shares().empty() ? out : out + SharesTable(machine, view);
}

TextTable EventsTable(const View& view) {
  return TextTable({{"#", Align::kRight},
                    {"TIME"},
                    {.heading = "AGO", .spare = 2},
                    {"KIND"},
                    {.heading = "SHARE", .spare = 1},
                    {"MESSAGE"}});
}

void AddEvent(const v1::Event& event, const View& view, TextTable* table) {
  table->AddRow({absl::StrCat(event.sequence()),
                 TimeText(event.time()),
                 AgoText(TimeOf(event.time()), view.now),
                 {EventKindText(event.kind()), EventTone(event.kind())},
                 event.share(),
                 MessageOf(event)});
}

std::string EventLine(const v1::Event& event, const View& view) {
  const std::string message = MessageOf(event);
  return absl::StrCat(absl::FormatTime("%H:%M:%S", TimeOf(event.time()), absl::UTCTimeZone()), " ",
                      Paint(EventKindText(event.kind()), EventTone(event.kind()), view.color),
                      event.share().empty() ? "" : absl::StrCat(" (", EscapeForTerminal(event.share()), ")"),
                      message.empty() ? "" : absl::StrCat(": ", EscapeForTerminal(message)), "\n");
}

bool EndsMachine(v1::Event::Kind kind) {
  switch (kind) {
    case v1::Event::KIND_POWER_OFF:
    case v1::Event::KIND_RESET:
    case v1::Event::KIND_PANIC:
    case v1::Event::KIND_FAULT:
    case v1::Event::KIND_STOPPED:
    case v1::Event::KIND_HOST_ERROR:
      return true;
    default:
      return false;
  }
}

}  // namespace daxvmm::control
