#include "control/ctl/invocation.h"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/command_line.h"
#include "base/status.h"
#include "control/ctl/commands.h"

namespace daxvmm::control {
namespace {

// A day: longer is a mistake, and far from where a duration stops to fit gRPC's.
constexpr double kMaxTimeoutSeconds = 86400;
constexpr double kMinTimeoutSeconds = 0.001;
constexpr double kMaxTtlSeconds = 366.0 * 86400;

struct FlagRow {
  const char* name;                 // without the dashes
  const char* value_name;           // "": takes no value
  std::vector<CommandId> only_for;  // empty: every command takes it
  const char* help;
  absl::Status (*set)(absl::string_view value, Invocation* line);
};

absl::StatusOr<absl::Duration> Seconds(absl::string_view value, double least, double most) {
  double seconds = 0;
  if (!absl::SimpleAtod(value, &seconds) || !(seconds >= least && seconds <= most)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("\"%s\" is not a number of seconds from %.6g to %.15g", value, least, most));
  }
  return absl::Seconds(seconds);
}

// "90", "90s", "15m", "12h" or "7d".
absl::StatusOr<absl::Duration> Span(absl::string_view value) {
  absl::string_view number = value;
  double unit = 1;
  if (!number.empty()) {
    const char last = number.back();
    unit = last == 'm' ? 60 : last == 'h' ? 3600 : last == 'd' ? 86400 : 1;
    if (last == 's' || unit != 1) number.remove_suffix(1);
  }
  double count = 0;
  if (!absl::SimpleAtod(number, &count) || !(count * unit >= 1 && count * unit <= kMaxTtlSeconds)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", value, "\" is not a time such as 90s, 15m, 12h or 7d, of a second to a year"));
  }
  return absl::Seconds(count * unit);
}

absl::StatusOr<uint64_t> WholeNumber(absl::string_view value, absl::string_view what) {
  uint64_t number = 0;
  if (!absl::SimpleAtoi(value, &number)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", value, "\" is not ", what, ", a whole number"));
  }
  return number;
}

absl::Status SetOutput(absl::string_view value, Invocation* line) {
  constexpr std::pair<absl::string_view, OutputFormat> kFormats[] = {{"table", OutputFormat::kTable},
                                                                     {"wide", OutputFormat::kWide},
                                                                     {"json", OutputFormat::kJson},
                                                                     {"textproto", OutputFormat::kTextproto}};
  for (const auto& [name, format] : kFormats) {
    if (value != name) continue;
    line->format = format;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("\"", value, "\" is none of table, wide, json and textproto"));
}

absl::Status SetPolicyFormat(absl::string_view value, Invocation* line) {
  if (value != "textproto" && value != "json") {
    return absl::InvalidArgumentError(absl::StrCat("\"", value, "\" is neither textproto nor json"));
  }
  line->policy_format = value == "json" ? PolicyFormat::kJson : PolicyFormat::kTextproto;
  return absl::OkStatus();
}

absl::Status SetText(absl::string_view value, std::string* text) {
  if (value.empty()) return absl::InvalidArgumentError("the value is empty");
  *text = std::string(value);
  return absl::OkStatus();
}

