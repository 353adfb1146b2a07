#include "control/ctl/window_commands.h"

#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "control/ctl/follow.h"
#include "control/ctl/output.h"
#include "control/ctl/text_table.h"
#include "control/ctl/window_output.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

constexpr const char* kServices[] = {"daxvmm.v1.DaxPolicyService", "daxvmm.v1.DaxWindowService",
                                     "daxvmm.v1.MachineService"};

// Service name and status.
using HealthList = std::vector<std::pair<std::string, std::string>>;

std::string HealthText(const HealthList& services, const View& view) {
  TextTable table({{"SERVICE"}, {"STATUS"}});
  for (const auto& [name, status] : services) {
    table.AddRow({name, {status, status == "SERVING" ? Tone::kGood : Tone::kBad}});
  }
  return Title("Health", view) + table.Render(view);
}

google::protobuf::Struct HealthMessage(const HealthList& services) {
  google::protobuf::Struct list;
  for (const auto& [name, status] : services) (*list.mutable_fields())[name].set_string_value(status);
  return list;
}

std::string WindowsTitle(int windows, const View& view) { return Title(absl::StrCat("DAX windows: ", windows), view); }

// Shows samples until the stream ends: in their place on a terminal, else one below the other.
ExitCode WatchWindows(const Runner& runner) {
  v1::WatchWindowRequest request;
  request.set_share(EscapeNonUtf8(runner.line().share));
  if (runner.line().interval) *request.mutable_interval() = ToProto(*runner.line().interval);
  ExitCode written = ExitCode::kOk;
  uint64_t dropped = 0;
  const absl::Status status =
      runner.client()->WatchWindow(request, runner.line().timeout, [&](const v1::WatchWindowResponse& response) {
        if (runner.for_programs()) {
          written = runner.PrintStreamed(response);
        } else {
          const View& view = runner.view();
          std::string title = TimeText(response.sample_time());
          if (response.dropped_samples() > dropped) {
            absl::StrAppend(&title, ", ", response.dropped_samples() - dropped, " samples left out");
          }
          dropped = response.dropped_samples();
          written = runner.Print(absl::StrCat(view.terminal ? "\x1b[H\x1b[2J" : "", Title(title, view),
                                              WindowsText(response.windows(), view)));
        }
        return written == ExitCode::kOk;
      });
  if (written != ExitCode::kOk) return written;
  return status.ok() ? ExitCode::kOk : runner.FailCall(status);
}

}  // namespace

ExitCode ShowWindow(Runner* runner) {
  if (runner->line().watch_window) return WatchWindows(*runner);
  return runner->Show(runner->client()->GetWindow(EscapeNonUtf8(runner->line().share)),
                      [runner](const v1::GetWindowResponse& response) {
                        return WindowsTitle(response.windows_size(), runner->view()) +
                               WindowsText(response.windows(), runner->view());
                      });
}

ExitCode Watch(Runner* runner) {
  const Invocation& line = runner->line();
  v1::WatchConvergenceRequest request;
  request.set_share(EscapeNonUtf8(line.share));
  request.set_until_settled(!line.follow);
  if (line.interval) *request.mutable_interval() = ToProto(*line.interval);
  const Followed followed = Follow(*runner, request, line.timeout, /*quiet=*/false);
  if (!followed.written) return ExitCode::kRefused;
  return followed.status.ok() ? ExitCode::kOk : runner->FailCall(followed.status);
}

ExitCode Health(Runner* runner) {
  HealthList list;
  for (const char* service : kServices) {
    auto status = runner->client()->CheckHealth(service);
    if (!status.ok() && status.status().code() != absl::StatusCode::kNotFound) {
      return runner->FailCall(status.status());
    }
    list.emplace_back(service, status.ok() ? *status : "SERVICE_UNKNOWN");
  }
  const ExitCode printed = runner->for_programs() ? runner->PrintMessage(HealthMessage(list))
                                                  : runner->Print(HealthText(list, runner->view()));
  if (printed != ExitCode::kOk) return printed;
  const bool all = std::all_of(list.begin(), list.end(), [](const auto& one) { return one.second == "SERVING"; });
  return all ? ExitCode::kOk : ExitCode::kRefused;
}

}  // namespace daxvmm::control
