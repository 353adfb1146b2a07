// What `policy` can do.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "control/ctl/commands.h"
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

}  // namespace

std::vector<CommandSpec> PolicyCommandSpecs() {
  return {
      {.id = CommandId::kPolicyGet,
       .words = "policy get",
       .summary = "show the policy in force and where it came from",
       .details = "Shows the rules in their order (the first that matches decides), the default, the overrides above "
                  "them, and\n"
                  "the watched file (--policy-file of daxvmm) with what is wrong with it, if anything is.\n"
                  "\n"
                  "-o text prints the policy alone, and so does -o json --policy-only: both can be given to\n"
                  "`policy set --file`, or to --policy-file, and lose nothing.\n"},
      {.id = CommandId::kPolicySet,
       .words = "policy set",
       .operand = Operand::kPolicyName,
       .summary = "replace the policy; prints the new generation",
       .details =
           "NAME is one of\n" + PolicyNameLines() +
           "The policy holds for the next reply to the guest that carries attributes; an open file keeps its state\n"
           "until its last close. Overrides stay. A policy that is refused leaves the old one in force. While daxvmm\n"
           "watches a file (--policy-file) a policy is refused without --force. With --dry-run nothing is changed: "
           "what\n"
           "would change is counted, and the first hundred files are named.\n"
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
      {.id = CommandId::kPolicyEdit,
       .words = "policy edit",
       .summary = "change the policy in an editor",
       .details =
           "Opens the policy, in protobuf's text format, in $VISUAL, else $EDITOR, else vi. A policy that is wrong is\n"
           "opened again with the error in its first lines; one that is left as it was changes nothing. What the "
           "change\n"
           "would mean for the files that the guest holds is shown, and asked about on a terminal (--yes: is not).\n"
           "\n"
           "If somebody else changes the policy meanwhile, neither change is lost: this one is refused, and the "
           "edited\n"
           "file is kept and named, as it is whenever the change could not be made.\n"},
      {.id = CommandId::kPolicyExplain,
       .words = "policy explain",
       .operand = Operand::kPath,
       .summary = "say why one file is DAX or not",
       .details =
           std::string(kPathHelp) +
           "Shows what is known of the file, the rules in their order up to the one that decides, each with the\n"
           "condition that does not hold, and what the guest was told. The file need not be in the guest's hands.\n"},
      {.id = CommandId::kOverrideSet,
       .words = "policy override set",
       .operand = Operand::kPath,
       .summary = "decide for one file, above the rules",
       .details =
           std::string(kPathHelp) +
           "Replaces the override of the same file. Built-in rules still stand above it. A node id is good for the\n"
           "guest's present session; a path for every file that is there.\n"},
      {.id = CommandId::kOverrideClear,
       .words = "policy override clear",
       .operand = Operand::kPath,
       .summary = "take an override back",
       .details = kPathHelp},
      {.id = CommandId::kOverrideList,
       .words = "policy override list",
       .summary = "show the overrides",
       .details = "As `policy get` shows them, alone.\n"},
      {.id = CommandId::kPolicyHistory,
       .words = "policy history",
       .summary = "show the last generations and who made them",
       .details = "Oldest first, at most 256.\n"},
  };
}

}  // namespace daxvmm::control