const std::vector<FlagRow>& Flags() {
  using Id = CommandId;
  static const auto* const kFlags = new std::vector<FlagRow>{
      {"control",
       "SOCKET",
       {},
       "the machine's control socket; default $DAXVMM_CONTROL",
       [](absl::string_view value, Invocation* line) { return SetText(value, &line->socket); }},
      {"output", "FORMAT", {}, "table (default), wide (all columns), json, or for `policy get` textproto", &SetOutput},
      {"o", "FORMAT", {}, "the same", &SetOutput},
      {"timeout",
       "SECONDS",
       {},
       "give up after this long; default 10. `watch` goes on until it is done, unless this is given",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->timeout, Seconds(value, kMinTimeoutSeconds, kMaxTimeoutSeconds));
         return absl::OkStatus();
       }},
      {"policy-only",
       "",
       {Id::kPolicyGet},
       "with -o json: the policy alone, to be given to `policy set --file`",
       [](absl::string_view, Invocation* line) {
         line->policy_only = true;
         return absl::OkStatus();
       }},
      {"file",
       "FILE",
       {Id::kPolicySet},
       "take the policy from this file, in either form; - is standard input",
       [](absl::string_view value, Invocation* line) {
         line->policy_file.emplace();
         return SetText(value, &*line->policy_file);
       }},
      {"format",
       "FORMAT",
       {Id::kPolicySet},
       "textproto or json, of --file; default: as the text begins",
       &SetPolicyFormat},
      {"force",
       "",
       {Id::kPolicySet},
       "replace the policy of a watched file too, until that changes again",
       [](absl::string_view, Invocation* line) {
         line->force = true;
         return absl::OkStatus();
       }},
      {"expect-generation",
       "N",
       {Id::kPolicySet, Id::kOverrideSet, Id::kOverrideClear},
       "refuse unless this is the generation in force",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->expected_generation, WholeNumber(value, "a generation"));
         return absl::OkStatus();
       }},
      {"wait",
       "",
       {Id::kPolicySet, Id::kOverrideSet, Id::kOverrideClear},
       "wait until the guest has followed, at most --timeout; status 3 if it has not",
       [](absl::string_view, Invocation* line) {
         line->wait = true;
         return absl::OkStatus();
       }},
      {"share",
       "TAG",
       {Id::kFiles, Id::kWindow, Id::kWatch, Id::kTop, Id::kPolicyExplain, Id::kOverrideSet, Id::kOverrideClear},
       "this share; may be left out where a single file is named and the machine has one share only",
       [](absl::string_view value, Invocation* line) { return SetText(value, &line->share); }},
      {"node",
       "N",
       {Id::kPolicyExplain, Id::kOverrideSet, Id::kOverrideClear},
       "the file by its node id, as `files -o wide` shows it, instead of PATH",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->node, WholeNumber(value, "a node id"));
         return absl::OkStatus();
       }},
      {"dax",
       "YES|NO",
       {Id::kOverrideSet},
       "yes: the file is DAX; no: it is not. Required",
       [](absl::string_view value, Invocation* line) {
         if (value != "yes" && value != "no") {
           return absl::InvalidArgumentError(absl::StrCat("\"", value, "\" is neither yes nor no"));
         }
         line->dax = value == "yes";
         return absl::OkStatus();
       }},
      {"ttl",
       "TIME",
       {Id::kOverrideSet},
       "the override runs out after this long: 90s, 15m, 12h, 7d",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->ttl, Span(value));
         return absl::OkStatus();
       }},
      {"note",
       "TEXT",
       {Id::kOverrideSet},
       "free text, at most 256 bytes",
       [](absl::string_view value, Invocation* line) { return SetText(value, &line->note); }},
      {"interval",
       "SECONDS",
       {Id::kWatch, Id::kTop},
       "0.1 to 60, default 1: `watch` shows the counts this often without a change, `top` asks this often",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->interval, Seconds(value, 0.1, 60));
         return absl::OkStatus();
       }},
      {"follow",
       "",
       {Id::kWatch},
       "go on after everything is settled",
       [](absl::string_view, Invocation* line) {
         line->follow = true;
         return absl::OkStatus();
       }},
      {"help",
       "",
       {},
       "show this help, or that of the command",
       [](absl::string_view, Invocation* line) {
         line->help = true;
         return absl::OkStatus();
       }},
      {"version",
       "",
       {},
       "show the version",
       [](absl::string_view, Invocation* line) {
         line->version = true;
         return absl::OkStatus();
       }},
  };
  return *kFlags;
}

bool AppliesTo(const FlagRow& flag, CommandId command) {
  return flag.only_for.empty() || std::find(flag.only_for.begin(), flag.only_for.end(), command) != flag.only_for.end();
}

absl::Status UsageError(absl::string_view subject, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(subject, ": ", why));
}

// The flags for which `take` is true, as the parser and the help want them; each one given is noted in `given`.
template <typename Take>
std::vector<FlagSpec> Specs(Take take, Invocation* line, std::vector<const FlagRow*>* given) {
  std::vector<FlagSpec> specs;
  for (const FlagRow& row : Flags()) {
    if (!take(row)) continue;
    specs.push_back(
        {.name = row.name, .metavar = row.value_name, .help = row.help, .set = [&row, line, given](auto value) {
           given->push_back(&row);
           return row.set(value, line);
         }});
  }
  return specs;
}

// Sets `line->command` from the leading words and returns how many they were. A command of more words than were given
// is told what may follow.
absl::StatusOr<size_t> RecognizeCommand(const std::vector<std::string>& words, Invocation* line) {
  std::vector<std::string> follow;  // what may come after the words that were recognised
  size_t recognised = 0;
  for (const CommandSpec& spec : Commands()) {
    const std::vector<std::string> own = absl::StrSplit(spec.words, ' ');
    const auto [mine, theirs] = std::mismatch(own.begin(), own.end(), words.begin(), words.end());
    if (mine == own.end()) {
      line->command = spec.id;
      return own.size();
    }
    const size_t same = mine - own.begin();
    if (same == 0 || same < recognised) continue;
    if (same > recognised) follow.clear();
    recognised = same;
    if (follow.empty() || follow.back() != *mine) follow.push_back(*mine);
  }
  if (recognised == 0) return UsageError(words[0], "unknown command; see daxvmmctl --help");
  const std::string start = absl::StrJoin(words.begin(), words.begin() + static_cast<ptrdiff_t>(recognised), " ");
  const std::string last = follow.back();
  follow.pop_back();
  const std::string choice = follow.empty() ? last : absl::StrCat(absl::StrJoin(follow, ", "), " or ", last);
  return UsageError(start, recognised < words.size() ? absl::StrCat("\"", words[recognised], "\" is not ", choice)
                                                     : absl::StrCat(choice, " must follow"));
}

