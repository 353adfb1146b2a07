#include "control/ctl/policy_edit.h"

#include <unistd.h>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "control/ctl/edited_file.h"
#include "control/ctl/policy_commands.h"
#include "control/ctl/policy_output.h"
#include "control/ctl/text_table.h"
#include "control/policy_codec.h"
#include "control/policy_text.h"

namespace daxvmm::control {
namespace {

constexpr absl::string_view kMark = "#: ";
constexpr char kFileName[] = "policy.textproto";
// A script as editor that never gets it right is stopped.
constexpr int kMaxAttempts = 50;

// What stands above the policy: always as many lines, so that the line that an error names is the one that is shown.
std::string Header(uint64_t generation, absl::string_view error) {
  return absl::StrCat(kMark, "Policy generation ", generation,
                      ". Save and leave the editor to put it into force; leave it ", "unchanged to change nothing.\n",
                      kMark, "proto/daxvmm/v1/daxvmm.proto explains every field.\n", kMark,
                      error.empty() ? "" : "ERROR: ", EscapeForTerminal(error), "\n");
}

// Without the lines of the header, where they still are.
absl::string_view Body(absl::string_view text) {
  while (absl::StartsWith(text, kMark) || absl::StartsWith(text, "#:\n")) {
    const size_t end = text.find('\n');
    text.remove_prefix(end == absl::string_view::npos ? text.size() : end + 1);
  }
  return text;
}

// What is to become of a text that came out of the editor.
struct Checked {
  v1::SetPolicyRequest request;
  v1::SetPolicyResponse effect;
};

class Edit {
 public:
  Edit(const Runner& runner, v1::GetPolicyResponse policy, EditedFile file)
      : runner_(runner), policy_(std::move(policy)), file_(std::move(file)) {}

  ExitCode Run() {
    std::string body = FormatPolicyText(policy_.policy(), PolicyFormat::kTextproto);
    std::string shown = Header(policy_.generation(), "") + body;
    std::string error;
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      if (const absl::Status edited = WriteAndEdit(shown); !edited.ok())
        return Kept(ExitCode::kRefused, edited.message());
      absl::StatusOr<std::string> text = file_.Read();
      if (!text.ok()) return Kept(ExitCode::kUsage, text.status().message());
      if (*text == shown) return error.empty() ? Unchanged() : Kept(ExitCode::kUsage, "it is still wrong: " + error);
      body = std::string(Body(*text));
      absl::StatusOr<Checked> checked = Check(body);
      if (checked.ok()) return Finish(*checked);
      if (checked.status().code() == absl::StatusCode::kAlreadyExists) return Unchanged();
      if (checked.status().code() != absl::StatusCode::kInvalidArgument) return FailChange(checked.status());
      error = std::string(checked.status().message());
      shown = Header(policy_.generation(), error) + body;
    }
    return Kept(ExitCode::kUsage, "it is still wrong: " + error);
  }

 private:
  absl::Status WriteAndEdit(const std::string& text) const {
    RETURN_IF_ERROR(file_.Write(text));
    return file_.Edit();
  }

  // INVALID_ARGUMENT: what to show in the editor. ALREADY_EXISTS: it is the policy in force.
  absl::StatusOr<Checked> Check(const std::string& body) const {
    // As it will be shown if it is wrong, for the sake of the line.
    ASSIGN_OR_RETURN(const dax::Policy policy,
                     ParsePolicyText(Header(policy_.generation(), "") + body, kFileName, PolicyFormat::kTextproto));
    Checked checked;
    EncodePolicy(policy, checked.request.mutable_policy());
    const auto before = ParsePolicyText(FormatPolicyText(policy_.policy(), PolicyFormat::kTextproto), "");
    if (before.ok() && *before == policy) return absl::AlreadyExistsError("");
    checked.request.set_etag(policy_.etag());
    if (policy_.etag().empty()) checked.request.set_expected_generation(policy_.generation());
    checked.request.set_force(runner_.line().force);
    ASSIGN_OR_RETURN(checked.effect, DryRun(runner_, checked.request));
    return checked;
  }

  ExitCode Finish(const Checked& checked) {
    if (!runner_.line().yes) {
      std::fputs(absl::StrCat(EffectText(checked.effect.effect(), runner_.view()), "Put this policy into force? [y/N] ")
                     .c_str(),
                 stderr);
      if (!ReadYes()) return Kept(ExitCode::kRefused, "nothing is changed");
    }
    const auto changed = runner_.client()->ReplacePolicy(checked.request);
    if (!changed.ok()) return FailChange(changed.status());
    return TellChange(runner_, *changed, changed->generation(), changed->bound());
  }

  static bool ReadYes() {
    std::string answer;
    for (int c = std::getchar(); c != EOF && c != '\n'; c = std::getchar()) {
      if (answer.size() < 8) answer += static_cast<char>(c);
    }
    return answer == "y" || answer == "Y" || answer == "yes";
  }

  ExitCode Unchanged() const {
    runner_.Note("the policy is left as it was: nothing is changed");
    return ExitCode::kOk;
  }

  ExitCode FailChange(const absl::Status& status) {
    if (status.code() == absl::StatusCode::kAborted) {
      return Kept(ExitCode::kRefused, "refused: ABORTED: somebody else has changed the policy meanwhile");
    }
    const ExitCode code = runner_.FailCall(status);
    file_.Keep();
    runner_.Note(absl::StrCat("what you edited is kept: ", file_.path()));
    return code;
  }

  ExitCode Kept(ExitCode code, absl::string_view why) {
    file_.Keep();
    return runner_.Fail(code, absl::StrCat(why, "; what you edited is kept: ", file_.path()));
  }

  const Runner& runner_;
  const v1::GetPolicyResponse policy_;
  EditedFile file_;
};

}  // namespace

ExitCode PolicyEdit(Runner* runner) {
  if (!runner->line().yes && isatty(STDIN_FILENO) != 1) {
    return runner->Fail(ExitCode::kUsage, "--yes: needed where standard input is no terminal that could be asked");
  }
  auto policy = runner->client()->GetPolicy();
  if (!policy.ok()) return runner->FailCall(policy.status());
  if (policy->has_watched_file() && !runner->line().force) {
    return runner->Fail(ExitCode::kRefused,
                        absl::StrCat("refused: the policy is that of a watched file, ", policy->watched_file().path(),
                                     "; edit that file, or use --force"));
  }
  auto file = EditedFile::Create(kFileName);
  if (!file.ok()) return runner->Fail(ExitCode::kRefused, file.status().message());
  return Edit(*runner, *std::move(policy), *std::move(file)).Run();
}

}  // namespace daxvmm::control
