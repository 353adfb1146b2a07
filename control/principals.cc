#include "control/principals.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "control/tls_files.h"

namespace daxvmm::control {
namespace {

constexpr uint64_t kTcpOwner = 0;

}  // namespace

Principals::Principals(const ServerParts& parts)
    : parts_(parts), limits_(parts.limits), connections_(parts.limits.stalled) {}

absl::Status Principals::StartTls(const TlsFiles& files, const std::vector<AllowRule>& rules) {
  RETURN_IF_ERROR(CheckTlsFiles(files));
  ASSIGN_OR_RETURN(tcp_, PrincipalServer::Start(parts_, std::make_unique<CallGate>(rules, BudgetOf(limits_)),
                                                TlsCredentials(files)));
  return absl::OkStatus();
}

absl::Status Principals::Prepare(uid_t uid, Role role) { return Find(uid, role).status(); }

absl::StatusOr<Principals::Principal*> Principals::Find(uid_t uid, Role role) {
  for (Principal& principal : principals_) {
    if (principal.uid == uid && principal.role == role) return &principal;
  }
  RETURN_IF_ERROR(MakeRoom(role));
  auto gate = std::make_unique<CallGate>(Caller{.who = absl::StrCat("uid ", uid), .role = role}, BudgetOf(limits_));
  ASSIGN_OR_RETURN(auto server, PrincipalServer::Start(parts_, std::move(gate), LocalCredentials()));
  principals_.push_back({.id = next_id_++, .uid = uid, .role = role, .server = std::move(server)});
  return &principals_.back();
}

absl::Status Principals::MakeRoom(Role role) {
  size_t readers = 0;
  for (const Principal& principal : principals_) readers += principal.role == Role::kReadOnly ? 1 : 0;
  const bool full = principals_.size() >= limits_.principals;
  const bool full_of_readers =
      role == Role::kReadOnly && readers + limits_.principals_for_operators >= limits_.principals;
  if (!full && !full_of_readers) return absl::OkStatus();
  const auto now = Clock::now();
  const auto idle = std::find_if(principals_.begin(), principals_.end(), [&](const Principal& principal) {
    return (full || principal.role == Role::kReadOnly) && connections_.CountOf(principal.id) == 0 &&
           now >= principal.banned_until;
  });
  if (idle == principals_.end()) {
    return absl::ResourceExhaustedError(absl::StrCat("too many users at once, of at most ", limits_.principals));
  }
  principals_.erase(idle);
  return absl::OkStatus();
}

absl::Status Principals::MayConnect(uint64_t owner, bool privileged, size_t limit) const {
  if (connections_.CountOf(owner) >= limit) {
    return absl::ResourceExhaustedError(absl::StrCat("more than ", limit, " connections"));
  }
  const size_t reserved = std::min(limits_.connections_for_operators, limits_.connections);
  if (connections_.size() >= limits_.connections ||
      (!privileged && connections_.unprivileged() >= limits_.connections - reserved)) {
    return absl::ResourceExhaustedError(absl::StrCat("more than ", limits_.connections, " connections in all"));
  }
  return absl::OkStatus();
}

absl::Status Principals::HandOver(PrincipalServer* server, UniqueFd connection, uint64_t owner, bool privileged) {
  UniqueFd copy(fcntl(connection.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return ErrnoStatus(errno, "dup");
  connections_.Add(std::move(copy), owner, privileged);
  server->Take(std::move(connection));
  return absl::OkStatus();
}

absl::Status Principals::Take(uid_t uid, Role role, UniqueFd connection) {
  ASSIGN_OR_RETURN(Principal* const principal, Find(uid, role));
  if (Clock::now() < principal->banned_until) return absl::ResourceExhaustedError("misused its connections just now");
  const bool privileged = role == Role::kOperator;
  RETURN_IF_ERROR(MayConnect(principal->id, privileged, limits_.connections_per_principal));
  return HandOver(principal->server.get(), std::move(connection), principal->id, privileged);
}

absl::Status Principals::TakeTcp(UniqueFd connection) {
  // Whose it is shows once TLS is set up, if at all.
  RETURN_IF_ERROR(MayConnect(kTcpOwner, /*privileged=*/false, limits_.tcp_connections));
  return HandOver(tcp_.get(), std::move(connection), kTcpOwner, /*privileged=*/false);
}

void Principals::CutAbusive(Clock::time_point now) {
  const std::vector<uint64_t> flooding = connections_.CutFlooding();
  for (Principal& principal : principals_) {
    CallBudget* const budget = principal.server->gate().budget();
    const bool floods = std::find(flooding.begin(), flooding.end(), principal.id) != flooding.end();
    if (!floods && !budget->abusive()) continue;
    principal.banned_until = now + limits_.banned_for;
    if (!floods) {
      LOG_LIMITED(kWarning) << "control: cut the connections of uid " << principal.uid
                            << ", which makes calls only to be refused, or without their request";
    }
    connections_.Cut(principal.id);
    budget->Forgive();
  }
}

void Principals::Stop(std::chrono::system_clock::time_point deadline) {
  if (tcp_ != nullptr) tcp_->Stop(deadline);
  for (Principal& principal : principals_) principal.server->Stop(deadline);
}

}  // namespace daxvmm::control
