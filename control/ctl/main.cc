// daxvmmctl: queries and steers a running daxvmm.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/version.h"
#include "control/client.h"
#include "control/ctl/invocation.h"
#include "control/ctl/output.h"
#include "control/ctl/text_table.h"

namespace daxvmm::control {
namespace {

// The server's limit on a request: a larger file cannot be a policy.
constexpr size_t kMaxPolicyFile = 1 << 20;

constexpr const char* kServices[] = {"daxvmm.v1.DaxPolicyService", "daxvmm.v1.DaxWindowService"};

ExitCode Fail(ExitCode code, absl::string_view text) {
  // A server's words may repeat a file name.
  std::fprintf(stderr, "daxvmmctl: %s\n", EscapeForTerminal(text).c_str());
  return code;
}

ExitCode FailCall(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return Fail(ExitCode::kNoConnection, absl::StrCat("no connection: ", status.message()));
    case absl::StatusCode::kDeadlineExceeded:
      return Fail(ExitCode::kNoConnection,
                  absl::StrCat("no answer in time (", status.message(), "); --timeout allows for more"));
    default:
      return Fail(ExitCode::kRefused,
                  absl::StrCat("refused: ", absl::StatusCodeToString(status.code()), ": ", status.message()));
  }
}

ExitCode Print(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written) return Fail(ExitCode::kRefused, ErrnoStatus(errno, "standard output").message());
  return ExitCode::kOk;
}

absl::StatusOr<std::string> ReadPolicyFile(const std::string& path) {
  std::FILE* const file = path == "-" ? stdin : std::fopen(path.c_str(), "re");
  if (file == nullptr) return ErrnoStatus(errno, path);
  absl::Cleanup close = [file] {
    if (file != stdin) std::fclose(file);
  };
  std::string text(kMaxPolicyFile + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  if (std::ferror(file) != 0) return ErrnoStatus(errno, path);
  if (text.size() > kMaxPolicyFile) return absl::InvalidArgumentError(absl::StrCat(path, ": larger than 1 MiB"));
  return text;
}

// The request of `policy set`, made before anything is connected: a bad file is a usage error whatever runs.
absl::StatusOr<v1::SetPolicyRequest> MakeSetPolicy(const Invocation& invocation) {
  v1::SetPolicyRequest request;
  if (invocation.policy_file.has_value()) {
    ASSIGN_OR_RETURN(const std::string text, ReadPolicyFile(*invocation.policy_file));
    auto policy = ParsePolicyJson(text);
    if (!policy.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(*invocation.policy_file, ": ", policy.status().message()));
    }
    *request.mutable_policy() = *std::move(policy);
  } else {
    request.set_named_policy(*invocation.policy_name);
  }
  if (invocation.expected_generation.has_value()) request.set_expected_generation(*invocation.expected_generation);
  return request;
}

template <typename Response, typename Table>
ExitCode Show(const Invocation& invocation, const absl::StatusOr<Response>& response, Table table) {
  if (!response.ok()) return FailCall(response.status());
  return Print(invocation.format == OutputFormat::kJson ? Json(*response) : table(*response));
}

ExitCode SetPolicy(const Invocation& invocation, const v1::SetPolicyRequest& request, Client* client) {
  const auto generation = client->SetPolicy(request);
  if (!generation.ok()) return FailCall(generation.status());
  if (invocation.format == OutputFormat::kTable) {
    return Print(absl::StrCat("Policy generation ", *generation, " is in force\n"));
  }
  v1::SetPolicyResponse response;
  response.set_generation(*generation);
  return Print(Json(response));
}

ExitCode Health(const Invocation& invocation, Client* client) {
  HealthList list;
  for (const char* service : kServices) {
    auto status = client->CheckHealth(service);
    if (!status.ok() && status.status().code() != absl::StatusCode::kNotFound) return FailCall(status.status());
    list.emplace_back(service, status.ok() ? *status : "SERVICE_UNKNOWN");
  }
  const ExitCode printed = Print(invocation.format == OutputFormat::kJson ? HealthJson(list) : HealthTable(list));
  if (printed != ExitCode::kOk) return printed;
  const bool all = std::all_of(list.begin(), list.end(), [](const auto& one) { return one.second == "SERVING"; });
  return all ? ExitCode::kOk : ExitCode::kRefused;
}

ExitCode Run(const Invocation& invocation) {
  v1::SetPolicyRequest set_policy;
  if (invocation.command == CommandId::kPolicySet) {
    auto made = MakeSetPolicy(invocation);
    if (!made.ok()) return Fail(ExitCode::kUsage, absl::StrCat("--file: ", made.status().message()));
    set_policy = *std::move(made);
  }
  auto connected = Client::Connect(invocation.socket, invocation.timeout);
  if (!connected.ok()) {
    if (connected.status().code() == absl::StatusCode::kInvalidArgument) {
      return Fail(ExitCode::kUsage, absl::StrCat("--control: ", connected.status().message()));
    }
    return FailCall(connected.status());
  }
  Client* const client = connected->get();
  switch (invocation.command) {
    case CommandId::kPolicyGet:
      return Show(invocation, client->GetPolicy(), &PolicyTable);
    case CommandId::kPolicySet:
      return SetPolicy(invocation, set_policy, client);
    case CommandId::kFiles:
      return Show(invocation, client->ListFiles(invocation.share), &FilesTable);
    case CommandId::kWindow:
      return Show(invocation, client->GetWindow(invocation.share), &WindowTable);
    case CommandId::kHealth:
      return Health(invocation, client);
    case CommandId::kNone:
      break;
  }
  return Fail(ExitCode::kUsage, "no command");
}

ExitCode Main(std::span<const char* const> arguments) {
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
