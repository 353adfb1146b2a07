#include "control/ctl/top_command.h"

#include "control/ctl/top/check_terminal.h"
#include "control/ctl/top/top.h"
#include "control/text.h"

namespace daxvmm::control {

ExitCode Top(Runner* runner) {
  if (const absl::Status able = top::CheckTerminal(); !able.ok()) {
    return runner->Fail(ExitCode::kUsage, able.message());
  }
  if (const auto failed = runner->Connect()) return *failed;
  const Invocation& line = runner->line();
  const absl::Status shown =
      top::RunTop({.machine = line.socket,
                   .share = EscapeNonUtf8(line.share),
                   .interval = line.interval.value_or(absl::Seconds(1))},
                  runner->TakeClient(), [line] { return ConnectFor(line, line.call_timeout()); });
  return shown.ok() ? ExitCode::kOk : runner->Fail(ExitCode::kUsage, shown.message());
}

}  // namespace daxvmm::control
