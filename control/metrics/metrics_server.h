// The server of metrics: a machine, scraped by HTTP.
#ifndef DAXVMM_CONTROL_METRICS_METRICS_SERVER_H_
#define DAXVMM_CONTROL_METRICS_METRICS_SERVER_H_

#include <chrono>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "control/controller.h"
#include "control/metrics/families.h"
#include "control/metrics/http_server.h"
#include "control/metrics/sampler.h"

namespace daxvmm::control {

struct MetricsServerOptions {
  HttpServerOptions http;
  // A page is served again until it is this old, so that many who scrape do not ask the machine more often.
  std::chrono::milliseconds reuse_page{200};
};

// Start and destruction on one thread.
class MetricsServer {
 public:
  // `controller` outlives this. `listen_fd` is a MetricsSocket's; it is duplicated. Fails as HttpServer does.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(const Controller* controller, int listen_fd,
                                                              const MetricsServerOptions& options = {});

 private:
  MetricsServer(const Controller* controller, const MetricsServerOptions& options);
  HttpServer::Page Render();

  const MetricsServerOptions options_;
  MetricsSampler sampler_;
  const MachineCollectable collectable_{&sampler_};
  HttpServer::Page page_;
  std::optional<std::chrono::steady_clock::time_point> page_made_at_;
  std::unique_ptr<HttpServer> http_;  // last: its thread uses all of the above
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_METRICS_METRICS_SERVER_H_
