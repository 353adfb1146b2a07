// daxvmmctl: queries and steers a running daxvmm.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/version.h"
#include "control/client.h"
#include "control/ctl/follow.h"
#include "control/ctl/invocation.h"
#include "control/ctl/output.h"
#include "control/ctl/text_table.h"
#include "control/policy_codec.h"
#include "control/policy_file.h"
#include "control/policy_text.h"
#include "control/saved_policy.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

constexpr const char* kServices[] = {"daxvmm.v1.DaxPolicyService", "daxvmm.v1.DaxWindowService",
                                     "daxvmm.v1.MachineService"};

ExitCode Fail(ExitCode code, absl::string_view text) {
  // A server's words may repeat a file name.
  std::fprintf(stderr, "daxvmmctl: %s\n", EscapeForTerminal(text).c_str());
  return code;
}

// What to do next, where there is something.
absl::string_view Advice(const absl::Status& status, CommandId command) {
  switch (status.code()) {
    case absl::StatusCode::kFailedPrecondition:
      return command == CommandId::kPolicySet ? "; change that file, or use --force" : "";
    case absl::StatusCode::kAborted:
      return "; `daxvmmctl policy get` shows what is in force";
    case absl::StatusCode::kResourceExhausted:
      return command == CommandId::kFiles ? "; use --share" : "";
    default:
      return "";
  }
}

ExitCode FailCall(const absl::Status& status, CommandId command) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      if (absl::StartsWith(status.message(), kNotKept)) {
        return Fail(ExitCode::kRefused, absl::StrCat("refused: UNAVAILABLE: ", status.message()));
      }
      return Fail(ExitCode::kNoConnection, absl::StrCat("no connection: ", status.message()));
    case absl::StatusCode::kDeadlineExceeded:
      return Fail(ExitCode::kNoConnection,
                  absl::StrCat("no answer in time (", status.message(), "); --timeout allows for more"));
    default:
      return Fail(ExitCode::kRefused, absl::StrCat("refused: ", absl::StatusCodeToString(status.code()), ": ",
                                                   status.message(), Advice(status, command)));
  }
}

ExitCode Print(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written) return Fail(ExitCode::kRefused, ErrnoStatus(errno, "standard output").message());
  return ExitCode::kOk;
}

absl::StatusOr<std::string> ReadStandardInput() {
  std::string text(kMaxPolicyFileBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), stdin));
  if (std::ferror(stdin) != 0) return ErrnoStatus(errno, "standard input");
  if (text.size() > kMaxPolicyFileBytes) return absl::InvalidArgumentError("standard input: larger than 1 MiB");
  return text;
}

// The request of `policy set`, made before anything is connected: a bad file is a usage error whatever runs.
absl::StatusOr<v1::SetPolicyRequest> MakeSetPolicy(const Invocation& invocation) {
  v1::SetPolicyRequest request;
  if (invocation.policy_file.has_value()) {
    const std::string& path = *invocation.policy_file;
    ASSIGN_OR_RETURN(const std::string text, path == "-" ? ReadStandardInput() : ReadPolicyFile(path));
    ASSIGN_OR_RETURN(const dax::Policy policy, ParsePolicyText(text, path, invocation.policy_format));
    EncodePolicy(policy, request.mutable_policy());
  } else {
    request.set_named_policy(*invocation.policy_name);
  }
  if (invocation.expected_generation) request.set_expected_generation(*invocation.expected_generation);
  request.set_force(invocation.force);
  return request;
}

class Commands {
 public:
  Commands(const Invocation& invocation, Client* client) : invocation_(invocation), client_(client) {}

  ExitCode Run(const v1::SetPolicyRequest& set_policy) {
    const bool wide = invocation_.format == OutputFormat::kWide;
    switch (invocation_.command) {
      case CommandId::kPolicyGet:
        return GetPolicy();
      case CommandId::kPolicySet:
        return Changed(client_->ReplacePolicy(set_policy));
      case CommandId::kPolicyExplain:
        return Explain();
      case CommandId::kPolicyHistory:
        return Show(client_->ListPolicyHistory(), &HistoryTable);
      case CommandId::kOverrideSet:
        return SetOverride();
      case CommandId::kOverrideClear:
        return ClearOverride();
      case CommandId::kFiles:
        return Show(client_->ListFiles(invocation_.share),
                    [wide](const auto& response) { return FilesTable(response, wide); });
      case CommandId::kWatch:
        return Watch();
      case CommandId::kWindow:
        return Show(client_->GetWindow(invocation_.share),
                    [wide](const auto& response) { return WindowTable(response, wide); });
      case CommandId::kHealth:
        return Health();
      case CommandId::kNone:
        break;
    }
    return Fail(ExitCode::kUsage, "no command");
  }

