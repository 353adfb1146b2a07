// The command line of daxvmmctl as a value. What there is to say, flags and commands with their help, stands in two
// tables in the .cc; nothing else knows a flag's name.
#ifndef DAXVMM_CONTROL_CTL_INVOCATION_H_
#define DAXVMM_CONTROL_CTL_INVOCATION_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace daxvmm::control {

// Documented in --help; scripts rely on them.
enum class ExitCode { kOk = 0, kRefused = 1, kUsage = 2, kNoConnection = 3 };

enum class CommandId { kNone, kPolicyGet, kPolicySet, kFiles, kWindow, kHealth };
enum class OutputFormat { kTable, kJson };

struct Invocation {
  CommandId command = CommandId::kNone;  // kNone only with `help` or `version`
  bool help = false;
  bool version = false;
  std::string socket;
  OutputFormat format = OutputFormat::kTable;
  absl::Duration timeout = absl::Seconds(10);
  std::string share;                            // empty: all
  std::optional<std::string> policy_name;       // of `policy set`: exactly one of this
  std::optional<std::string> policy_file;       // and this; "-" is standard input
  std::optional<uint64_t> expected_generation;  // of `policy set`
};

// `arguments` without the program's name; `default_socket` holds where --control is not given. INVALID_ARGUMENT in one
// line that names the flag or word at fault.
absl::StatusOr<Invocation> ParseInvocation(std::span<const char* const> arguments, const std::string& default_socket);

// What --help prints: of the program (kNone) or of one command.
std::string HelpText(CommandId command);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_INVOCATION_H_
