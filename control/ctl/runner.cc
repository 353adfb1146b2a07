#include "control/ctl/runner.h"

#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "control/ctl/errors.h"
#include "control/ctl/output.h"
#include "control/ctl/text_table.h"

namespace daxvmm::control {

absl::StatusOr<std::unique_ptr<Client>> ConnectFor(const Invocation& line, absl::Duration timeout) {
  return Client::Connect({.target = line.socket,
                          .tls_ca = line.tls_ca,
                          .tls_cert = line.tls_cert,
                          .tls_key = line.tls_key,
                          .timeout = timeout});
}

std::optional<ExitCode> Runner::Connect() {
  if (client_ != nullptr) return std::nullopt;
  auto connected = ConnectFor(line_, line_.call_timeout());
  if (!connected.ok()) {
    if (connected.status().code() == absl::StatusCode::kInvalidArgument) {
      const absl::string_view message = connected.status().message();
      return Fail(ExitCode::kUsage, absl::StrCat(absl::StartsWith(message, "--") ? "" : "--control: ", message));
    }
    return FailCall(connected.status());
  }
  client_ = *std::move(connected);
  return std::nullopt;
}

void Runner::Note(absl::string_view text) const {
  // A server's words may repeat a file name.
  std::fprintf(stderr, "daxvmmctl: %s\n", EscapeForTerminal(text).c_str());
}

ExitCode Runner::Fail(ExitCode code, absl::string_view text) const {
  Note(text);
  return code;
}

ExitCode Runner::FailCall(const absl::Status& status) const {
  const Failure failure = DescribeFailure(status, line_);
  return Fail(failure.code, failure.text);
}

ExitCode Runner::Print(absl::string_view text) const {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written) return Fail(ExitCode::kRefused, ErrnoStatus(errno, "standard output").message());
  return ExitCode::kOk;
}

ExitCode Runner::PrintMessage(const google::protobuf::Message& message, bool all) const {
  return Print(json() ? Json(message, all) : TextFormat(message));
}

ExitCode Runner::PrintStreamed(const google::protobuf::Message& message) const {
  return Print(absl::StrCat(json() ? Json(message, /*all=*/true, /*compact=*/true) : TextLine(message), "\n"));
}

}  // namespace daxvmm::control
