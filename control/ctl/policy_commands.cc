#include "control/ctl/policy_commands.h"

#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "control/ctl/follow.h"
#include "control/ctl/named_file.h"
#include "control/ctl/output.h"
#include "control/ctl/policy_output.h"
#include "control/policy_codec.h"
#include "control/policy_file.h"
#include "control/policy_text.h"

namespace daxvmm::control {
namespace {

absl::StatusOr<std::string> ReadStandardInput() {
  std::string text(kMaxPolicyFileBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), stdin));
  if (std::ferror(stdin) != 0) return ErrnoStatus(errno, "standard input");
  if (text.size() > kMaxPolicyFileBytes) return absl::InvalidArgumentError("standard input: larger than 1 MiB");
  return text;
}

absl::StatusOr<v1::SetPolicyRequest> MakeSetPolicy(const Invocation& line) {
  v1::SetPolicyRequest request;
  if (line.policy_file.has_value()) {
    const std::string& path = *line.policy_file;
    ASSIGN_OR_RETURN(const std::string text, path == "-" ? ReadStandardInput() : ReadPolicyFile(path));
    ASSIGN_OR_RETURN(const dax::Policy policy, ParsePolicyText(text, path, line.policy_format));
    EncodePolicy(policy, request.mutable_policy());
  } else {
    request.set_named_policy(*line.policy_name);
  }
  request.set_force(line.force);
  return request;
}

// What of the policy in force is expected by the one who changes it.
template <typename Request>
void Expect(const Invocation& line, Request* request) {
  if (line.expected_generation) request->set_expected_generation(*line.expected_generation);
  request->set_etag(EscapeNonUtf8(line.etag));
}

template <typename Response>
ExitCode Changed(const Runner& runner, const absl::StatusOr<Response>& response) {
  if (!response.ok()) return runner.FailCall(response.status());
  return TellChange(runner, *response, response->generation(), response->bound());
}

}  // namespace

ExitCode TellChange(const Runner& runner, const google::protobuf::Message& response, uint64_t generation,
                    const v1::ChangeBound& bound) {
  const ExitCode printed =
      runner.for_programs()
          ? runner.PrintMessage(response)
          : runner.Print(absl::StrCat("Policy generation ", generation,
                                      " is in force: ", EscapeForTerminal(bound.description()), "\n"));
  if (printed != ExitCode::kOk || !runner.line().wait) return printed;
  v1::WatchConvergenceRequest request;
  request.mutable_interval()->set_nanos(200'000'000);
  const Followed followed = Follow(runner, request, runner.line().call_timeout(), /*quiet=*/true);
  if (followed.status.ok()) {
    return runner.for_programs() ? ExitCode::kOk : runner.Print(absl::StrCat("Settled: ", followed.last, "\n"));
  }
  if (followed.status.code() != absl::StatusCode::kDeadlineExceeded || followed.last.empty()) {
    return runner.FailCall(followed.status);
  }
  return runner.Fail(ExitCode::kNoConnection,
                     absl::StrCat("the guest has not followed in time: ", followed.last,
                                  "; `daxvmmctl files` shows which, --timeout allows for more"));
}

ExitCode PolicyGet(Runner* runner) {
  const auto response = runner->client()->GetPolicy();
  if (!response.ok()) return runner->FailCall(response.status());
  if (runner->line().format == OutputFormat::kText || runner->line().policy_only) {
    const PolicyFormat format = runner->json() ? PolicyFormat::kJson : PolicyFormat::kTextproto;
    return runner->Print(FormatPolicyText(response->policy(), format));
  }
  // A rule has a dozen conditions of which most are absent: only what is there.
  return runner->json() ? runner->PrintMessage(*response, /*all=*/false)
                        : runner->Print(PolicyText(*response, runner->view()));
}

absl::StatusOr<v1::SetPolicyResponse> DryRun(const Runner& runner, v1::SetPolicyRequest request) {
  ASSIGN_OR_RETURN(const v1::GetPolicyResponse policy, runner.client()->GetPolicy());
  // Etags came to the contract together with validate_only.
  if (policy.etag().empty()) return absl::UnimplementedError("it cannot tell what a change would mean");
  request.set_validate_only(true);
  return runner.client()->ReplacePolicy(request);
}

ExitCode PolicySet(Runner* runner) {
  auto request = MakeSetPolicy(runner->line());
  if (!request.ok()) {
    return runner->Fail(ExitCode::kUsage, absl::StrCat("--file: ", request.status().message()));
  }
  Expect(runner->line(), &*request);
  if (const auto failed = runner->Connect()) return *failed;
  if (!runner->line().dry_run) return Changed(*runner, runner->client()->ReplacePolicy(*request));
  return runner->Show(DryRun(*runner, *std::move(request)), [runner](const v1::SetPolicyResponse& response) {
    return absl::StrCat("Nothing is changed: policy generation ", response.generation(), " stays in force.\n",
                        EffectText(response.effect(), runner->view()));
  });
}

ExitCode PolicyExplain(Runner* runner) {
  v1::ExplainFileRequest request;
  if (const absl::Status named = NameFile(*runner, &request); !named.ok()) return FailNaming(*runner, named);
  return runner->Show(runner->client()->ExplainFile(request),
                      [runner](const auto& response) { return ExplanationText(response, runner->view()); });
}

ExitCode PolicyHistory(Runner* runner) {
  auto response = runner->client()->ListPolicyHistory();
  if (response.ok() && runner->line().limit) {
    auto* const entries = response->mutable_entries();
    const uint64_t surplus = entries->size() - std::min<uint64_t>(entries->size(), *runner->line().limit);
    entries->DeleteSubrange(0, static_cast<int>(surplus));
  }
  return runner->Show(response, [runner](const auto& answer) { return HistoryText(answer, runner->view()); });
}

ExitCode OverrideSet(Runner* runner) {
  const Invocation& line = runner->line();
  v1::SetFileOverrideRequest request;
  v1::FileOverride* const one = request.mutable_override();
  if (const absl::Status named = NameFile(*runner, one); !named.ok()) return FailNaming(*runner, named);
  one->set_outcome(*line.dax ? v1::OUTCOME_DAX : v1::OUTCOME_NO_DAX);
  if (line.ttl) *one->mutable_ttl() = ToProto(*line.ttl);
  one->set_note(EscapeNonUtf8(line.note));
  Expect(line, &request);
  return Changed(*runner, runner->client()->SetFileOverride(request));
}

ExitCode OverrideClear(Runner* runner) {
  v1::ClearFileOverrideRequest request;
  if (const absl::Status named = NameFile(*runner, &request); !named.ok()) return FailNaming(*runner, named);
  Expect(runner->line(), &request);
  return Changed(*runner, runner->client()->ClearFileOverride(request));
}

ExitCode OverrideList(Runner* runner) {
  const auto response = runner->client()->GetPolicy();
  if (!response.ok()) return runner->FailCall(response.status());
  const std::string share = EscapeNonUtf8(runner->line().share);
  if (!runner->for_programs()) return runner->Print(OverridesText(*response, share, runner->view()));
  // The reply of GetPolicy with what is left of it: no form of its own.
  v1::GetPolicyResponse overrides;
  overrides.set_generation(response->generation());
  overrides.set_etag(response->etag());
  for (const v1::FileOverride& one : response->overrides()) {
    if (share.empty() || one.share() == share) *overrides.add_overrides() = one;
  }
  return runner->PrintMessage(overrides, /*all=*/false);
}

}  // namespace daxvmm::control
