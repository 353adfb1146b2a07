// All that a screen is made from.
#ifndef DAXVMM_CONTROL_CTL_TOP_SCENE_H_
#define DAXVMM_CONTROL_CTL_TOP_SCENE_H_

#include <string>

#include "absl/time/time.h"
#include "control/ctl/top/glyphs.h"
#include "control/ctl/top/model.h"
#include "control/ctl/top/snapshot.h"
#include "control/ctl/top/view.h"

namespace daxvmm::control::top {

struct Scene {
  std::string machine;  // what names it: its socket
  const Model* model = nullptr;
  Following following;
  Connection connection;
  View view;
  absl::Time now;
  absl::TimeZone zone;
  Charset charset = Charset::kUtf8;
};

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_SCENE_H_
