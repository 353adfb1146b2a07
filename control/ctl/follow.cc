#include "control/ctl/follow.h"

#include "absl/strings/str_cat.h"
#include "control/ctl/output.h"

namespace daxvmm::control {

Followed Follow(const Runner& runner, const v1::WatchConvergenceRequest& request, std::optional<absl::Duration> limit,
                bool quiet) {
  const bool rewrite = !runner.for_programs() && runner.view().terminal;
  Followed followed;
  const auto write = [&](ExitCode code) { followed.written = followed.written && code == ExitCode::kOk; };
  followed.status =
      runner.client()->WatchConvergence(request, limit, [&](const v1::WatchConvergenceResponse& response) {
        followed.last = CountsLine(response);
        if (quiet && !rewrite) return true;
        if (runner.for_programs()) {
          write(runner.PrintStreamed(response));
        } else {
          // Back to the first column, and clear what the last line leaves.
          write(runner.Print(rewrite ? absl::StrCat("\r", followed.last, "\x1b[K") : followed.last + "\n"));
        }
        return followed.written;
      });
  if (rewrite && !followed.last.empty()) write(runner.Print("\n"));
  return followed;
}

}  // namespace daxvmm::control
