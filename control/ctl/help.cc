#include "control/ctl/help.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/command_line.h"
#include "control/ctl/commands.h"
#include "control/ctl/flag_table.h"
#include "control/ctl/man_page.h"

namespace daxvmm::control {
namespace {

constexpr char kSummary[] = "Queries and steers a running daxvmm over its control socket.";

// Of `command` alone, or those of all.
std::vector<FlagSpec> FlagsFor(CommandId command, bool global) {
  std::vector<FlagSpec> specs;
  for (const FlagRow& row : Flags()) {
    const bool own = std::find(row.only_for.begin(), row.only_for.end(), command) != row.only_for.end();
    if (global ? !row.only_for.empty() : !own) continue;
    // That of the command stands in for it.
    if (global && command != CommandId::kNone && FlagOf(row.name, command) != &row) continue;
    specs.push_back({.name = row.name,
                     .metavar = row.value_name,
                     .help = row.help,
                     .set = nullptr,
                     .value_is_optional = row.value_is_optional});
  }
  return specs;
}

std::string WithOperand(const CommandSpec& spec) {
  const std::string operand = OperandName(spec.operand);
  return absl::StrCat(spec.words, operand.empty() ? "" : " ", operand);
}

struct Status {
  const char* code;
  const char* meaning;
};
constexpr Status kStatuses[] = {
    {"0", "done"},
    {"1", "refused by the server, or the output could not be written; `health`: a service does not serve"},
    {"2", "wrong usage, or a policy file that is wrong"},
    {"3", "no connection, no answer in time, or with --wait a guest that has not followed in time"},
};

std::string ExitStatusText() {
  std::string out = "\nExit status:\n";
  for (const Status& status : kStatuses) absl::StrAppend(&out, "  ", status.code, "  ", status.meaning, "\n");
  return out;
}

}  // namespace

std::string HelpText(CommandId command, const std::string& prefix) {
  std::string out;
  if (command != CommandId::kNone) {
    const CommandSpec& spec = SpecOf(command);
    const std::string operand = OperandName(spec.operand);
    absl::StrAppend(&out, "Usage: daxvmmctl [FLAGS] ", spec.words,
                    operand.empty() ? "" : absl::StrCat(" [", operand, "]"), "\n\n", spec.summary, "\n\n",
                    spec.details);
    const std::string own_flags = DescribeFlags(FlagsFor(command, /*global=*/false));
    if (!own_flags.empty()) absl::StrAppend(&out, "\nFlags of this command:\n", own_flags);
  } else {
    absl::StrAppend(&out, "Usage: daxvmmctl [FLAGS] ", prefix, prefix.empty() ? "" : " ", "COMMAND\n\n", kSummary,
                    "\n`daxvmmctl COMMAND --help` says more.\n\nCommands:\n");
    for (const CommandSpec& spec : Commands()) {
      if (spec.hidden || (!prefix.empty() && !absl::StartsWith(spec.words, prefix + " "))) continue;
      absl::StrAppendFormat(&out, "  %-28s%s\n", WithOperand(spec), spec.summary);
    }
  }
  absl::StrAppend(&out, "\nFlags:\n", DescribeFlags(FlagsFor(command, /*global=*/true)), ExitStatusText());
  return out;
}

ManPage CtlManPage() {
  ManSection commands{.title = "COMMANDS"};
  for (const CommandSpec& spec : Commands()) {
    if (spec.hidden) continue;
    commands.subsections.push_back({.title = WithOperand(spec),
                                    .text = absl::StrCat(spec.summary, ".\n\n", spec.details),
                                    .items = ManItems(FlagsFor(spec.id, /*global=*/false))});
    std::string& text = commands.subsections.back().text;
    text[0] = absl::ascii_toupper(static_cast<unsigned char>(text[0]));
  }
  ManSection statuses{.title = "EXIT STATUS"};
  for (const Status& status : kStatuses) statuses.items.push_back({status.code, status.meaning});
  return {
      .name = "daxvmmctl",
      .summary = "queries and steers a running daxvmm",
      .synopsis = {"daxvmmctl [FLAGS] COMMAND [ARGUMENT]", "daxvmmctl COMMAND --help", "daxvmmctl --version"},
      .sections =
          {{.title = "DESCRIPTION", .text = absl::StrCat(kSummary, R"(

Answers are tables for people, or with -o json protobuf's JSON mapping of the reply for programs: field names as in
daxvmm.proto, 64-bit numbers as strings, enums by name. What goes on by itself is one object a line.
)")},
           {.title = "FLAGS", .items = ManItems(FlagsFor(CommandId::kNone, /*global=*/true))},
           std::move(commands),
           {.title = "ENVIRONMENT",
            .items = {{"DAXVMM_CONTROL", "The machine's control socket, where --control is not given."},
                      {"DAXVMM_TLS_CA, DAXVMM_TLS_CERT, DAXVMM_TLS_KEY",
                       "The files of --tls-ca, --tls-cert and --tls-key, where the control address is HOST:PORT."},
                      {"VISUAL, EDITOR", "The editor of `policy edit`."},
                      {"NO_COLOR", "If it is set and not empty, --color auto is never."},
                      {"COLUMNS", "The width of the terminal, where it is set."}}},
           std::move(statuses),
           {.title = "SEE ALSO", .text = "daxvmm(1)"}},
  };
}

}  // namespace daxvmm::control
