#include "control/ctl/follow.h"

#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "control/ctl/output.h"

namespace daxvmm::control {

Followed Follow(const Invocation& invocation, const v1::WatchConvergenceRequest& request,
                std::optional<absl::Duration> limit, bool quiet, Client* client) {
  const bool json = invocation.format == OutputFormat::kJson;
  const bool rewrite = !json && isatty(STDOUT_FILENO) == 1;
  Followed followed;
  const auto write = [&followed](const std::string& text) {
    followed.written =
        followed.written && std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  };
  followed.status = client->WatchConvergence(request, limit, [&](const v1::WatchConvergenceResponse& response) {
    followed.last = CountsLine(response);
    if (quiet && !rewrite) return true;
    // Back to the first column, and clear what the last line leaves.
    write(json      ? Json(response, /*all=*/true, /*compact=*/true) + "\n"
          : rewrite ? absl::StrCat("\r", followed.last, "\x1b[K")
                    : followed.last + "\n");
    return followed.written;
  });
  if (rewrite && !followed.last.empty()) write("\n");
  return followed;
}

}  // namespace daxvmm::control
