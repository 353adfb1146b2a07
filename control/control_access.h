// Who may use the control plane, and as what: the rules of --control-allow. No gRPC.
#ifndef DAXVMM_CONTROL_CONTROL_ACCESS_H_
#define DAXVMM_CONTROL_CONTROL_ACCESS_H_

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "control/caller.h"

namespace daxvmm::control {

struct AllowRule {
  enum class Kind { kUid, kGid, kCertificate };
  Kind kind = Kind::kUid;
  uint32_t id = 0;   // of kUid and kGid
  std::string name;  // of kCertificate: a common name, or a subject alternative name, whole and as it is written
  Role role = Role::kReadOnly;

  bool operator==(const AllowRule&) const = default;
};

// "uid=NAME|N:ROLE", "gid=NAME|N:ROLE" or "cert=NAME:ROLE", where ROLE is "operator" or "read-only". Names of users and
// groups are looked up now, in the system's database, which may block. INVALID_ARGUMENT with one line.
absl::StatusOr<AllowRule> ParseAllowRule(absl::string_view text);

// A user or group by name or number. INVALID_ARGUMENT if there is none; may block.
absl::StatusOr<uid_t> ParseUser(absl::string_view text);
absl::StatusOr<gid_t> ParseGroup(absl::string_view text);

// Decides whom to serve. A peer has the highest role of all rules that match it; the order of rules means nothing. This
// process's own user and root are operators always: they may do anything to the process anyway. Immutable.
class AccessList {
 public:
  explicit AccessList(std::vector<AllowRule> rules);

  // Of the peer of a Unix socket, with all its groups; nullopt: not to be served.
  std::optional<Role> OfPeer(uid_t uid, std::span<const gid_t> groups) const;
  struct CertificateMatch {
    Role role;
    std::string name;  // of the first rule that gives it
  };
  // Of a certificate by its names.
  std::optional<CertificateMatch> OfCertificate(std::span<const std::string> names) const;

 private:
  const uid_t self_;
  const std::vector<AllowRule> rules_;
};

// "operator" or "read-only".
const char* RoleName(Role role);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CONTROL_ACCESS_H_