absl::Status CheckPolicySet(const Invocation& line) {
  if (line.policy_name.has_value() == line.policy_file.has_value()) {
    return UsageError("policy set", line.policy_name.has_value() ? "NAME and --file exclude each other"
                                                                 : "a NAME or --file FILE is needed");
  }
  if (line.policy_format && !line.policy_file) return UsageError("--format", "goes with --file only");
  return absl::OkStatus();
}

absl::Status CheckFile(const Invocation& line, absl::string_view command) {
  if (line.path.has_value() == line.node.has_value()) {
    return UsageError(command,
                      line.path.has_value() ? "PATH and --node exclude each other" : "a PATH or --node N is needed");
  }
  return absl::OkStatus();
}

absl::Status CheckOutput(const Invocation& line) {
  if (line.format == OutputFormat::kTextproto && line.command != CommandId::kPolicyGet) {
    return UsageError("--output", "textproto is for \"policy get\" only");
  }
  if (line.command == CommandId::kTop && line.format != OutputFormat::kTable) {
    return UsageError("--output", "does not apply to \"top\"");
  }
  if (line.policy_only && line.format != OutputFormat::kJson) {
    return UsageError("--policy-only", "goes with -o json; -o textproto is the policy alone anyway");
  }
  return absl::OkStatus();
}

absl::Status Check(const Invocation& line) {
  RETURN_IF_ERROR(CheckOutput(line));
  switch (line.command) {
    case CommandId::kPolicySet:
      return CheckPolicySet(line);
    case CommandId::kPolicyExplain:
      return CheckFile(line, "policy explain");
    case CommandId::kOverrideClear:
      return CheckFile(line, "policy override clear");
    case CommandId::kOverrideSet:
      if (!line.dax) return UsageError("--dax", "missing; yes or no is needed");
      return CheckFile(line, "policy override set");
    default:
      return absl::OkStatus();
  }
}

std::string FlagsHelp(CommandId command, bool global) {
  return DescribeFlags(Specs(
      [&](const FlagRow& row) { return row.only_for.empty() == global && AppliesTo(row, command); }, nullptr, nullptr));
}

}  // namespace

absl::StatusOr<Invocation> ParseInvocation(std::span<const char* const> arguments, const std::string& default_socket) {
  Invocation line;
  std::vector<const FlagRow*> given;
  const auto specs = Specs([](const FlagRow&) { return true; }, &line, &given);
  ASSIGN_OR_RETURN(const std::vector<std::string> words, ParseFlags(specs, arguments));
  size_t used_words = 0;
  if (!words.empty()) {
    ASSIGN_OR_RETURN(used_words, RecognizeCommand(words, &line));
  }
  if (line.help || line.version) return line;
  if (words.empty()) return absl::InvalidArgumentError("no command; see daxvmmctl --help");

  const CommandSpec& command = SpecOf(line.command);
  for (const FlagRow* flag : given) {
    if (!AppliesTo(*flag, line.command)) {
      return UsageError(absl::StrCat("--", flag->name), absl::StrCat("does not apply to \"", command.words, "\""));
    }
  }
  if (command.operand != nullptr && used_words < words.size()) {
    (line.command == CommandId::kPolicySet ? line.policy_name : line.path) = words[used_words++];
  }
  if (used_words < words.size()) {
    return UsageError(words[used_words], absl::StrCat("unexpected after \"", command.words, "\""));
  }
  RETURN_IF_ERROR(Check(line));
  if (line.socket.empty()) line.socket = default_socket;
  if (line.socket.empty()) return UsageError("--control", "missing, and DAXVMM_CONTROL is not set");
  return line;
}

std::string HelpText(CommandId command) {
  std::string out;
  if (command != CommandId::kNone) {
    const CommandSpec& spec = SpecOf(command);
    const std::string own_flags = FlagsHelp(command, /*global=*/false);
    absl::StrAppend(&out, "Usage: daxvmmctl [FLAGS] ", spec.words,
                    spec.operand != nullptr ? absl::StrCat(" [", spec.operand, "]") : "", "\n\n", spec.summary, "\n\n",
                    spec.details);
    if (!own_flags.empty()) absl::StrAppend(&out, "\nFlags of this command:\n", own_flags);
  } else {
    absl::StrAppend(&out, "Usage: daxvmmctl [FLAGS] COMMAND\n\n",
                    "Queries and steers a running daxvmm over its control socket.\n\nCommands:\n");
    for (const CommandSpec& spec : Commands()) {
      const std::string words =
          absl::StrCat(spec.words, spec.operand != nullptr ? " " : "", spec.operand != nullptr ? spec.operand : "");
      absl::StrAppendFormat(&out, "  %-28s%s\n", words, spec.summary);
    }
  }
  absl::StrAppend(
      &out, "\nFlags:\n", FlagsHelp(command, /*global=*/true),
      "\nExit status: 0 done; 1 refused by the server (or the output could not be written);\n"
      "2 wrong usage, or a policy file that is wrong; 3 no connection, no answer in time, or with --wait a\n"
      "guest that has not followed in time.\n");
  return out;
}

}  // namespace daxvmm::control
