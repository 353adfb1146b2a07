#include "control/metrics/metrics_server.h"

#include <string>
#include <utility>

#include "base/status.h"

namespace daxvmm::control {

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(const Controller* controller, int listen_fd,
                                                                    const MetricsServerOptions& options) {
  std::unique_ptr<MetricsServer> server(new MetricsServer(controller, options));
  ASSIGN_OR_RETURN(server->http_,
                   HttpServer::Start(listen_fd, [raw = server.get()] { return raw->Render(); }, options.http));
  return server;
}

MetricsServer::MetricsServer(const Controller* controller, const MetricsServerOptions& options)
    : options_(options), sampler_(controller) {}

HttpServer::Page MetricsServer::Render() {
  const auto now = std::chrono::steady_clock::now();
  if (!page_made_at_.has_value() || now - *page_made_at_ >= options_.reuse_page) {
    page_ = std::make_shared<const std::string>(Exposition(collectable_.Collect()));
    page_made_at_ = std::chrono::steady_clock::now();
  }
  return page_;
}

}  // namespace daxvmm::control
