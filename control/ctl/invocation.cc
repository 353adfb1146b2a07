#include "control/ctl/invocation.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/command_line.h"
#include "base/status.h"
#include "base/suggest.h"
#include "control/ctl/commands.h"
#include "control/ctl/flag_table.h"
#include "control/ctl/flag_values.h"

namespace daxvmm::control {
namespace {

absl::Status UsageError(absl::string_view subject, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(subject, ": ", why));
}

// Whether the word behind `flag` is its value, before the command is known. The flags that share a name agree, or
// `next` tells.
bool TakesNext(absl::string_view flag, absl::string_view next) {
  const absl::string_view name = absl::StripPrefix(absl::StripPrefix(flag, "-"), "-");
  bool takes = false;
  bool takes_none = false;
  bool is_word = false;
  for (const FlagRow& row : Flags()) {
    if (name != row.name) continue;
    const bool value = !row.value_name.empty() && !row.value_is_optional;
    (value ? takes : takes_none) = true;
    is_word = is_word || std::find(row.words.begin(), row.words.end(), next) != row.words.end();
  }
  return takes && (!takes_none || is_word);
}

// The words that are neither flags nor values of flags.
std::vector<std::string> WordsOfLine(std::span<const char* const> arguments) {
  std::vector<std::string> words;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const absl::string_view argument = arguments[i];
    if (argument == "--") {
      words.insert(words.end(), arguments.begin() + static_cast<ptrdiff_t>(i) + 1, arguments.end());
      break;
    }
    if (argument.size() < 2 || argument[0] != '-') {
      words.emplace_back(argument);
    } else if (!absl::StrContains(argument, "=") && i + 1 < arguments.size() && TakesNext(argument, arguments[i + 1])) {
      ++i;
    }
  }
  return words;
}

// The command that begins `words`, and how many of them it has; kNone if none does.
std::pair<CommandId, size_t> FindCommand(const std::vector<std::string>& words) {
  for (const CommandSpec& spec : Commands()) {
    const std::vector<std::string> own = absl::StrSplit(spec.words, ' ');
    if (words.size() >= own.size() && std::equal(own.begin(), own.end(), words.begin())) return {spec.id, own.size()};
  }
  return {CommandId::kNone, 0};
}

// Why `words` begin with no command: what may follow the words that are right, or what the first one should be.
absl::Status NoSuchCommand(const std::vector<std::string>& words) {
  std::vector<std::string> follow;
  size_t recognised = 0;
  for (const CommandSpec& spec : Commands()) {
    if (spec.hidden) continue;
    const std::vector<std::string> own = absl::StrSplit(spec.words, ' ');
    const auto [mine, theirs] = std::mismatch(own.begin(), own.end(), words.begin(), words.end());
    const size_t same = mine - own.begin();
    if (same < recognised) continue;
    if (same > recognised) follow.clear();
    recognised = same;
    if (follow.empty() || follow.back() != *mine) follow.push_back(*mine);
  }
  if (recognised == 0) {
    return UsageError(words[0], absl::StrCat("unknown command", DidYouMean(words[0], follow),
                                             Nearest(words[0], follow).empty() ? "; see daxvmmctl --help" : ""));
  }
  const std::string start = absl::StrJoin(words.begin(), words.begin() + static_cast<ptrdiff_t>(recognised), " ");
  if (recognised == words.size()) return UsageError(start, JoinChoices(follow) + " must follow");
  return UsageError(start, NoSuchChoice(words[recognised], follow).message());
}

