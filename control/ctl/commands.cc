#include "control/ctl/commands.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "devices/virtio_fs/dax/policy_names.h"

namespace daxvmm::control {
namespace {

std::string PolicyNameLines() {
  std::string lines;
  for (const dax::PolicyName& name : dax::PolicyNames()) {
    absl::StrAppendFormat(&lines, "  %-26s  %s\n", name.spelling, name.meaning);
  }
  return lines;
}

constexpr char kPathHelp[] =
    "PATH is relative to the share, as `files` shows it: \\xNN stands for a byte that is no UTF-8.\n";

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

std::vector<CommandSpec> Make() {
  return {
      {CommandId::kPolicyGet, "policy get", nullptr, "show the policy in force and where it came from",
       "Shows the rules in their order (the first that matches decides), the default, the overrides above them, and\n"
       "the watched file (--policy-file of daxvmm) with what is wrong with it, if anything is.\n"
       "\n"
       "-o textproto prints the policy alone, and so does -o json --policy-only: both can be given to\n"
       "`policy set --file`, or to --policy-file, and lose nothing.\n"},
      {CommandId::kPolicySet, "policy set", "NAME", "replace the policy; prints the new generation",
       "NAME is one of\n" + PolicyNameLines() +
           "The policy holds for the next reply to the guest that carries attributes; an open file keeps its state\n"
           "until its last close. Overrides stay. A policy that is refused leaves the old one in force. While daxvmm\n"
           "watches a file (--policy-file) a policy is refused without --force.\n"
           "\n"
           "A file for --file, in protobuf's text format (or the same in JSON, as `policy get` prints it):\n"
           "  rules {\n"
           "    name: \"libraries\"\n"
           "    share: \"root\"\n"
           "    paths: \"usr/lib/**/*.so*\"\n"
           "    size_at_least: 65536\n"
           "    outcome: OUTCOME_DAX\n"
           "  }\n"
           "  default_outcome: OUTCOME_NO_DAX\n"
           "proto/daxvmm/v1/daxvmm.proto explains every field.\n"},
      {CommandId::kPolicyExplain, "policy explain", "PATH", "say why one file is DAX or not",
       std::string(kPathHelp) +
           "Shows what is known of the file, the rules in their order up to the one that decides, each with the\n"
           "condition that does not hold, and what the guest was told. The file need not be in the guest's hands.\n"},
      {CommandId::kOverrideSet, "policy override set", "PATH", "decide for one file, above the rules",
       std::string(kPathHelp) +
           "Replaces the override of the same file. Built-in rules still stand above it. A node id is good for the\n"
           "guest's present session; a path for every file that is there.\n"},
      {CommandId::kOverrideClear, "policy override clear", "PATH", "take an override back", kPathHelp},
      {CommandId::kPolicyHistory, "policy history", nullptr, "show the last generations and who made them",
       "Oldest first, at most 256.\n"},
      {CommandId::kFiles, "files", nullptr, "list the regular files that the guest holds",
       "DAX is what the policy in force says now (a * marks an override), TOLD what the guest heard when it made its\n"
       "inode. STATE is how far the guest has followed:\n" +
           std::string(kStateHelp) +
           "CHUNKS are the 2 MiB ranges mapped now; MAPS and READS count the guest's SETUPMAPPING and FUSE_READ\n"
           "requests since the file came to life. -o wide shows all that is known.\n"},
      {CommandId::kWatch, "watch", nullptr, "watch the guest follow a change of the policy",
       "Counts the live files by state, see `files --help`, and ends with status 0 when only \"converged\" and \"next\n"
       "use\" are left. On a terminal one line is rewritten, elsewhere each update is a line (with -o json an\n"
       "object).\n"},
      {CommandId::kTop, "top", nullptr, "show the windows and the hottest files live, on the whole terminal",
       std::string(kTopHelp)},
      {CommandId::kWindow, "window", nullptr, "show the use of the DAX windows",
       "CHUNKS are ranges of 2 MiB mapped now, PEAK the most so far; MAP/S and UNMAP/S are rates over the last 10\n"
       "seconds; the other numbers count since start. -o wide shows all that is known.\n"},
      {CommandId::kHealth, "health", nullptr, "show whether the services answer",
       "Exit status 1 if a service is not SERVING.\n"},
  };
}

}  // namespace

const std::vector<CommandSpec>& Commands() {
  static const auto* const kCommands = new std::vector<CommandSpec>(Make());
  return *kCommands;
}

const CommandSpec& SpecOf(CommandId id) {
  const auto& all = Commands();
  return *std::find_if(all.begin(), all.end(), [id](const CommandSpec& spec) { return spec.id == id; });
}

}  // namespace daxvmm::control
