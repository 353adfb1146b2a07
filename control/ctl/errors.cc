#include "control/ctl/errors.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/error_reason.h"
#include "base/version.h"
#include "control/ctl/commands.h"
#include "control/saved_policy.h"

namespace daxvmm::control {
namespace {

bool ChangesPolicy(CommandId command) { return command == CommandId::kPolicySet || command == CommandId::kPolicyEdit; }

// A server that is older than reasons has no other precondition for a policy.
bool IsOfWatchedFile(const absl::Status& status, const Invocation& line) {
  const std::string reason = ReasonOf(status);
  return ChangesPolicy(line.command) && !line.force && (reason.empty() || reason == "POLICY_FILE_WATCHED");
}

// Why nobody answers at a Unix socket, from what stands there.
std::string SocketAdvice(const std::string& path, absl::string_view message) {
  struct stat found{};
  if (stat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return absl::StrCat("; is daxvmm running with --control ", path, "?");
    if (errno == EACCES) return absl::StrCat("; uid ", geteuid(), " may not enter its directory");
    return "";
  }
  if (!S_ISSOCK(found.st_mode)) return "; that is no socket, but --control needs daxvmm's";
  if (absl::StrContains(message, "Permission denied")) {
    return absl::StrFormat("; the socket belongs to uid %d, gid %d with mode %04o, and this is uid %d", found.st_uid,
                           found.st_gid, found.st_mode & 07777, geteuid());
  }
  if (absl::StrContains(message, "refused")) return "; nobody listens there any more: its daxvmm has ended";
  return "";
}

// What to do next, where there is something.
std::string Advice(const absl::Status& status, const Invocation& line) {
  switch (status.code()) {
    case absl::StatusCode::kFailedPrecondition:
      if (IsOfWatchedFile(status, line)) return "; change that file, or use --force";
      return line.command == CommandId::kMachineStart ? "; `daxvmmctl machine show` shows its state" : "";
    case absl::StatusCode::kAborted:
      return "; `daxvmmctl policy get` shows what is in force";
    case absl::StatusCode::kResourceExhausted:
      return line.command == CommandId::kOverrideSet && absl::StrContains(status.message(), "overrides")
                 ? "; `daxvmmctl policy override clear` makes room"
                 : "";
    case absl::StatusCode::kPermissionDenied:
      return "; daxvmm's --control-allow says who is an operator";
    case absl::StatusCode::kNotFound:
      if (ReasonOf(status) == "SHARE_NOT_FOUND" || absl::StartsWith(status.message(), "share: "))
        return "; `daxvmmctl window` lists the shares";
      return line.command == CommandId::kOverrideClear ? "; `daxvmmctl policy override list` shows those there are"
                                                       : "";
    default:
      return "";
  }
}

}  // namespace

Failure DescribeFailure(const absl::Status& status, const Invocation& line) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      if (absl::StartsWith(status.message(), kNotKept)) {
        return {ExitCode::kRefused, absl::StrCat("refused: UNAVAILABLE: ", status.message())};
      }
      return {ExitCode::kNoConnection,
              absl::StrCat("no connection: ", status.message(),
                           line.uses_tls() ? "" : SocketAdvice(line.socket, status.message()))};
    case absl::StatusCode::kDeadlineExceeded:
      return {ExitCode::kNoConnection,
              absl::StrCat("no answer in time (", status.message(), "); --timeout allows for more")};
    case absl::StatusCode::kUnimplemented:
      return {ExitCode::kRefused,
              absl::StrCat("refused: UNIMPLEMENTED: ", status.message(), "; is that daxvmm older than this daxvmmctl (",
                           kVersion, ")? `daxvmmctl version` tells")};
    default:
      return {ExitCode::kRefused, absl::StrCat("refused: ", absl::StatusCodeToString(status.code()), ": ",
                                               status.message(), Advice(status, line))};
  }
}

}  // namespace daxvmm::control
