// The commands of daxvmmctl, and their help.
#ifndef DAXVMM_CONTROL_CTL_COMMANDS_H_
#define DAXVMM_CONTROL_CTL_COMMANDS_H_

#include <string>
#include <vector>

#include "control/ctl/invocation.h"

namespace daxvmm::control {

// What stands behind the words of a command.
enum class Operand { kNone, kPolicyName, kPath, kShell, kWords };

struct CommandSpec {
  CommandId id = CommandId::kNone;
  std::string words;  // "policy get"
  Operand operand = Operand::kNone;
  std::string summary;
  std::string details;        // shown by `COMMAND --help`
  bool needs_machine = true;  // --control is needed
  bool hidden = false;        // from help and completion
};

// In the order of the help; those that begin with the same word stand together.
const std::vector<CommandSpec>& Commands();
const CommandSpec& SpecOf(CommandId id);
// "NAME"; empty for kNone.
std::string OperandName(Operand operand);

// The parts that Commands() is made of.
std::vector<CommandSpec> PolicyCommandSpecs();
std::vector<CommandSpec> ListCommandSpecs();
std::vector<CommandSpec> MachineCommandSpecs();

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_COMMANDS_H_
