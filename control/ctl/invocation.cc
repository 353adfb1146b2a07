#include "control/ctl/invocation.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/command_line.h"
#include "base/status.h"

namespace daxvmm::control {
namespace {

// A day: longer is a mistake, and far from where a duration stops to fit gRPC's.
constexpr double kMaxTimeoutSeconds = 86400;
constexpr double kMinTimeoutSeconds = 0.001;

struct CommandSpec {
  CommandId id;
  const char* words;
  const char* operand;  // nullptr: takes none
  const char* summary;
  const char* details;  // shown by `COMMAND --help`
};

constexpr CommandSpec kCommands[] = {
    {CommandId::kPolicyGet, "policy get", nullptr, "show the policy in force and its generation",
     "Shows the rules in their order (the first that matches decides) and the default.\n"},
    {CommandId::kPolicySet, "policy set", "NAME", "replace the policy; prints the new generation",
     "NAME is one of\n"
     "  never      no file is mapped\n"
     "  always     every regular file is mapped\n"
     "  size       files from 32 KiB up\n"
     "  size:SIZE  files from SIZE up, as in size:64K\n"
     "  inode      files that carry the persistent DAX flag (chattr +x)\n"
     "The policy holds for the next reply to the guest that carries attributes; an open file keeps its\n"
     "state until its last close. A policy that is refused leaves the old one in force.\n"
     "\n"
     "A file for --file, which is what `-o json policy get` shows under \"policy\":\n"
     "  {\"rules\": [{\"name\": \"large-data\", \"share\": \"data\", \"size_at_least\": \"65536\",\n"
     "              \"outcome\": \"OUTCOME_DAX\"}],\n"
     "   \"default_outcome\": \"OUTCOME_NO_DAX\"}\n"},
    {CommandId::kFiles, "files", nullptr, "list the regular files that the guest holds",
     "DAX is what the policy in force says now, TOLD what the guest heard when it made its inode, under the\n"
     "policy of generation GEN. CHUNKS are the 2 MiB ranges mapped now; MAPS, READS and WRITES count the\n"
     "guest's SETUPMAPPING, FUSE_READ and FUSE_WRITE requests since the file came to life.\n"},
    {CommandId::kWindow, "window", nullptr, "show the use of the DAX windows",
     "CHUNKS are ranges of 2 MiB mapped now, PEAK the most so far; the other numbers count since start.\n"},
    {CommandId::kHealth, "health", nullptr, "show whether the services answer",
     "Exit status 1 if a service is not SERVING.\n"},
};

struct FlagRow {
  const char* name;        // without the dashes
  const char* value_name;  // "": takes no value
  CommandId only_for[2];   // kNone in the first: every command takes it
  const char* help;
  absl::Status (*set)(absl::string_view value, Invocation* line);
};

absl::Status SetTimeout(absl::string_view value, Invocation* line) {
  double seconds = 0;
  if (!absl::SimpleAtod(value, &seconds) || !(seconds >= kMinTimeoutSeconds && seconds <= kMaxTimeoutSeconds)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", value, "\" is not a number of seconds from 0.001 to 86400"));
  }
  line->timeout = absl::Seconds(seconds);
  return absl::OkStatus();
}

absl::Status SetFormat(absl::string_view value, Invocation* line) {
  if (value != "table" && value != "json") {
    return absl::InvalidArgumentError(absl::StrCat("\"", value, "\" is neither table nor json"));
  }
  line->format = value == "json" ? OutputFormat::kJson : OutputFormat::kTable;
  return absl::OkStatus();
}

absl::Status SetExpectedGeneration(absl::string_view value, Invocation* line) {
  uint64_t generation = 0;
  if (!absl::SimpleAtoi(value, &generation)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", value, "\" is not a generation, a whole number"));
  }
  line->expected_generation = generation;
  return absl::OkStatus();
}

absl::Status NotEmpty(absl::string_view value) {
  return value.empty() ? absl::InvalidArgumentError("the value is empty") : absl::OkStatus();
}

