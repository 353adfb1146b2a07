#include "control/ctl/named_file.h"

#include "absl/strings/str_cat.h"

namespace daxvmm::control {

absl::StatusOr<std::string> ShareOfFile(const Runner& runner) {
  if (!runner.line().share.empty()) return EscapeNonUtf8(runner.line().share);
  ASSIGN_OR_RETURN(const v1::GetWindowResponse windows, runner.client()->GetWindow());
  if (windows.windows_size() == 1) return windows.windows(0).share();
  std::string tags;
  for (const v1::Window& window : windows.windows()) absl::StrAppend(&tags, tags.empty() ? "" : ", ", window.share());
  return absl::InvalidArgumentError(
      absl::StrCat("--share: needed, since there are ", tags.empty() ? "no shares" : "several: ", tags));
}

ExitCode FailNaming(const Runner& runner, const absl::Status& status) {
  return status.code() == absl::StatusCode::kInvalidArgument ? runner.Fail(ExitCode::kUsage, status.message())
                                                             : runner.FailCall(status);
}

}  // namespace daxvmm::control
