#include "control/ctl/commands.h"

#include <algorithm>
#include <iterator>

namespace daxvmm::control {
namespace {

std::vector<CommandSpec> LocalCommandSpecs() {
  return {
      {.id = CommandId::kVersion,
       .words = "version",
       .summary = "show the version of this program, and of a machine",
       .details = "Asks the machine for its own if --control or DAXVMM_CONTROL names one.\n",
       .needs_machine = false},
      {.id = CommandId::kCompletion,
       .words = "completion",
       .operand = Operand::kShell,
       .summary = "print what makes a shell complete commands, flags, shares and paths",
       .details = "SHELL is bash, zsh or fish:\n"
                  "  bash:  source <(daxvmmctl completion bash)        in ~/.bashrc\n"
                  "  zsh:   source <(daxvmmctl completion zsh)         in ~/.zshrc, after compinit\n"
                  "  fish:  daxvmmctl completion fish | source         in ~/.config/fish/config.fish\n"
                  "Shares and paths are asked of the machine that the line or DAXVMM_CONTROL names, for two seconds\n"
                  "at most.\n",
       .needs_machine = false},
      {.id = CommandId::kHelp,
       .words = "help",
       .operand = Operand::kWords,
       .summary = "show the help, or that of a command",
       .details = "`help --man` prints the manual page, in roff.\n",
       .needs_machine = false},
      {.id = CommandId::kComplete,
       .words = "__complete",
       .operand = Operand::kWords,
       .summary = "what the shells' completions call",
       .needs_machine = false,
       .hidden = true},
  };
}

}  // namespace

const std::vector<CommandSpec>& Commands() {
  static const auto* const kCommands = [] {
    auto* all = new std::vector<CommandSpec>();
    for (const auto& part : {PolicyCommandSpecs(), ListCommandSpecs(), MachineCommandSpecs(), LocalCommandSpecs()}) {
      all->insert(all->end(), part.begin(), part.end());
    }
    return all;
  }();
  return *kCommands;
}

const CommandSpec& SpecOf(CommandId id) {
  const auto& all = Commands();
  return *std::find_if(all.begin(), all.end(), [id](const CommandSpec& spec) { return spec.id == id; });
}

std::string OperandName(Operand operand) {
  switch (operand) {
    case Operand::kNone:
      return "";
    case Operand::kPolicyName:
      return "NAME";
    case Operand::kPath:
      return "PATH";
    case Operand::kShell:
      return "SHELL";
    case Operand::kWords:
      return "COMMAND";
  }
  return "";
}

}  // namespace daxvmm::control
