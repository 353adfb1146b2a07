// What the machine can do.
#include "control/ctl/commands.h"

namespace daxvmm::control {

std::vector<CommandSpec> MachineCommandSpecs() {
  return {
      {.id = CommandId::kMachineShow,
       .words = "machine show",
       .summary = "show the machine's state and its shares",
       .details = "State, version, process, processors, memory, how long it has run, and what it shares.\n"},
      {.id = CommandId::kMachineStart,
       .words = "machine start",
       .summary = "run a machine that was made with daxvmm run --paused",
       .details = "Refused of a machine that has started already; see `machine resume`.\n"},
      {.id = CommandId::kMachinePause,
       .words = "machine pause",
       .summary = "stop all processors where they are",
       .details = "Ends when none of them runs guest code any more. A paused machine stays as it is.\n"},
      {.id = CommandId::kMachineResume,
       .words = "machine resume",
       .summary = "let a paused machine go on",
       .details = "A running machine stays as it is.\n"},
      {.id = CommandId::kMachineShutdown,
       .words = "machine shutdown",
       .summary = "power the guest off, in the end by force",
       .details = "Presses the power button until the guest is gone, and ends it by force at the deadline. Answers at "
                  "once; with\n"
                  "--wait the command ends when the machine has ended. Given again, it moves the deadline. A paused "
                  "machine is\n"
                  "resumed for it.\n"},
      {.id = CommandId::kMachineConsole,
       .words = "machine console",
       .summary = "show what the guest wrote to its serial console",
       .details = "The last 256 KiB are kept; what is not kept any more is left out, and standard error says how much. "
                  "Bytes are\n"
                  "written as they are, to a terminal too, as a console does: a guest that is not trusted is better "
                  "shown with\n"
                  "--escape. -o json prints an object for each piece, with its offset and its data in base64.\n"
                  "It is for operators only, since consoles show secrets.\n"},
      {.id = CommandId::kEvents,
       .words = "events",
       .summary = "show what has happened to the machine",
       .details =
           "Oldest first; the last 1024 are kept. With --follow it goes on, and ends with status 0 when the machine\n"
           "ends. With -o json each event is a line.\n"},
      {.id = CommandId::kHealth,
       .words = "health",
       .summary = "show whether the services answer",
       .details = "Exit status 1 if a service is not SERVING.\n"},
  };
}

}  // namespace daxvmm::control
