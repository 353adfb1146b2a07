// The command line of daxvmmctl as a value. What there is to say, flags and commands with their help, stands in two
// tables in the .cc; nothing else knows a flag's name.
#ifndef DAXVMM_CONTROL_CTL_INVOCATION_H_
#define DAXVMM_CONTROL_CTL_INVOCATION_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "control/policy_text.h"

namespace daxvmm::control {

// Documented in --help; scripts rely on them.
enum class ExitCode { kOk = 0, kRefused = 1, kUsage = 2, kNoConnection = 3 };

enum class CommandId {
  kNone,
  kPolicyGet,
  kPolicySet,
  kPolicyExplain,
  kPolicyHistory,
  kOverrideSet,
  kOverrideClear,
  kFiles,
  kWatch,
  kTop,
  kWindow,
  kHealth,
};
enum class OutputFormat { kTable, kWide, kJson, kTextproto };

struct Invocation {
  CommandId command = CommandId::kNone;  // kNone only with `help` or `version`
  bool help = false;
  bool version = false;
  std::string socket;
  OutputFormat format = OutputFormat::kTable;
  // Of one call, and of waiting with `wait`; not given: 10 s, and for `watch` as long as it takes.
  std::optional<absl::Duration> timeout;
  std::string share;  // empty: all, or the only one
  // Of `policy get`.
  bool policy_only = false;
  // Of `policy set`:
  std::optional<std::string> policy_name;  // exactly one of this
  std::optional<std::string> policy_file;  // and this; "-" is standard input
  std::optional<PolicyFormat> policy_format;
  bool force = false;
  // Of everything that changes something:
  std::optional<uint64_t> expected_generation;
  bool wait = false;
  // Of `policy explain` and `policy override`: exactly one.
  std::optional<std::string> path;
  std::optional<uint64_t> node;
  // Of `policy override set`.
  std::optional<bool> dax;
  std::optional<absl::Duration> ttl;
  std::string note;
  // Of `watch` and `top`.
  std::optional<absl::Duration> interval;
  // Of `watch`.
  bool follow = false;

  absl::Duration call_timeout() const { return timeout.value_or(absl::Seconds(10)); }
};

// `arguments` without the program's name; `default_socket` holds where --control is not given. INVALID_ARGUMENT in one
// line that names the flag or word at fault.
absl::StatusOr<Invocation> ParseInvocation(std::span<const char* const> arguments, const std::string& default_socket);

// What --help prints: of the program (kNone) or of one command.
std::string HelpText(CommandId command);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_INVOCATION_H_
