// Watches a policy file, and has each new content taken. Whoever replaces the file may rewrite it in place, rename
// another over it, or swap a symbolic link somewhere on its path (as Kubernetes does with a ConfigMap); it may vanish
// and come back.
#ifndef DAXVMM_CONTROL_POLICY_FILE_WATCH_H_
#define DAXVMM_CONTROL_POLICY_FILE_WATCH_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "devices/virtio_fs/dax/policy.h"

namespace daxvmm::control {

// Its thread, "policy-file", calls the functions, one at a time. Reading the file, or statting it, may block that
// thread where the file system does; nothing else waits for it.
class PolicyFileWatch {
 public:
  struct Options {
    std::string path;  // a relative one is relative to the working folder of Start
    // What is in force already: the same content again is no change.
    std::string known_content;
    // INVALID_ARGUMENT in one line, "FILE:12: ...".
    std::function<absl::StatusOr<dax::Policy>(absl::string_view text)> parse;
    // Puts a policy into force; an error is treated as one of the file. After UNAVAILABLE the same policy is given
    // again a little later, until it is taken or the file changes.
    std::function<absl::Status(const dax::Policy& policy)> take;
    // The file cannot be read, parsed or taken: once for each new error. OK: its content is in force again. Logging is
    // done by the watch.
    std::function<void(const absl::Status& error)> report;
    // Quiet for this long, a change is over.
    std::chrono::milliseconds settle{50};
    // How often the file is looked at even if nothing was heard.
    std::chrono::milliseconds poll{1000};
  };

  // Reads the file at once, since it may have changed since `known_content` was read.
  static absl::StatusOr<std::unique_ptr<PolicyFileWatch>> Start(Options options);
  // Joins the thread: no function is called afterwards.
  ~PolicyFileWatch();
  PolicyFileWatch(const PolicyFileWatch&) = delete;
  PolicyFileWatch& operator=(const PolicyFileWatch&) = delete;

 private:
  class Watcher;
  explicit PolicyFileWatch(std::unique_ptr<Watcher> watcher);
  std::unique_ptr<Watcher> watcher_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_POLICY_FILE_WATCH_H_
