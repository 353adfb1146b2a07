// The parts of the screen but for the file list; see layout.h. All pure, one line each unless it says otherwise.
#ifndef DAXVMM_CONTROL_CTL_TOP_SECTIONS_H_
#define DAXVMM_CONTROL_CTL_TOP_SECTIONS_H_

#include "control/ctl/top/frame.h"
#include "control/ctl/top/scene.h"

namespace daxvmm::control::top {

Line MachineLine(const Scene& scene, int columns);
Line PolicyLine(const Scene& scene, int columns);
Line SharesLine(const Scene& scene, int columns);
Line UseLine(const Scene& scene, int columns);
Line RatesLine(const Scene& scene, int columns);
Line TroubleLine(const Scene& scene, int columns);
// What the map's characters mean, and then the map, in at most `rows` lines; none for a share without a window.
Frame MapLines(const Scene& scene, int rows, int columns);
Line FollowingLine(const Scene& scene, int columns);
Line FooterLine(const Scene& scene, int columns);
// At most `rows` lines.
Frame HelpLines(const Scene& scene, int rows, int columns);

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_SECTIONS_H_
