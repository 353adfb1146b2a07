// What daxvmm and libdaxvmm_metrics.so agree on: one exported function. As of control/server_abi.h, both sides must
// come from one build, and the version is there to say so.
#ifndef DAXVMM_CONTROL_METRICS_METRICS_ABI_H_
#define DAXVMM_CONTROL_METRICS_METRICS_ABI_H_

#include <cstddef>
#include <cstdint>

#include "control/controller.h"
#include "control/library_abi.h"
#include "control/server_abi.h"

namespace daxvmm::control {

// To be raised with any change of this file or of control/metrics_snapshot.h; a change of control/controller.h raises
// kServerAbiVersion, which is a part of it.
inline constexpr uint32_t kMetricsAbiVersion = 1 << 16 | kServerAbiVersion;
inline constexpr uint64_t kMetricsAbiLayout = kServerAbiLayout + sizeof(MetricsSnapshot) + sizeof(ShareMetrics);

inline constexpr char kMetricsLibraryName[] = "libdaxvmm_metrics.so";
inline constexpr char kMetricsStartSymbol[] = "daxvmm_metrics_start";

extern "C" {

struct daxvmm_metrics_start_args {
  uint32_t abi_version;          // kMetricsAbiVersion
  uint32_t log_level;            // a LogLevel: the library has its own copy of base/
  uint64_t layout;               // kMetricsAbiLayout
  const Controller* controller;  // outlives the server
  int listen_fd;                 // borrowed for the call
  // Takes the library's log lines, from any of its threads.
  void (*log)(uint32_t level, const char* line);
};

// 0 and a filled `handle`, or an absl::StatusCode and a text in `error`, which has room for `error_size` bytes.
using daxvmm_metrics_start_fn = int (*)(const daxvmm_metrics_start_args* args, daxvmm_library_handle* handle,
                                        char* error, size_t error_size);

}  // extern "C"

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_METRICS_METRICS_ABI_H_
