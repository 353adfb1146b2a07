// The command line of `daxvmm run`.
#ifndef DAXVMM_VMM_RUN_OPTIONS_H_
#define DAXVMM_VMM_RUN_OPTIONS_H_

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/command_line.h"
#include "base/log.h"
#include "control/metrics/endpoint.h"
#include "vmm/config.h"
#include "vmm/control_options.h"

namespace daxvmm::vmm {

struct RunOptions {
  MachineConfig machine;
  ControlOptions control;
  std::optional<control::MetricsEndpoint> metrics;  // where they are served; nullopt: nowhere
  // --policy was given; excludes `machine.policy_file`, of which nothing has been read yet.
  bool named_policy = false;
  LogLevel log_level = LogLevel::kWarning;
  bool paused = false;  // the vCPUs wait for StartMachine
  bool help = false;    // --help was given: nothing else is validated
};

// `arguments` are those behind "run". INVALID_ARGUMENT with one line that names the flag, as "--flag: reason".
absl::StatusOr<RunOptions> ParseRunOptions(std::span<const char* const> arguments);

// "path=DIR,tag=T[,dax-window=SIZE][,policy=NAME][,OPTION...]", with the options of fs::ApplyShareOption; a comma in a
// value is written as ",,".
absl::StatusOr<ShareConfig> ParseShare(absl::string_view text);

// The flags of `daxvmm run`, which set `options`.
std::vector<FlagSpec> RunFlags(RunOptions* options);

// What `daxvmm run --help` prints.
std::string RunHelp();

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_RUN_OPTIONS_H_
