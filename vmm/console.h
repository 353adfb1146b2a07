// The guest's serial console on two descriptors of the host.
#ifndef DAXVMM_VMM_CONSOLE_H_
#define DAXVMM_VMM_CONSOLE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "base/named_thread.h"

namespace daxvmm::vmm {

// Finds Ctrl-A sequences in what an operator types: Ctrl-A x quits, Ctrl-A Ctrl-A (or Ctrl-A a) is one Ctrl-A for the
// guest, any other key after Ctrl-A goes to the guest along with it.
class EscapeFilter {
 public:
  // Appends what is meant for the guest to `out`; true if the operator wants to quit, and then the rest is dropped.
  bool Feed(std::span<const uint8_t> typed, std::deque<uint8_t>* out);

 private:
  bool escaped_ = false;
};

// Moves bytes between a serial port and two descriptors, on a thread of its own. A reader who is slow to take the
// guest's output slows the guest's port down, and nothing else; nothing is lost while the machine runs.
class Console {
 public:
  struct Options {
    // Not owned; end of file just ends the input. Of what is typed at a terminal while the guest does not read its port
    // only the first few KiB are kept, so that Ctrl-A x is always seen.
    int input_fd = 0;
    int output_fd = 1;  // not owned; if nobody reads it any more, output is dropped
    // The guest's port takes what it can and answers how much.
    std::function<size_t(std::span<const uint8_t>)> to_guest;
    // The operator typed Ctrl-A x. On the console's thread.
    std::function<void()> on_quit;
  };

  static absl::StatusOr<std::unique_ptr<Console>> Create(Options options);
  // Ends the thread; output that is still queued is given a second to leave.
  ~Console();

  // The guest wrote to its port: waits while the queue is full. vCPU threads.
  void Output(std::span<const uint8_t> data);
  // The guest's port has room again. Any thread.
  void InputRoomAvailable() { wake_.Signal(); }
  // From now on Output never waits, so that vCPU threads can be stopped.
  void ReleaseWriters();

 private:
  Console(Options options, EventFd wake);
  void Loop();
  // Both are called by the console's thread only.
  void ReadInput();
  void WriteOutput();
  bool OutputQueued();

  static constexpr size_t kQueueMax = 64 << 10;

  const Options options_;
  const bool input_is_terminal_;
  EventFd wake_;
  EscapeFilter filter_;
  std::deque<uint8_t> typed_;  // waits for room in the guest's port; console thread only
  bool input_open_ = true;

  Mutex mu_;
  CondVar room_;
  std::deque<uint8_t> output_ ABSL_GUARDED_BY(mu_);
  bool released_ ABSL_GUARDED_BY(mu_) = false;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  bool output_open_ ABSL_GUARDED_BY(mu_) = true;
  NamedThread thread_;
};

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_CONSOLE_H_
