// The control plane's server and its parser of policy files, from a shared library that is loaded when it is asked for:
// what links this links no gRPC and no protobuf.
//
// A process that already has the contract's generated code (proto/daxvmm/v1) linked in must not load the library, since
// protobuf refuses two copies of one file; it uses control/control_server.h itself.
#ifndef DAXVMM_CONTROL_SERVER_LOADER_H_
#define DAXVMM_CONTROL_SERVER_LOADER_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "control/controller.h"
#include "control/library.h"
#include "control/saved_policy.h"
#include "control/server_abi.h"
#include "control/server_options.h"

namespace daxvmm::control {

// Overrides the places where LocateControlLibrary looks; ignored in a set-user-ID program.
inline constexpr char kControlLibraryEnv[] = "DAXVMM_CONTROL_LIBRARY";

// The path of libdaxvmm_control.so: `option` if it is not empty, else $DAXVMM_CONTROL_LIBRARY, else the first that
// exists beside the running program, in ../lib/daxvmm/ of it (installed) and in ../control/ of it (build tree).
// NOT_FOUND says where it was looked for. Loads nothing, so it can be called before the machine runs.
absl::StatusOr<std::string> LocateControlLibrary(const std::string& option = "");

// A running server. Start and destruction on one thread; at most one per process at a time.
class [[nodiscard]] LoadedControlServer {
 public:
  // Takes some 15 ms of which most is loading, so it is called once the guest runs. `controller` must outlive the
  // server. The sockets of `options` are duplicated. The library's log lines and level are this process's.
  // FAILED_PRECONDITION for a library of another build, UNAVAILABLE if it cannot be loaded.
  static absl::StatusOr<LoadedControlServer> Start(Controller* controller, const ControlServerOptions& options,
                                                   const std::string& library_path);
  // On a Unix socket alone, for this process's user and root.
  static absl::StatusOr<LoadedControlServer> Start(Controller* controller, int listen_fd,
                                                   const std::string& library_path) {
    return Start(controller, ControlServerOptions{.unix_listener = listen_fd}, library_path);
  }

  // Destruction stops the server: no thread calls the controller afterwards. The library stays loaded, since gRPC keeps
  // threads.

 private:
  explicit LoadedControlServer(LibraryHandle handle) : handle_(std::move(handle)) {}

  LibraryHandle handle_;
};

// Whether a server could use these files, told before the guest runs. INVALID_ARGUMENT in one line that begins with the
// flag at fault; else as LoadedControlServer::Start. Takes some 15 ms of which most is loading.
absl::Status CheckTlsFilesByLibrary(const TlsFiles& files, const std::string& library_path);

// Reads policy files, with the same library: it has the contract's two text forms. Copyable.
class PolicyParser {
 public:
  // Takes some 15 ms of which most is loading. Errors as of LoadedControlServer::Start.
  static absl::StatusOr<PolicyParser> Load(const std::string& library_path);

  // INVALID_ARGUMENT in one line, "NAME:12: rules[3].size_below: ...". Any thread.
  absl::StatusOr<dax::Policy> Parse(absl::string_view text, const std::string& name) const;

 private:
  explicit PolicyParser(daxvmm_control_parse_policy_fn parse) : parse_(parse) {}

  daxvmm_control_parse_policy_fn parse_;
};

// The codec of state files, from the same library. Takes some 15 ms of which most is loading. Errors as of
// LoadedControlServer::Start.
absl::StatusOr<std::shared_ptr<const StateCodec>> LoadStateCodec(const std::string& library_path);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_SERVER_LOADER_H_