constexpr FlagRow kFlags[] = {
    {"control",
     "SOCKET",
     {CommandId::kNone},
     "the machine's control socket; default $DAXVMM_CONTROL",
     [](absl::string_view value, Invocation* line) {
       line->socket = std::string(value);
       return NotEmpty(value);
     }},
    {"output", "FORMAT", {CommandId::kNone}, "table (default) or json", &SetFormat},
    {"o", "FORMAT", {CommandId::kNone}, "the same", &SetFormat},
    {"timeout", "SECONDS", {CommandId::kNone}, "give up after this long; default 10", &SetTimeout},
    {"file",
     "FILE",
     {CommandId::kPolicySet},
     "take the policy from this JSON file; - is standard input",
     [](absl::string_view value, Invocation* line) {
       line->policy_file = std::string(value);
       return NotEmpty(value);
     }},
    {"expect-generation",
     "N",
     {CommandId::kPolicySet},
     "refuse unless this is the generation in force",
     &SetExpectedGeneration},
    {"share",
     "TAG",
     {CommandId::kFiles, CommandId::kWindow},
     "only this share",
     [](absl::string_view value, Invocation* line) {
       line->share = std::string(value);
       return NotEmpty(value);
     }},
    {"help",
     "",
     {CommandId::kNone},
     "show this help, or that of the command",
     [](absl::string_view value, Invocation* line) {
       line->help = true;
       return absl::OkStatus();
     }},
    {"version",
     "",
     {CommandId::kNone},
     "show the version",
     [](absl::string_view value, Invocation* line) {
       line->version = true;
       return absl::OkStatus();
     }},
};

bool AppliesTo(const FlagRow& flag, CommandId command) {
  return flag.only_for[0] == CommandId::kNone || command == flag.only_for[0] || command == flag.only_for[1];
}

const CommandSpec& SpecOf(CommandId id) {
  return *std::find_if(std::begin(kCommands), std::end(kCommands), [id](const auto& spec) { return spec.id == id; });
}

absl::Status UsageError(absl::string_view subject, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(subject, ": ", why));
}

// The flags for which `take` is true, as the parser and the help want them; each one given is noted in `given`.
template <typename Take>
std::vector<FlagSpec> Specs(Take take, Invocation* line, std::vector<const FlagRow*>* given) {
  std::vector<FlagSpec> specs;
  for (const FlagRow& row : kFlags) {
    if (!take(row)) continue;
    specs.push_back(
        {.name = row.name, .metavar = row.value_name, .help = row.help, .set = [&row, line, given](auto value) {
           given->push_back(&row);
           return row.set(value, line);
         }});
  }
  return specs;
}

// Sets `line->command` from the leading words and returns how many they were.
absl::StatusOr<size_t> RecognizeCommand(const std::vector<std::string>& words, Invocation* line) {
  for (const CommandSpec& spec : kCommands) {
    const bool two_words = absl::StrContains(spec.words, " ");
    if (words[0] == spec.words) {
      line->command = spec.id;
      return 1;
    }
    if (two_words && words.size() > 1 && absl::StrCat(words[0], " ", words[1]) == spec.words) {
      line->command = spec.id;
      return 2;
    }
  }
  if (words[0] == "policy") {
    return UsageError("policy", words.size() > 1 ? absl::StrCat("\"", words[1], "\" is neither get nor set")
                                                 : "get or set must follow");
  }
  return UsageError(words[0], "unknown command; see daxvmmctl --help");
}

absl::Status CheckPolicySet(const Invocation& line) {
  if (line.policy_name.has_value() == line.policy_file.has_value()) {
    return UsageError("policy set", line.policy_name.has_value() ? "NAME and --file exclude each other"
                                                                 : "a NAME or --file FILE is needed");
  }
  return absl::OkStatus();
}

std::string FlagsHelp(CommandId command, bool global) {
  return DescribeFlags(Specs(
      [&](const FlagRow& row) { return (row.only_for[0] == CommandId::kNone) == global && AppliesTo(row, command); },
      nullptr, nullptr));
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
  if (command.operand != nullptr && used_words < words.size()) line.policy_name = words[used_words++];
  if (used_words < words.size()) {
    return UsageError(words[used_words], absl::StrCat("unexpected after \"", command.words, "\""));
  }
  if (line.command == CommandId::kPolicySet) RETURN_IF_ERROR(CheckPolicySet(line));
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
    for (const CommandSpec& spec : kCommands) {
      const std::string words =
          absl::StrCat(spec.words, spec.operand != nullptr ? " " : "", spec.operand != nullptr ? spec.operand : "");
      absl::StrAppendFormat(&out, "  %-28s%s\n", words, spec.summary);
    }
  }
  absl::StrAppend(&out, "\nFlags:\n", FlagsHelp(command, /*global=*/true),
                  "\nExit status: 0 done; 1 refused by the server (or the output could not be written);\n"
                  "2 wrong usage; 3 no connection, or no answer in time.\n");
  return out;
}

}  // namespace daxvmm::control
