// The symbol that libdaxvmm_metrics.so exports; see control/metrics/metrics_abi.h.
#include "control/library_entry.h"
#include "control/metrics/metrics_abi.h"
#include "control/metrics/metrics_server.h"

namespace daxvmm::control {
namespace {

void Stop(void* server) { delete static_cast<MetricsServer*>(server); }

}  // namespace
}  // namespace daxvmm::control

extern "C" __attribute__((visibility("default"))) int daxvmm_metrics_start(
    const daxvmm::control::daxvmm_metrics_start_args* args, daxvmm::control::daxvmm_library_handle* handle, char* error,
    size_t error_size) {
  using namespace daxvmm::control;  // NOLINT(google-build-using-namespace): a C function has no namespace of its own
  if (const int code = CheckBuild(*args, kMetricsAbiVersion, kMetricsAbiLayout, error, error_size); code != 0) {
    return code;
  }
  ForwardLog(args->log, args->log_level);
  auto server = MetricsServer::Start(args->controller, args->listen_fd);
  if (!server.ok()) return FailWith(server.status(), error, error_size);
  handle->server = server->release();
  handle->stop = &Stop;
  return 0;
}