// Each flag once, as `command` understands it. One that it does not take is an error when it is given.
std::vector<FlagSpec> Specs(CommandId command, Invocation* line) {
  std::vector<FlagSpec> specs;
  for (const FlagRow& row : Flags()) {
    const auto same = [&row](const FlagSpec& spec) { return spec.name == row.name; };
    if (std::any_of(specs.begin(), specs.end(), same)) continue;
    const FlagRow* const own = FlagOf(row.name, command);
    const FlagRow& meant = own != nullptr ? *own : row;
    specs.push_back({.name = meant.name,
                     .metavar = meant.value_name,
                     .help = meant.help,
                     .set = [own, command, line](absl::string_view value) -> absl::Status {
                       if (own != nullptr) return own->set(value, line);
                       // Without a command there is another error to tell, or --help.
                       if (command == CommandId::kNone) return absl::OkStatus();
                       return absl::InvalidArgumentError(
                           absl::StrCat("does not apply to \"", SpecOf(command).words, "\""));
                     },
                     .value_is_optional = meant.value_is_optional});
  }
  return specs;
}

absl::Status CheckPolicySet(const Invocation& line) {
  if (line.policy_name.has_value() == line.policy_file.has_value()) {
    return UsageError("policy set", line.policy_name.has_value() ? "NAME and --file exclude each other"
                                                                 : "a NAME or --file FILE is needed");
  }
  if (line.policy_format && !line.policy_file) return UsageError("--format", "goes with --file only");
  if (line.dry_run && line.wait) return UsageError("--wait", "there is nothing to wait for with --dry-run");
  return absl::OkStatus();
}

absl::Status CheckFile(const Invocation& line, absl::string_view command) {
  if (line.path.has_value() == line.node.has_value()) {
    return UsageError(command,
                      line.path.has_value() ? "PATH and --node exclude each other" : "a PATH or --node N is needed");
  }
  return absl::OkStatus();
}

absl::Status Check(const Invocation& line) {
  if (line.policy_only && line.format != OutputFormat::kJson) {
    return UsageError("--policy-only", "goes with -o json; -o text is the policy alone anyway");
  }
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
    case CommandId::kMappings:
      if (line.path && line.node) return UsageError("mappings", "--path and --node exclude each other");
      return absl::OkStatus();
    case CommandId::kMachineShutdown:
      if (line.force && line.shutdown_timeout) return UsageError("--force", "is at once, and excludes --timeout");
      return absl::OkStatus();
    case CommandId::kTop:
      if (line.format != OutputFormat::kTable) return UsageError("--output", "does not apply to \"top\"");
      return absl::OkStatus();
    case CommandId::kEvents:
      if (line.events.since && line.events.after) return UsageError("events", "--since and --after exclude each other");
      return absl::OkStatus();
    default:
      return absl::OkStatus();
  }
}

constexpr Choice<Shell> kShells[] = {{"bash", Shell::kBash}, {"zsh", Shell::kZsh}, {"fish", Shell::kFish}};

// Takes what stands behind the command's words.
absl::Status TakeOperands(std::vector<std::string> operands, Invocation* line) {
  const CommandSpec& command = SpecOf(line->command);
  if (command.operand == Operand::kWords) {
    line->words = std::move(operands);
    return absl::OkStatus();
  }
  const size_t most = command.operand == Operand::kNone ? 0 : 1;
  if (operands.size() > most) {
    return UsageError(operands[most], absl::StrCat("unexpected after \"", command.words, "\""));
  }
  if (command.operand == Operand::kShell) {
    if (operands.empty()) return UsageError(command.words, "bash, zsh or fish must follow");
    const auto shell = ParseChoice<Shell>(operands[0], kShells);
    if (!shell.ok()) return UsageError(command.words, shell.status().message());
    line->shell = *shell;
  } else if (!operands.empty()) {
    (command.operand == Operand::kPolicyName ? line->policy_name : line->path) = std::move(operands[0]);
  }
  return absl::OkStatus();
}

