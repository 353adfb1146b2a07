// The users that are connected, each with a gRPC server of its own.
#ifndef DAXVMM_CONTROL_PRINCIPALS_H_
#define DAXVMM_CONTROL_PRINCIPALS_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "control/connection_table.h"
#include "control/principal_server.h"

namespace daxvmm::control {

// One thread at a time.
class Principals {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Principals(const ServerParts& parts);

  // A server for `uid` with `role`, made unless it is there; connections() of idle ones tells which may be ended for
  // it. RESOURCE_EXHAUSTED if there are too many.
  absl::Status Take(uid_t uid, Role role, UniqueFd connection);
  // The one that serves TCP, made by StartTls.
  absl::Status TakeTcp(UniqueFd connection);
  absl::Status StartTls(const TlsFiles& files, const std::vector<AllowRule>& rules);
  // Makes the server for a user who has no connection yet.
  absl::Status Prepare(uid_t uid, Role role);

  ConnectionTable& connections() { return connections_; }
  // Cuts the connections of those who misuse them, and lets such a user have none for a while. To be called four times
  // a second while there are connections.
  void CutAbusive(Clock::time_point now);
  // Calls that run longer than `deadline` are cancelled; no thread runs a service's method afterwards.
  void Stop(std::chrono::system_clock::time_point deadline);

 private:
  struct Principal {
    uint64_t id = 0;
    uid_t uid = 0;
    Role role = Role::kReadOnly;
    std::unique_ptr<PrincipalServer> server;
    Clock::time_point banned_until{};
  };

  absl::StatusOr<Principal*> Find(uid_t uid, Role role);
  // Room for one more, by ending an idle one if need be.
  absl::Status MakeRoom(Role role);
  absl::Status MayConnect(uint64_t owner, bool privileged, size_t limit) const;
  absl::Status HandOver(PrincipalServer* server, UniqueFd connection, uint64_t owner, bool privileged);

  const ServerParts& parts_;
  const ControlLimits& limits_;
  ConnectionTable connections_;
  std::vector<Principal> principals_;
  std::unique_ptr<PrincipalServer> tcp_;
  uint64_t next_id_ = 1;  // 0 is TCP
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_PRINCIPALS_H_