 private:
  bool json() const { return invocation_.format == OutputFormat::kJson; }
  ExitCode FailCall(const absl::Status& status) const { return control::FailCall(status, invocation_.command); }

  template <typename Response, typename Table>
  ExitCode Show(const absl::StatusOr<Response>& response, Table table) {
    if (!response.ok()) return FailCall(response.status());
    return Print(json() ? Json(*response) : table(*response));
  }

  ExitCode GetPolicy() {
    const auto response = client_->GetPolicy();
    if (!response.ok()) return FailCall(response.status());
    if (invocation_.format == OutputFormat::kTextproto) {
      return Print(FormatPolicyText(response->policy(), PolicyFormat::kTextproto));
    }
    if (invocation_.policy_only) return Print(FormatPolicyText(response->policy(), PolicyFormat::kJson));
    // A rule has a dozen conditions of which most are absent: only what is there.
    return Print(json() ? Json(*response, /*all=*/false) : PolicyTable(*response));
  }

  // The share of a file that is named: --share, or the only one.
  absl::StatusOr<std::string> ShareOfFile() {
    if (!invocation_.share.empty()) return EscapeNonUtf8(invocation_.share);
    ASSIGN_OR_RETURN(const v1::GetWindowResponse windows, client_->GetWindow());
    if (windows.windows_size() == 1) return windows.windows(0).share();
    std::string tags;
    for (const v1::Window& window : windows.windows()) absl::StrAppend(&tags, tags.empty() ? "" : ", ", window.share());
    return absl::InvalidArgumentError(
        absl::StrCat("--share: needed, since there are ", tags.empty() ? "no shares" : "several: ", tags));
  }

  // Fills share and file of a request.
  template <typename Message>
  absl::Status NameFile(Message* message) {
    ASSIGN_OR_RETURN(const std::string share, ShareOfFile());
    message->set_share(share);
    if (invocation_.node) {
      message->set_node_id(*invocation_.node);
    } else {
      message->set_path(EscapeNonUtf8(*invocation_.path));
    }
    return absl::OkStatus();
  }

  ExitCode Explain() {
    v1::ExplainFileRequest request;
    if (const absl::Status named = NameFile(&request); !named.ok()) return FailNaming(named);
    return Show(client_->ExplainFile(request), &ExplanationText);
  }

  ExitCode SetOverride() {
    v1::SetFileOverrideRequest request;
    v1::FileOverride* const one = request.mutable_override();
    if (const absl::Status named = NameFile(one); !named.ok()) return FailNaming(named);
    one->set_outcome(*invocation_.dax ? v1::OUTCOME_DAX : v1::OUTCOME_NO_DAX);
    if (invocation_.ttl) {
      absl::Duration rest;
      one->mutable_ttl()->set_seconds(absl::IDivDuration(*invocation_.ttl, absl::Seconds(1), &rest));
      one->mutable_ttl()->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
    }
    one->set_note(EscapeNonUtf8(invocation_.note));
    if (invocation_.expected_generation) request.set_expected_generation(*invocation_.expected_generation);
    return Changed(client_->SetFileOverride(request));
  }

  ExitCode ClearOverride() {
    v1::ClearFileOverrideRequest request;
    if (const absl::Status named = NameFile(&request); !named.ok()) return FailNaming(named);
    if (invocation_.expected_generation) request.set_expected_generation(*invocation_.expected_generation);
    return Changed(client_->ClearFileOverride(request));
  }

  ExitCode FailNaming(const absl::Status& status) {
    return status.code() == absl::StatusCode::kInvalidArgument ? Fail(ExitCode::kUsage, status.message())
                                                               : FailCall(status);
  }

