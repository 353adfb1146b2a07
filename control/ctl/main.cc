// daxvmmctl: queries and steers a running daxvmm.
#include <algorithm>
#include <csignal>
#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/version.h"
#include "control/ctl/commands.h"
#include "control/ctl/file_commands.h"
#include "control/ctl/help.h"
#include "control/ctl/invocation.h"
#include "control/ctl/local_commands.h"
#include "control/ctl/machine_commands.h"
#include "control/ctl/policy_commands.h"
#include "control/ctl/policy_edit.h"
#include "control/ctl/runner.h"
#include "control/ctl/top_command.h"
#include "control/ctl/window_commands.h"

namespace daxvmm::control {
namespace {

struct Dispatch {
  CommandId id;
  ExitCode (*run)(Runner* runner);
  bool connects_itself = false;  // else there is a connection before `run`
};

constexpr Dispatch kDispatch[] = {
    {CommandId::kPolicyGet, &PolicyGet},
    {CommandId::kPolicySet, &PolicySet, /*connects_itself=*/true},
    {CommandId::kPolicyEdit, &PolicyEdit},
    {CommandId::kPolicyExplain, &PolicyExplain},
    {CommandId::kPolicyHistory, &PolicyHistory},
    {CommandId::kOverrideSet, &OverrideSet},
    {CommandId::kOverrideClear, &OverrideClear},
    {CommandId::kOverrideList, &OverrideList},
    {CommandId::kFiles, &Files},
    {CommandId::kMappings, &Mappings},
    {CommandId::kWatch, &Watch},
    {CommandId::kTop, &Top, /*connects_itself=*/true},
    {CommandId::kWindow, &ShowWindow},
    {CommandId::kMachineShow, &MachineShow},
    {CommandId::kMachineStart, &MachineStart},
    {CommandId::kMachinePause, &MachinePause},
    {CommandId::kMachineResume, &MachineResume},
    {CommandId::kMachineShutdown, &MachineShutdown},
    {CommandId::kMachineConsole, &MachineConsole},
    {CommandId::kEvents, &Events},
    {CommandId::kHealth, &Health},
    {CommandId::kVersion, &Version, /*connects_itself=*/true},
    {CommandId::kCompletion, &Completion, /*connects_itself=*/true},
    {CommandId::kHelp, &Help, /*connects_itself=*/true},
    {CommandId::kComplete, &Complete, /*connects_itself=*/true},
};

ExitCode Main(std::span<const char* const> arguments) {
  // `daxvmmctl watch | head -1` ends like any other program, not by a signal.
  std::signal(SIGPIPE, SIG_IGN);
  const auto line = ParseInvocation(arguments, ProcessEnvironment());
  if (!line.ok()) return Runner({}, {}).Fail(ExitCode::kUsage, line.status().message());
  Runner runner(*line, ViewOf(*line, absl::Now()));
  if (line->help) return runner.Print(HelpText(line->command, line->help_prefix));
  if (line->version) return runner.Print(absl::StrCat("daxvmmctl ", kVersion, "\n"));
  for (const Dispatch& dispatch : kDispatch) {
    if (dispatch.id != line->command) continue;
    if (!dispatch.connects_itself) {
      if (const auto failed = runner.Connect()) return *failed;
    }
    return dispatch.run(&runner);
  }
  return runner.Fail(ExitCode::kUsage, "no command");
}

}  // namespace
}  // namespace daxvmm::control

int main(int argc, char** argv) {
  return static_cast<int>(daxvmm::control::Main(std::span(argv + std::min(argc, 1), argv + argc)));
}
