// What a program tells the service manager that started it (systemd's Type=notify), without its library.
#ifndef DAXVMM_BASE_SERVICE_NOTIFY_H_
#define DAXVMM_BASE_SERVICE_NOTIFY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace daxvmm {

// Sends `state` ("READY=1", "STOPPING=1", one assignment a line) to the datagram socket that $NOTIFY_SOCKET names; OK,
// and nothing done, where that is not set. Never waits. For the program alone: a library has no business with its
// process's environment.
absl::Status NotifyServiceManager(absl::string_view state);

// The same to a socket by its address: a path, or a name that begins with '@' (abstract).
absl::Status NotifySocket(const std::string& address, absl::string_view state);

}  // namespace daxvmm

#endif  // DAXVMM_BASE_SERVICE_NOTIFY_H_
