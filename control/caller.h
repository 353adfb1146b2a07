// Who calls, and what that one may do.
#ifndef DAXVMM_CONTROL_CALLER_H_
#define DAXVMM_CONTROL_CALLER_H_

#include <string>

namespace daxvmm::control {

// An operator may do everything, a reader what changes nothing and shows no guest's console.
enum class Role { kReadOnly, kOperator };

struct Caller {
  std::string who;  // "uid 1000", "certificate 'deploy'": for the history, the audit log and errors
  Role role = Role::kReadOnly;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CALLER_H_
