// What all libraries that daxvmm loads have in common at the border.
#ifndef DAXVMM_CONTROL_LIBRARY_ABI_H_
#define DAXVMM_CONTROL_LIBRARY_ABI_H_

namespace daxvmm::control {

extern "C" {

struct daxvmm_library_handle {
  void* server;
  void (*stop)(void* server);  // once; returns when no thread of it calls the controller any more
};

}  // extern "C"

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_LIBRARY_ABI_H_
