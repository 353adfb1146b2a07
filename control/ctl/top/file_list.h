// The list of files. Pure.
#ifndef DAXVMM_CONTROL_CTL_TOP_FILE_LIST_H_
#define DAXVMM_CONTROL_CTL_TOP_FILE_LIST_H_

#include "control/ctl/top/frame.h"
#include "control/ctl/top/scene.h"

namespace daxvmm::control::top {

// A heading and as many files as go into `rows` lines, from scene.view.scroll on. `list` is told what there is.
Frame FileLines(const Scene& scene, int rows, int columns, ListExtent* list);

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_FILE_LIST_H_
