// The whole screen.
#ifndef DAXVMM_CONTROL_CTL_TOP_LAYOUT_H_
#define DAXVMM_CONTROL_CTL_TOP_LAYOUT_H_

#include "control/ctl/top/frame.h"
#include "control/ctl/top/scene.h"

namespace daxvmm::control::top {

// Below this the screen only says how large it has to be.
inline constexpr int kMinRows = 10;
inline constexpr int kMinColumns = 40;

struct Picture {
  Frame frame;      // exactly `rows` lines
  ListExtent list;  // of the file list in it, for the keys; all 0 while there is none
};

// Pure. What there is no room for is left out, the least important first; the file list gets what is left.
Picture Layout(const Scene& scene, int rows, int columns);

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_LAYOUT_H_
