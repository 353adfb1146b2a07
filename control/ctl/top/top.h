// `daxvmmctl top`: a live view of one machine on a terminal's whole screen.
#ifndef DAXVMM_CONTROL_CTL_TOP_TOP_H_
#define DAXVMM_CONTROL_CTL_TOP_TOP_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "control/client.h"

namespace daxvmm::control::top {

struct TopOptions {
  std::string machine;  // what the first line shows: the socket's path
  std::string share;    // to begin with; path text; empty: the first
  absl::Duration interval = absl::Seconds(1);
};

// Runs until the user quits: OK then. Another error than INVALID_ARGUMENT says what of this machine failed. A signal
// that ends programs ends this one too, once the terminal is as it was. `client` is the connection to begin with,
// `connect` makes another one; on a thread of top's own, which is given up where it hangs: then this does not return
// but ends the process with status 0.
//
// CheckTerminal() must have said OK. Sets the process's locale.
absl::Status RunTop(const TopOptions& options, std::unique_ptr<Client> client,
                    std::function<absl::StatusOr<std::unique_ptr<Client>>()> connect);

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_TOP_H_
