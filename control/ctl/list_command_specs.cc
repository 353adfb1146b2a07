// What there is to say of files, windows and mappings.
#include <string>

#include "control/ctl/commands.h"

namespace daxvmm::control {
namespace {

constexpr char kStateHelp[] =
    "  converged       the guest's inode is as the policy wants it\n"
    "  cached 0.4 s    the guest may trust attributes that it has for so long, then it asks again\n"
    "  next use        the time-out is over: its next stat or open asks, whether it is open or not\n"
    "  held open       the guest has heard, and changes it after the last close\n"
    "  still held      the guest has heard and nothing is open, but its inode lives\n"
    "  unknown         what the guest was told is not known\n";

constexpr char kTopHelp[] =
    "Shows one share at a time: its window as a map, in which each of the hottest files has a letter and a colour\n"
    "that its row in the list has too; the use of the window; how far the guest has followed the policy (all\n"
    "shares together); and the files that the guest holds. A lost connection is tried again until it is back.\n"
    "\n"
    "Keys:\n"
    "  q              quit\n"
    "  space          stop asking, and go on\n"
    "  s, S           sort the files by chunks, reads, maps or size; S goes backwards\n"
    "  n, tab; p      the next share; the one before\n"
    "  arrows         scroll the files, as the page keys, home and end do\n"
    "  r              ask now\n"
    "  +, -           ask less often, more often\n"
    "  ?              what keys and signs mean\n"
    "\n"
    "Needs a terminal of at least 40x10 that can move its cursor; NO_COLOR turns the colours off.\n";

}  // namespace

std::vector<CommandSpec> ListCommandSpecs() {
  return {
      {.id = CommandId::kFiles,
       .words = "files",
       .summary = "list the regular files that the guest holds",
       .details =
           "DAX is what the policy in force says now (a * marks an override), TOLD what the guest heard when it made "
           "its\n"
           "inode. STATE is how far the guest has followed:\n" +
           std::string(kStateHelp) +
           "CHUNKS are the 2 MiB ranges mapped now; MAPS and READS count the guest's SETUPMAPPING and FUSE_READ\n"
           "requests since the file came to life. -o wide shows all that is known. On a narrow terminal columns are\n"
           "left out and paths are cut in their middle; elsewhere never.\n"
           "\n"
           "The flags choose files for which all that is given holds. A long list is shown as it comes; a file that\n"
           "comes or goes meanwhile may be missing from it.\n"},
      {.id = CommandId::kWatch,
       .words = "watch",
       .summary = "watch the guest follow a change of the policy",
       .details =
           "Counts the live files by state, see `files --help`, and ends with status 0 when only \"converged\" and "
           "\"next\n"
           "use\" are left. On a terminal one line is rewritten, elsewhere each update is a line (with -o json an\n"
           "object).\n"},
      {.id = CommandId::kTop,
       .words = "top",
       .summary = "show the windows and the hottest files live, on the whole terminal",
       .details = kTopHelp},
      {.id = CommandId::kWindow,
       .words = "window",
       .summary = "show the use of the DAX windows",
       .details =
           "CHUNKS are ranges of 2 MiB mapped now, PEAK the most so far; MAP/S and UNMAP/S are rates over the last "
           "10\n"
           "seconds; the other numbers count since start. -o wide shows all that is known.\n"
           "\n"
           "--watch shows it again and again: on a terminal in its place, elsewhere one below the other, with\n"
           "-o json an object a line.\n"},
      {.id = CommandId::kMappings,
       .words = "mappings",
       .summary = "show what lies where in the DAX windows",
       .details =
           "Sorted by share and offset. OFFSET is from the window's beginning, ADDRESS the guest-physical one, AT\n"
           "and SIZE are of the file; GEN is the policy generation that was in force when the guest mapped it.\n"},
  };
}

}  // namespace daxvmm::control
