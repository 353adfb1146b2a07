// The DAX windows for people.
#ifndef DAXVMM_CONTROL_CTL_WINDOW_OUTPUT_H_
#define DAXVMM_CONTROL_CTL_WINDOW_OUTPUT_H_

#include <string>

#include "control/ctl/view.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control {

// A table, and if wide what it leaves out.
std::string WindowsText(const google::protobuf::RepeatedPtrField<v1::Window>& windows, const View& view);
// "per-file".
std::string MountText(v1::MountMode mode);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_WINDOW_OUTPUT_H_