// `help` of the words: as --help behind them.
absl::Status TakeHelp(const std::vector<std::string>& words, Invocation* line) {
  line->help = true;
  if (words.empty()) {
    line->command = CommandId::kNone;
    return absl::OkStatus();
  }
  const auto [command, used] = FindCommand(words);
  line->command = command;
  if (command != CommandId::kNone) return absl::OkStatus();
  const absl::Status none = NoSuchCommand(words);
  const std::string prefix = absl::StrJoin(words, " ");
  for (const CommandSpec& spec : Commands()) {
    if (absl::StartsWith(spec.words, prefix + " ")) {
      line->help_prefix = prefix;
      return absl::OkStatus();
    }
  }
  return none;
}

}  // namespace

Environment ProcessEnvironment() {
  const auto get = [](const char* name) {
    const char* const value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  return {.socket = get("DAXVMM_CONTROL"),
          .tls_ca = get("DAXVMM_TLS_CA"),
          .tls_cert = get("DAXVMM_TLS_CERT"),
          .tls_key = get("DAXVMM_TLS_KEY")};
}

absl::Status FindMachine(const Environment& environment, Invocation* line) {
  if (line->socket.empty()) line->socket = environment.socket;
  const bool own_files = !line->tls_ca.empty() || !line->tls_cert.empty() || !line->tls_key.empty();
  if (own_files ||
      (!line->socket.empty() && !absl::StrContains(line->socket, "/") && absl::StrContains(line->socket, ":"))) {
    if (line->tls_ca.empty()) line->tls_ca = environment.tls_ca;
    if (line->tls_cert.empty()) line->tls_cert = environment.tls_cert;
    if (line->tls_key.empty()) line->tls_key = environment.tls_key;
  }
  const bool any = !line->tls_ca.empty() || !line->tls_cert.empty() || !line->tls_key.empty();
  if (!any) return absl::OkStatus();
  constexpr absl::string_view kAll = "needed too: TLS takes --tls-ca, --tls-cert and --tls-key";
  if (line->tls_ca.empty()) return UsageError("--tls-ca", kAll);
  if (line->tls_cert.empty()) return UsageError("--tls-cert", kAll);
  if (line->tls_key.empty()) return UsageError("--tls-key", kAll);
  if (absl::StrContains(line->socket, "/")) {
    return UsageError("--control", "HOST:PORT is needed with --tls-ca, --tls-cert and --tls-key, not a path");
  }
  return absl::OkStatus();
}

absl::StatusOr<Invocation> ParseInvocation(std::span<const char* const> arguments, const Environment& environment) {
  Invocation line;
  // What the shells ask about is no line of ours yet: it may be wrong in any way.
  if (!arguments.empty() && arguments[0] == SpecOf(CommandId::kComplete).words) {
    line.command = CommandId::kComplete;
    line.words.assign(arguments.begin() + 1, arguments.end());
    return line;
  }
  size_t used = 0;
  std::tie(line.command, used) = FindCommand(WordsOfLine(arguments));
  ASSIGN_OR_RETURN(std::vector<std::string> words, ParseFlags(Specs(line.command, &line), arguments));
  if (line.version) return line;
  if (line.help) {
    if (line.command != CommandId::kNone) return line;
    if (absl::Status status = TakeHelp(words, &line); !status.ok()) return status;
    return line;
  }
  if (words.empty()) return absl::InvalidArgumentError("no command; see daxvmmctl --help");
  if (line.command == CommandId::kNone) return NoSuchCommand(words);
  words.erase(words.begin(), words.begin() + static_cast<ptrdiff_t>(used));
  RETURN_IF_ERROR(TakeOperands(std::move(words), &line));
  if (line.command == CommandId::kHelp) {
    if (!line.man) RETURN_IF_ERROR(TakeHelp(line.words, &line));
    return line;
  }
  RETURN_IF_ERROR(Check(line));
  RETURN_IF_ERROR(FindMachine(environment, &line));
  if (SpecOf(line.command).needs_machine && line.socket.empty()) {
    return UsageError("--control", "missing, and DAXVMM_CONTROL is not set");
  }
  return line;
}

}  // namespace daxvmm::control
