// The server of metrics, from a shared library that is loaded when it is asked for: what links this links no
// Prometheus, and without metrics none is in memory.
#ifndef DAXVMM_CONTROL_METRICS_LOADER_H_
#define DAXVMM_CONTROL_METRICS_LOADER_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "control/controller.h"
#include "control/library.h"

namespace daxvmm::control {

// Overrides the places where LocateMetricsLibrary looks; ignored in a set-user-ID program.
inline constexpr char kMetricsLibraryEnv[] = "DAXVMM_METRICS_LIBRARY";

// The path of libdaxvmm_metrics.so: `option` if it is not empty, else $DAXVMM_METRICS_LIBRARY, else the first that
// exists beside the running program, in ../lib/daxvmm/ of it (installed) and in ../control/metrics/ of it (build tree).
// NOT_FOUND says where it was looked for. Loads nothing, so it can be called before the machine runs.
absl::StatusOr<std::string> LocateMetricsLibrary(const std::string& option = "");

// A running server. Start and destruction on one thread.
class [[nodiscard]] LoadedMetricsServer {
 public:
  // Called once the guest runs, since loading takes a few milliseconds. `controller` must outlive the server.
  // `listen_fd` is a MetricsSocket's; it is duplicated. The library's log lines and level are this process's.
  // FAILED_PRECONDITION for a library of another build, UNAVAILABLE if it cannot be loaded.
  static absl::StatusOr<LoadedMetricsServer> Start(const Controller* controller, int listen_fd,
                                                   const std::string& library_path);

  // Destruction stops the server: no thread calls the controller afterwards. The library stays loaded.

 private:
  explicit LoadedMetricsServer(LibraryHandle handle) : handle_(std::move(handle)) {}

  LibraryHandle handle_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_METRICS_LOADER_H_
