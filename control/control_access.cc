#include "control/control_access.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace daxvmm::control {
namespace {

// The X.520 bound of a common name is 64, that of a DNS name 255.
constexpr size_t kMaxCertificateName = 255;
// An entry of the system's databases that needs more than this is not believed.
constexpr size_t kMaxEntryBytes = 1 << 20;

// All digits: a number, which must be one of a user. (2^32-1 means "nobody in particular" to chown and its like.)
absl::StatusOr<std::optional<uint32_t>> ParseId(absl::string_view text, absl::string_view what) {
  if (text.empty()) return absl::InvalidArgumentError(absl::StrCat("the ", what, " is empty"));
  if (!std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isdigit(c); })) return std::nullopt;
  uint32_t id = 0;
  if (!absl::SimpleAtoi(text, &id) || id == std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not the number of a ", what));
  }
  return id;
}

// `lookup` is getpwnam_r or getgrnam_r.
template <typename Entry, typename Lookup>
absl::StatusOr<Entry> Find(absl::string_view name, absl::string_view what, Lookup lookup) {
  const std::string terminated(name);
  std::vector<char> buffer(4096);
  for (;;) {
    Entry entry{};
    Entry* found = nullptr;
    const int error = lookup(terminated.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (error == ERANGE && buffer.size() < kMaxEntryBytes) {
      buffer.resize(buffer.size() * 4);
      continue;
    }
    if (found == nullptr) return absl::InvalidArgumentError(absl::StrCat("there is no ", what, " '", name, "'"));
    return entry;  // its id is used, its pointers are not
  }
}

absl::StatusOr<Role> ParseRole(absl::string_view text) {
  for (const Role role : {Role::kOperator, Role::kReadOnly}) {
    if (text == RoleName(role)) return role;
  }
  return absl::InvalidArgumentError(absl::StrCat("'", text, "' is neither operator nor read-only"));
}

std::optional<Role> Higher(std::optional<Role> a, Role b) {
  return a == Role::kOperator || b == Role::kOperator ? Role::kOperator : Role::kReadOnly;
}

}  // namespace

const char* RoleName(Role role) { return role == Role::kOperator ? "operator" : "read-only"; }

absl::StatusOr<uid_t> ParseUser(absl::string_view text) {
  ASSIGN_OR_RETURN(const std::optional<uint32_t> id, ParseId(text, "user"));
  if (id) return *id;
  ASSIGN_OR_RETURN(const passwd entry, Find<passwd>(text, "user", &getpwnam_r));
  return entry.pw_uid;
}

absl::StatusOr<gid_t> ParseGroup(absl::string_view text) {
  ASSIGN_OR_RETURN(const std::optional<uint32_t> id, ParseId(text, "group"));
  if (id) return *id;
  ASSIGN_OR_RETURN(const group entry, Find<group>(text, "group", &getgrnam_r));
  return entry.gr_gid;
}

absl::StatusOr<AllowRule> ParseAllowRule(absl::string_view text) {
  // The last colon: a certificate's name may be a URI.
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' has no role; as in uid=1000:read-only"));
  }
  AllowRule rule;
  ASSIGN_OR_RETURN(rule.role, ParseRole(text.substr(colon + 1)));
  absl::string_view who = text.substr(0, colon);
  if (absl::ConsumePrefix(&who, "uid=")) {
    rule.kind = AllowRule::Kind::kUid;
    ASSIGN_OR_RETURN(rule.id, ParseUser(who));
  } else if (absl::ConsumePrefix(&who, "gid=")) {
    rule.kind = AllowRule::Kind::kGid;
    ASSIGN_OR_RETURN(rule.id, ParseGroup(who));
  } else if (absl::ConsumePrefix(&who, "cert=")) {
    rule.kind = AllowRule::Kind::kCertificate;
    if (who.empty()) return absl::InvalidArgumentError("the certificate's name is empty");
    if (who.size() > kMaxCertificateName) {
      return absl::InvalidArgumentError(
          absl::StrCat("the certificate's name has ", who.size(), " bytes, more than ", kMaxCertificateName));
    }
    rule.name = std::string(who);
  } else {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' begins with none of uid=, gid=, cert="));
  }
  return rule;
}

AccessList::AccessList(std::vector<AllowRule> rules) : self_(geteuid()), rules_(std::move(rules)) {}

std::optional<Role> AccessList::OfPeer(uid_t uid, std::span<const gid_t> groups) const {
  if (uid == self_ || uid == 0) return Role::kOperator;
  std::optional<Role> role;
  for (const AllowRule& rule : rules_) {
    const bool matches =
        (rule.kind == AllowRule::Kind::kUid && rule.id == uid) ||
        (rule.kind == AllowRule::Kind::kGid && std::find(groups.begin(), groups.end(), gid_t{rule.id}) != groups.end());
    if (matches) role = Higher(role, rule.role);
  }
  return role;
}

std::optional<AccessList::CertificateMatch> AccessList::OfCertificate(std::span<const std::string> names) const {
  std::optional<CertificateMatch> match;
  for (const AllowRule& rule : rules_) {
    if (rule.kind != AllowRule::Kind::kCertificate) continue;
    if (std::find(names.begin(), names.end(), rule.name) == names.end()) continue;
    if (!match || Higher(match->role, rule.role) != match->role) match = {.role = rule.role, .name = rule.name};
  }
  return match;
}

}  // namespace daxvmm::control
