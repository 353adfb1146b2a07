// What all commands of daxvmmctl stand on: the line, the connection, standard output and standard error.
#ifndef DAXVMM_CONTROL_CTL_RUNNER_H_
#define DAXVMM_CONTROL_CTL_RUNNER_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "control/client.h"
#include "control/ctl/invocation.h"
#include "control/ctl/view.h"

namespace daxvmm::control {

// A connection to the machine that `line` names.
absl::StatusOr<std::unique_ptr<Client>> ConnectFor(const Invocation& line, absl::Duration timeout);

// One per process, used by the main thread. What fails has been told on standard error by the time it is returned.
class Runner {
 public:
  Runner(const Invocation& line, const View& view) : line_(line), view_(view) {}

  const Invocation& line() const { return line_; }
  const View& view() const { return view_; }
  bool json() const { return line_.format == OutputFormat::kJson; }
  // Not for people: JSON, or the text format.
  bool for_programs() const { return json() || line_.format == OutputFormat::kText; }

  // Connects to the machine, where that has not been done yet. nullopt: done.
  std::optional<ExitCode> Connect();
  // Once connected.
  Client* client() const { return client_.get(); }
  std::unique_ptr<Client> TakeClient() { return std::move(client_); }

  // One line on standard error, with the program's name in front.
  ExitCode Fail(ExitCode code, absl::string_view text) const;
  void Note(absl::string_view text) const;
  // For a call that failed.
  ExitCode FailCall(const absl::Status& status) const;

  // To standard output, at once.
  ExitCode Print(absl::string_view text) const;
  // As JSON or in the text format, for_programs(); `all` as in Json().
  ExitCode PrintMessage(const google::protobuf::Message& message, bool all = true) const;
  // The same on one line: a message of a stream.
  ExitCode PrintStreamed(const google::protobuf::Message& message) const;

  // The answer of a call, for programs or by `table(response)`.
  template <typename Response, typename Table>
  ExitCode Show(const absl::StatusOr<Response>& response, Table table) const {
    if (!response.ok()) return FailCall(response.status());
    return for_programs() ? PrintMessage(*response) : Print(table(*response));
  }

 private:
  const Invocation& line_;
  const View view_;
  std::unique_ptr<Client> client_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_RUNNER_H_
