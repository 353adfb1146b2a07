// Accepts the control plane's connections, and looks after those that there are.
#ifndef DAXVMM_CONTROL_ACCEPTOR_H_
#define DAXVMM_CONTROL_ACCEPTOR_H_

#include <poll.h>

#include <vector>

#include "base/event_fd.h"
#include "base/unique_fd.h"
#include "control/control_access.h"
#include "control/principals.h"

namespace daxvmm::control {

// Used by one thread, but for `stop`.
class Acceptor {
 public:
  // A listener may be invalid: none. `stop` and `principals` outlive the acceptor.
  Acceptor(UniqueFd unix_listener, UniqueFd tcp_listener, std::vector<AllowRule> allow, const EventFd* stop,
           Principals* principals)
      : unix_listener_(std::move(unix_listener)),
        tcp_listener_(std::move(tcp_listener)),
        access_(std::move(allow)),
        stop_(stop),
        principals_(principals) {}

  // Until `stop` is signalled.
  void Run();

 private:
  // False: there may be more, but others' turn has come.
  bool AcceptSome(const UniqueFd& listener, bool tcp);
  void TakeUnix(UniqueFd connection);
  void TakeTcp(UniqueFd connection);
  void Rest(int milliseconds);

  const UniqueFd unix_listener_;
  const UniqueFd tcp_listener_;
  const AccessList access_;
  const EventFd* const stop_;
  Principals* const principals_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_ACCEPTOR_H_
