#include "control/metrics/http_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "control/metrics/http_request.h"

namespace daxvmm::control {
namespace {

constexpr absl::string_view kPath = "/metrics";
// Of what a client sends behind its request: more is not read, and the connection is closed over it.
constexpr size_t kMaxDiscarded = 64 << 10;
constexpr std::chrono::milliseconds kAcceptPause{100};

bool WouldBlock(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

HttpServer::Page Text(absl::string_view text) { return std::make_shared<const std::string>(text); }

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(int listen_fd, Render render,
                                                              const HttpServerOptions& options) {
  UniqueFd listener(fcntl(listen_fd, F_DUPFD_CLOEXEC, 0));
  if (!listener.valid()) return ErrnoStatus(errno, "metrics: the listening socket");
  ASSIGN_OR_RETURN(EventFd stop, EventFd::Create());
  std::unique_ptr<HttpServer> server(new HttpServer(std::move(listener), std::move(render), options, std::move(stop)));
  try {
    server->thread_ = NamedThread("metrics", [raw = server.get()] { raw->Run(); });
  } catch (const std::system_error& error) {
    return ErrnoStatus(error.code().value(), "metrics: thread");
  }
  return server;
}

HttpServer::HttpServer(UniqueFd listener, Render render, const HttpServerOptions& options, EventFd stop)
    : listener_(std::move(listener)), render_(std::move(render)), options_(options), stop_(std::move(stop)) {}

HttpServer::~HttpServer() {
  stop_.Signal();
  thread_.Join();
}

void HttpServer::Run() {
  for (;;) {
    const Clock::time_point now = Clock::now();
    std::erase_if(connections_, [now](const Connection& connection) { return connection.deadline <= now; });
    const bool accepting = connections_.size() < options_.max_connections && accept_again_ <= now;
    std::vector<pollfd> fds = {{stop_.fd(), POLLIN, 0}, {accepting ? listener_.get() : -1, POLLIN, 0}};
    for (const Connection& connection : connections_) {
      fds.push_back({connection.fd.get(),
                     static_cast<short>(connection.state == Connection::State::kWriting ? POLLOUT : POLLIN), 0});
    }
    if (poll(fds.data(), fds.size(), MillisecondsToWait(now)) < 0 && errno != EINTR) {
      LOG(kError) << "metrics: poll: " << strerror(errno);
      return;
    }
    if (fds[0].revents != 0) return;
    size_t i = 2;
    for (auto connection = connections_.begin(); connection != connections_.end(); ++i) {
      const bool stays = fds[i].revents == 0 || Progress(&*connection);
      connection = stays ? std::next(connection) : connections_.erase(connection);
    }
    if (fds[1].revents != 0) Accept();
  }
}

int HttpServer::MillisecondsToWait(Clock::time_point now) const {
  Clock::time_point next = Clock::time_point::max();
  for (const Connection& connection : connections_) next = std::min(next, connection.deadline);
  if (accept_again_ > now) next = std::min(next, accept_again_);
  if (next == Clock::time_point::max()) return -1;
  return static_cast<int>(
      std::clamp<int64_t>(std::chrono::ceil<std::chrono::milliseconds>(next - now).count(), 0, 60'000));
}

void HttpServer::Accept() {
  while (connections_.size() < options_.max_connections) {
    UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) {
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (!WouldBlock(errno)) {
        // It stays readable: not to be asked again at once.
        LOG_LIMITED(kWarning) << "metrics: accept: " << strerror(errno);
        accept_again_ = Clock::now() + kAcceptPause;
      }
      return;
    }
    connections_.push_back({.fd = std::move(fd), .deadline = Clock::now() + options_.patience});
  }
}

bool HttpServer::Progress(Connection* connection) {
  switch (connection->state) {
    case Connection::State::kReading:
      return Receive(connection);
    case Connection::State::kWriting:
      return Send(connection);
    case Connection::State::kLingering:
      return Linger(connection);
  }
  return false;
}

bool HttpServer::Receive(Connection* connection) {
  char buffer[2048];
  const size_t room = kMaxRequestHead - connection->received.size();
  const ssize_t n = recv(connection->fd.get(), buffer, std::min(room, sizeof(buffer)), 0);
  if (n < 0) return WouldBlock(errno);
  if (n == 0) return false;
  connection->received.append(buffer, static_cast<size_t>(n));
  Answer(connection);
  // Most clients take the answer at once.
  return connection->state == Connection::State::kReading || Send(connection);
}

void HttpServer::Answer(Connection* connection) {
  const HttpParse parse = ParseHttpRequest(connection->received);
  if (std::holds_alternative<HttpIncomplete>(parse)) return;
  if (const auto* refusal = std::get_if<HttpRefusal>(&parse)) {
    Reply(connection, refusal->status, nullptr, true);
    return;
  }
  const HttpRequest& request = std::get<HttpRequest>(parse);
  const bool head = request.method == "HEAD";
  if (request.path != kPath) {
    Reply(connection, 404, Text("There is only /metrics.\n"), !head);
  } else if (!head && request.method != "GET") {
    Reply(connection, 405, nullptr, true, "Allow: GET, HEAD\r\n");
  } else {
    Reply(connection, 200, render_(), !head);
  }
}

void HttpServer::Reply(Connection* connection, int status, Page page, bool with_page, absl::string_view more_headers) {
  if (page == nullptr) page = Text(absl::StrCat(HttpReason(status), "\n"));
  connection->head = absl::StrCat(
      "HTTP/1.1 ", status, " ", HttpReason(status),
      "\r\nContent-Type: ", status == 200 ? "text/plain; version=0.0.4; charset=utf-8" : "text/plain; charset=utf-8",
      "\r\nContent-Length: ", page->size(), "\r\n", more_headers,
      "Cache-Control: no-store\r\nConnection: close\r\n\r\n");
  if (with_page) connection->page = std::move(page);
  connection->received = std::string();
  connection->state = Connection::State::kWriting;
  // Making the page is not the client's time.
  connection->deadline = Clock::now() + options_.patience;
}

bool HttpServer::Send(Connection* connection) {
  const std::string nothing;
  const std::string& page = connection->page != nullptr ? *connection->page : nothing;
  const size_t total = connection->head.size() + page.size();
  while (connection->sent < total) {
    const size_t of_head = std::min(connection->sent, connection->head.size());
    const size_t of_page = connection->sent - of_head;
    iovec parts[2] = {{connection->head.data() + of_head, connection->head.size() - of_head},
                      {const_cast<char*>(page.data()) + of_page, page.size() - of_page}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    const ssize_t n = sendmsg(connection->fd.get(), &message, MSG_NOSIGNAL);
    if (n < 0) return WouldBlock(errno);
    connection->sent += static_cast<size_t>(n);
  }
  connection->page.reset();
  // A close with something unread would reset the connection, maybe before the client has read the answer (RFC 9112,
  // 9.6).
  if (shutdown(connection->fd.get(), SHUT_WR) != 0) return false;
  connection->state = Connection::State::kLingering;
  return Linger(connection);
}

bool HttpServer::Linger(Connection* connection) {
  char buffer[4096];
  while (connection->discarded < kMaxDiscarded) {
    const ssize_t n = recv(connection->fd.get(), buffer, sizeof(buffer), 0);
    if (n < 0) return WouldBlock(errno);
    if (n == 0) return false;
    connection->discarded += static_cast<size_t>(n);
  }
  return false;
}

}  // namespace daxvmm::control