  // After a change, of whatever kind.
  template <typename Response>
  ExitCode Changed(const absl::StatusOr<Response>& response) {
    if (!response.ok()) return FailCall(response.status());
    const ExitCode printed = Print(json() ? Json(*response)
                                          : absl::StrCat("Policy generation ", response->generation(),
                                                         " is in force: ", response->bound().description(), "\n"));
    if (printed != ExitCode::kOk || !invocation_.wait) return printed;
    v1::WatchConvergenceRequest request;
    request.mutable_interval()->set_nanos(200'000'000);
    const Followed followed = Follow(invocation_, request, invocation_.call_timeout(), /*quiet=*/true, client_);
    if (followed.status.ok()) return json() ? ExitCode::kOk : Print(absl::StrCat("Settled: ", followed.last, "\n"));
    if (followed.status.code() != absl::StatusCode::kDeadlineExceeded || followed.last.empty()) {
      return FailCall(followed.status);
    }
    return Fail(ExitCode::kNoConnection, absl::StrCat("the guest has not followed in time: ", followed.last,
                                                      "; `daxvmmctl files` shows which, --timeout allows for more"));
  }

  ExitCode Watch() {
    v1::WatchConvergenceRequest request;
    request.set_share(EscapeNonUtf8(invocation_.share));
    request.set_until_settled(!invocation_.follow);
    if (invocation_.interval) {
      absl::Duration rest;
      request.mutable_interval()->set_seconds(absl::IDivDuration(*invocation_.interval, absl::Seconds(1), &rest));
      request.mutable_interval()->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
    }
    const Followed followed = Follow(invocation_, request, invocation_.timeout, /*quiet=*/false, client_);
    if (!followed.written) return Fail(ExitCode::kRefused, "standard output cannot be written");
    return followed.status.ok() ? ExitCode::kOk : FailCall(followed.status);
  }

  ExitCode Health() {
    HealthList list;
    for (const char* service : kServices) {
      auto status = client_->CheckHealth(service);
      if (!status.ok() && status.status().code() != absl::StatusCode::kNotFound) return FailCall(status.status());
      list.emplace_back(service, status.ok() ? *status : "SERVICE_UNKNOWN");
    }
    const ExitCode printed = Print(json() ? HealthJson(list) : HealthTable(list));
    if (printed != ExitCode::kOk) return printed;
    const bool all = std::all_of(list.begin(), list.end(), [](const auto& one) { return one.second == "SERVING"; });
    return all ? ExitCode::kOk : ExitCode::kRefused;
  }

  const Invocation& invocation_;
  Client* const client_;
};

ExitCode Run(const Invocation& invocation) {
  v1::SetPolicyRequest set_policy;
  if (invocation.command == CommandId::kPolicySet) {
    auto made = MakeSetPolicy(invocation);
    if (!made.ok()) return Fail(ExitCode::kUsage, absl::StrCat("--file: ", made.status().message()));
    set_policy = *std::move(made);
  }
  auto connected = Client::Connect(invocation.socket, invocation.call_timeout());
  if (!connected.ok()) {
    if (connected.status().code() == absl::StatusCode::kInvalidArgument) {
      return Fail(ExitCode::kUsage, absl::StrCat("--control: ", connected.status().message()));
    }
    return FailCall(connected.status(), invocation.command);
  }
  return Commands(invocation, connected->get()).Run(set_policy);
}

ExitCode Main(std::span<const char* const> arguments) {
  // `daxvmmctl watch | head -1` ends like any other program, not by a signal.
  std::signal(SIGPIPE, SIG_IGN);
  const char* const socket = std::getenv("DAXVMM_CONTROL");
  const auto invocation = ParseInvocation(arguments, socket != nullptr ? socket : "");
  if (!invocation.ok()) return Fail(ExitCode::kUsage, invocation.status().message());
  if (invocation->help) return Print(HelpText(invocation->command));
  if (invocation->version) return Print(absl::StrCat("daxvmmctl ", kVersion, "\n"));
  return Run(*invocation);
}

}  // namespace
}  // namespace daxvmm::control

int main(int argc, char** argv) {
  return static_cast<int>(daxvmm::control::Main(std::span(argv + std::min(argc, 1), argv + argc)));
}
