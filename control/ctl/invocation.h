// The command line of daxvmmctl as a value. What there is to say stands in two tables, of commands (commands.h) and of
// flags (flag_table.h); the parser, the help, the manual page and the completion are made from them.
#ifndef DAXVMM_CONTROL_CTL_INVOCATION_H_
#define DAXVMM_CONTROL_CTL_INVOCATION_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "control/policy_text.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"
#include "proto/daxvmm/v1/machine.pb.h"

namespace daxvmm::control {

// Documented in --help; scripts rely on them.
enum class ExitCode { kOk = 0, kRefused = 1, kUsage = 2, kNoConnection = 3 };

enum class CommandId {
  kNone,
  kPolicyGet,
  kPolicySet,
  kPolicyEdit,
  kPolicyExplain,
  kPolicyHistory,
  kOverrideSet,
  kOverrideClear,
  kOverrideList,
  kFiles,
  kWatch,
  kTop,
  kWindow,
  kMappings,
  kMachineShow,
  kMachineStart,
  kMachinePause,
  kMachineResume,
  kMachineShutdown,
  kMachineConsole,
  kEvents,
  kHealth,
  kVersion,
  kCompletion,
  kHelp,
  kComplete,  // hidden: what the shells' completions call
};
enum class OutputFormat { kTable, kWide, kJson, kText };
enum class Coloring { kAuto, kAlways, kNever };
enum class Shell { kBash, kZsh, kFish };

// Of `files`, as in v1::ListFilesRequest.
struct FileFilter {
  std::vector<v1::Convergence> states;
  std::optional<bool> decision_dax;
  std::optional<bool> told_dax;
  std::optional<bool> open;
  std::optional<bool> mapped;
  std::optional<bool> overridden;
  std::string subtree;
};

// From when events are shown.
struct EventSpan {
  std::vector<v1::Event::Kind> kinds;   // empty: all
  std::optional<absl::Duration> since;  // so long ago
  std::optional<uint64_t> after;        // the sequence number of the last one not to be shown
};

struct Invocation {
  CommandId command = CommandId::kNone;  // kNone only with `help` or `version`
  bool help = false;
  bool version = false;
  bool man = false;         // of `help`: the manual page
  std::string help_prefix;  // with `help` and kNone: only the commands that begin with this word

  std::string socket;  // the path of a Unix socket; HOST:PORT with the files of TLS
  std::string tls_ca;  // these three: all or none
  std::string tls_cert;
  std::string tls_key;
  OutputFormat format = OutputFormat::kTable;
  Coloring color = Coloring::kAuto;
  bool no_headers = false;
  // Of one call, and of waiting with `wait`; not given: 10 s, and for what goes on by itself as long as it takes.
  std::optional<absl::Duration> timeout;

  std::string share;  // empty: all, or the only one
  // A file. Exactly one of them for `policy explain` and `policy override`, at most one for `mappings`.
  std::optional<std::string> path;
  std::optional<uint64_t> node;

  // Of `policy get`.
  bool policy_only = false;
  // Of `policy set`:
  std::optional<std::string> policy_name;  // exactly one of this
  std::optional<std::string> policy_file;  // and this; "-" is standard input
  std::optional<PolicyFormat> policy_format;
  bool dry_run = false;
  // And of `policy edit`:
  bool yes = false;
  // Of everything that changes the policy:
  bool force = false;  // and of `machine shutdown`
  std::optional<uint64_t> expected_generation;
  std::string etag;
  bool wait = false;  // and of `machine shutdown`
  // Of `policy override set`.
  std::optional<bool> dax;
  std::optional<absl::Duration> ttl;
  std::string note;

  // Of lists.
  std::optional<uint64_t> limit;
  FileFilter filter;
  v1::ListFilesRequest::Order order = v1::ListFilesRequest::ORDER_UNSPECIFIED;

  // Of what goes on: `watch`, `top`, `window --watch`, `events`, `machine console`.
  std::optional<absl::Duration> interval;
  bool watch_window = false;
  bool follow = false;
  EventSpan events;
  std::optional<uint64_t> offset;
  bool escape = false;
  std::optional<absl::Duration> shutdown_timeout;

  Shell shell = Shell::kBash;      // of `completion`
  std::vector<std::string> words;  // of `help` and kComplete

  bool uses_tls() const { return !tls_ca.empty(); }
  absl::Duration call_timeout() const { return timeout.value_or(absl::Seconds(10)); }
};

// What the environment says where the command line does not.
struct Environment {
  std::string socket;    // DAXVMM_CONTROL
  std::string tls_ca;    // DAXVMM_TLS_CA
  std::string tls_cert;  // DAXVMM_TLS_CERT
  std::string tls_key;   // DAXVMM_TLS_KEY
};

Environment ProcessEnvironment();

// Fills what says where the machine is from the environment, where the line does not have it. The files of TLS are for
// HOST:PORT, and do not matter to a path. INVALID_ARGUMENT if only some of them are there.
absl::Status FindMachine(const Environment& environment, Invocation* line);

// `arguments` without the program's name. INVALID_ARGUMENT in one line that names the flag or word at fault, and what
// may have been meant.
absl::StatusOr<Invocation> ParseInvocation(std::span<const char* const> arguments, const Environment& environment);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_INVOCATION_H_
