// The commands of daxvmmctl, and their help.
#ifndef DAXVMM_CONTROL_CTL_COMMANDS_H_
#define DAXVMM_CONTROL_CTL_COMMANDS_H_

#include <string>
#include <vector>

#include "control/ctl/invocation.h"

namespace daxvmm::control {

struct CommandSpec {
  CommandId id = CommandId::kNone;
  std::string words;              // "policy get"
  const char* operand = nullptr;  // nullptr: takes none
  std::string summary;
  std::string details;  // shown by `COMMAND --help`
};

// In the order of the help; those that begin with the same word stand together.
const std::vector<CommandSpec>& Commands();
const CommandSpec& SpecOf(CommandId id);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_COMMANDS_H_
