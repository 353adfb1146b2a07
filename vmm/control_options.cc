#include "vmm/control_options.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"

namespace daxvmm::vmm {
namespace {

// A flood of calls takes a tenth of what a vCPU takes then, where both want the same processor;
// docs/control_security.md has the figures.
constexpr int kControlNice = 10;

absl::Status SetNotEmpty(absl::string_view text, std::string* value) {
  if (text.empty()) return absl::InvalidArgumentError("must not be empty");
  *value = std::string(text);
  return absl::OkStatus();
}

absl::Status SetMode(absl::string_view text, mode_t* mode) {
  mode_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '7' || text.size() > 5) value = 010000;
    value = value * 8 + (c - '0');
  }
  if (text.empty() || value > 0777) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not a mode in octal, such as 0660"));
  }
  // Connecting takes the right to write.
  if ((value & 0222) == 0) return absl::InvalidArgumentError(absl::StrCat("with ", text, " nobody could connect"));
  *mode = value;
  return absl::OkStatus();
}

absl::Status SetOwner(absl::string_view text, control::SocketFile* file) {
  const size_t colon = text.find(':');
  ASSIGN_OR_RETURN(file->owner, control::ParseUser(text.substr(0, colon)));
  if (colon != absl::string_view::npos) {
    ASSIGN_OR_RETURN(file->group, control::ParseGroup(text.substr(colon + 1)));
  }
  return absl::OkStatus();
}

bool HasCertificateRule(const ControlOptions& options) {
  return std::any_of(options.allow.begin(), options.allow.end(), [](const control::AllowRule& rule) {
    return rule.kind == control::AllowRule::Kind::kCertificate;
  });
}

}  // namespace

std::vector<FlagSpec> ControlFlags(ControlOptions* options) {
  const auto file = [options](const char* flag, std::string* value) {
    return [options, flag, value](absl::string_view v) {
      options->needs_tcp.emplace_back(flag);
      return SetNotEmpty(v, value);
    };
  };
  return {
      {"control", "SOCKET", "Serve the control API (gRPC) on this Unix-domain socket; see daxvmmctl.",
       [options](absl::string_view v) { return SetNotEmpty(v, &options->socket); }},
      {"control-mode", "MODE", "The mode of the socket's file, in octal. Default: 0600",
       [options](absl::string_view v) {
         options->needs_socket.emplace_back("--control-mode");
         return SetMode(v, &options->socket_file.mode);
       }},
      {"control-owner", "USER[:GROUP]", "The owner of the socket's file, by name or number. Default: daxvmm's own",
       [options](absl::string_view v) {
         options->needs_socket.emplace_back("--control-owner");
         return SetOwner(v, &options->socket_file);
       }},
      {"control-allow", "WHO:ROLE",
       "Whom the control API serves, besides daxvmm's own user and root, who are operators always. WHO is one of\n"
       "uid=USER                  whoever connects to the socket as that user\n"
       "gid=GROUP                 or with that group\n"
       "cert=NAME                 whose certificate has that common name or alternative name (TCP)\n"
       "ROLE is operator, or read-only: changes nothing and sees no console. May be given many times; the highest\n"
       "role of all that match holds. The socket's mode must let them connect, too.",
       [options](absl::string_view v) -> absl::Status {
         ASSIGN_OR_RETURN(control::AllowRule rule, control::ParseAllowRule(v));
         options->allow.push_back(std::move(rule));
         return absl::OkStatus();
       }},
      {"control-tcp", "HOST:PORT",
       "Serve the control API over TCP as well, or instead: with TLS, and for clients with a certificate that a\n"
       "--control-allow cert= lists. Port 0 takes any that is free. The address is logged.",
       [options](absl::string_view v) { return SetNotEmpty(v, &options->tcp); }},
      {"control-tls-cert", "FILE", "The server's certificate, PEM, with what leads to its root. For --control-tcp.",
       file("--control-tls-cert", &options->tls.certificate)},
      {"control-tls-key", "FILE", "Its key, PEM, not encrypted.", file("--control-tls-key", &options->tls.key)},
      {"control-tls-client-ca", "FILE", "What clients' certificates must be signed by, PEM.",
       file("--control-tls-client-ca", &options->tls.client_ca)},
  };
}

absl::Status Validate(const ControlOptions& options) {
  const auto needs = [](const std::string& flag, absl::string_view other) {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": needs ", other));
  };
  if (options.socket.empty() && !options.needs_socket.empty()) return needs(options.needs_socket[0], "--control");
  if (!options.any() && !options.allow.empty()) return needs("--control-allow", "--control or --control-tcp");
  if (options.tcp.empty()) {
    if (!options.needs_tcp.empty()) return needs(options.needs_tcp[0], "--control-tcp");
    if (HasCertificateRule(options)) return needs("--control-allow cert=", "--control-tcp");
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(control::CheckTcpAddress(options.tcp));
  // Without TLS there is no TCP.
  if (options.tls.certificate.empty()) return needs("--control-tcp", "--control-tls-cert");
  if (options.tls.key.empty()) return needs("--control-tcp", "--control-tls-key");
  if (options.tls.client_ca.empty()) return needs("--control-tcp", "--control-tls-client-ca");
  if (!HasCertificateRule(options)) return needs("--control-tcp", "a --control-allow cert=NAME:ROLE");
  return absl::OkStatus();
}

absl::StatusOr<ControlSockets> BindControl(const ControlOptions& options) {
  ControlSockets sockets;
  if (!options.tcp.empty()) {
    ASSIGN_OR_RETURN(sockets.tcp, control::ListenOnTcp(options.tcp));
  }
  if (!options.socket.empty()) {
    ASSIGN_OR_RETURN(sockets.unix_socket, control::ControlSocket::Bind(options.socket, options.socket_file));
  }
  return sockets;
}

control::ControlServerOptions ServerOptions(const ControlOptions& options, const ControlSockets& sockets) {
  control::ControlServerOptions server = {.unix_listener = sockets.unix_socket ? sockets.unix_socket->listen_fd() : -1,
                                          .tcp_listener = sockets.tcp ? sockets.tcp->fd.get() : -1,
                                          .tls = options.tls,
                                          .allow = options.allow};
  server.limits.nice = kControlNice;
  return server;
}

}  // namespace daxvmm::vmm
