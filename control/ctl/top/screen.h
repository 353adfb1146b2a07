// The terminal: the only part that knows ncurses.
#ifndef DAXVMM_CONTROL_CTL_TOP_SCREEN_H_
#define DAXVMM_CONTROL_CTL_TOP_SCREEN_H_

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "control/ctl/top/frame.h"
#include "control/ctl/top/view.h"

namespace daxvmm::control::top {

// Takes the terminal over from Create() to the destructor, which gives it back as it was. One at a time; used by one
// thread. What is written to standard error meanwhile would spoil the picture, so it is kept back if that is a
// terminal, and written at the end.
class Screen {
 public:
  // After CheckTerminal(), setlocale(), and whatever signal handlers there shall be: ncurses sets none where there is
  // one.
  static absl::StatusOr<std::unique_ptr<Screen>> Create();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  int rows() const;
  int columns() const;
  void Draw(const Frame& frame);
  // The next key that was pressed and means something; nullopt if there is none yet. Does not block.
  std::optional<Key> NextKey();

  // After SIGWINCH: asks the terminal for its size.
  void Resize();
  // After something else has written on the terminal: the next Draw() draws everything.
  void Forget();
  // Gives the terminal back for as long as this process is stopped, and takes it again.
  void Leave();
  void Return();

 private:
  Screen() = default;

  UniqueFd standard_error_;  // the true one; none if nothing is kept back
  UniqueFd kept_back_;
  bool has_color_ = false;
  int inks_ = 0;  // colours for files
};

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_SCREEN_H_
