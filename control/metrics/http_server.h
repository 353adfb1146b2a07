// Serves one page by HTTP/1.1, on one thread.
#ifndef DAXVMM_CONTROL_METRICS_HTTP_SERVER_H_
#define DAXVMM_CONTROL_METRICS_HTTP_SERVER_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_fd.h"
#include "base/named_thread.h"
#include "base/unique_fd.h"

namespace daxvmm::control {

struct HttpServerOptions {
  size_t max_connections = 8;  // at one time; others wait in the listener's backlog
  // For a client to send its request, and again to take the answer.
  std::chrono::milliseconds patience{5000};
};

// Answers GET and HEAD of /metrics, and each connection once. What a client sends is bounded by kMaxRequestHead, what
// is kept for it by that and one page, which connections share.
class HttpServer {
 public:
  using Page = std::shared_ptr<const std::string>;
  // Makes the page, on the server's thread; never null.
  using Render = std::function<Page()>;

  // `listen_fd` is listening and non-blocking; it is duplicated. Fails if the host has no descriptor or thread left.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(int listen_fd, Render render,
                                                           const HttpServerOptions& options = {});
  // Closes all connections as they stand, and joins the thread.
  ~HttpServer();

 private:
  using Clock = std::chrono::steady_clock;
  struct Connection {
    enum class State { kReading, kWriting, kLingering };
    UniqueFd fd;
    Clock::time_point deadline;
    State state = State::kReading;
    std::string received;
    std::string head;  // of the answer
    Page page;         // behind it; may be null
    size_t sent = 0;   // of both
    size_t discarded = 0;
  };

  HttpServer(UniqueFd listener, Render render, const HttpServerOptions& options, EventFd stop);
  void Run();
  void Accept();
  // Each false once the connection is to be closed.
  bool Progress(Connection* connection);
  bool Receive(Connection* connection);
  bool Send(Connection* connection);
  bool Linger(Connection* connection);
  // What is to be sent for what was received, if it is complete.
  void Answer(Connection* connection);
  void Reply(Connection* connection, int status, Page page, bool with_page, absl::string_view more_headers = "");
  int MillisecondsToWait(Clock::time_point now) const;

  const UniqueFd listener_;
  const Render render_;
  const HttpServerOptions options_;
  const EventFd stop_;
  // The thread's alone.
  std::list<Connection> connections_;
  Clock::time_point accept_again_{};  // after accept failed for want of something
  NamedThread thread_;                // last: uses all of the above
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_METRICS_HTTP_SERVER_H_
