#include "control/metrics/http_server.h"

#include <poll.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "control/control_socket.h"
#include "control/metrics/http_request.h"
#include "control/metrics/testing/http_client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using testing::HasSubstr;

class HttpServerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto socket = ControlSocket::Bind(Path(), SocketFile(), "--metrics");
    ASSERT_TRUE(socket.ok()) << socket.status();
    socket_ = std::make_unique<ControlSocket>(*std::move(socket));
  }
  void Start(const HttpServerOptions& options = {}) {
    auto server = HttpServer::Start(
        socket_->listen_fd(),
        [this] {
          ++rendered_;
          return page_;
        },
        options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  static std::string Path() { return testing::TempDir() + "/http"; }
  static HttpAnswer Ask(const std::string& request) { return Exchange(Path(), request); }

  HttpServer::Page page_ = std::make_shared<const std::string>("a 1\n");
  std::atomic<int> rendered_{0};
  std::unique_ptr<ControlSocket> socket_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, ServesThePage) {
  Start();
  const HttpAnswer answer = Ask(kGet);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "a 1\n");
  EXPECT_THAT(answer.head, HasSubstr("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(answer.head, HasSubstr("\r\nContent-Length: 4\r\n"));
  EXPECT_THAT(answer.head, HasSubstr("\r\nConnection: close\r\n"));
}

TEST_F(HttpServerTest, ServesALargePageToASlowReader) {
  page_ = std::make_shared<const std::string>(8 << 20, 'x');
  Start();
  const HttpAnswer answer = Ask(kGet);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body.size(), page_->size());
}

TEST_F(HttpServerTest, AnswersOtherRequests) {
  Start();
  const HttpAnswer head = Ask("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_THAT(head.head, HasSubstr("\r\nContent-Length: 4\r\n"));
  for (const char* path : {"/", "/metrics/", "/Metrics", "/favicon.ico", "//metrics", "/%6detrics"}) {
    EXPECT_EQ(Ask(std::string("GET ") + path + " HTTP/1.1\r\nHost: x\r\n\r\n").status, 404) << path;
  }
  EXPECT_EQ(Ask("POST / HTTP/1.1\r\nHost: x\r\n\r\n").status, 404);
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "get", "BREW"}) {
    const HttpAnswer answer =
        Ask(std::string(method) + " /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
    EXPECT_EQ(answer.status, 405) << method;
    EXPECT_THAT(answer.head, HasSubstr("\r\nAllow: GET, HEAD\r\n"));
  }
  EXPECT_EQ(Ask("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n").body, "");
  EXPECT_EQ(Ask("GET /metrics?collect[]=x HTTP/1.0\r\n\r\n").status, 200);
  EXPECT_EQ(rendered_, 2);
}

TEST_F(HttpServerTest, RefusesGarbageAndCloses) {
  Start();
  EXPECT_EQ(Ask(std::string("\x16\x03\x01\x00\xa5", 5)).status, 400);
  EXPECT_EQ(Ask(std::string(20'000, 'A')).status, 414);
  EXPECT_EQ(Ask("GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + std::string(20'000, 'a')).status, 431);
  EXPECT_EQ(Ask("GET /metrics HTTP/3.0\r\n\r\n").status, 505);
  // Nothing of it is in the way of others.
  EXPECT_EQ(Ask(kGet).status, 200);
  EXPECT_EQ(rendered_, 1);
}

TEST_F(HttpServerTest, TakesARequestInPieces) {
  Start();
  const UniqueFd fd = ConnectUnix(Path());
  for (const char c : std::string(kGet)) SendText(fd, std::string(1, c));
  EXPECT_EQ(ReadAnswer(fd).status, 200);
}

TEST_F(HttpServerTest, AClientThatDoesNotAskIsClosed) {
  Start({.patience = std::chrono::milliseconds(50)});
  const UniqueFd silent = ConnectUnix(Path());
  const UniqueFd half = ConnectUnix(Path());
  SendText(half, "GET /metrics HTT");
  EXPECT_EQ(ReadAnswer(silent).status, 0);
  EXPECT_EQ(ReadAnswer(half).status, 0);
}

TEST_F(HttpServerTest, AClientThatDoesNotTakeItsAnswerIsClosed) {
  page_ = std::make_shared<const std::string>(8 << 20, 'x');
  Start({.patience = std::chrono::milliseconds(50)});
  const UniqueFd slow = ConnectUnix(Path());
  SendText(slow, kGet);
  pollfd begun{slow.get(), POLLIN, 0};
  ASSERT_EQ(poll(&begun, 1, 30'000), 1) << "no answer has begun";
  // The time of one that comes later shows when its own has passed.
  EXPECT_EQ(ReadAnswer(ConnectUnix(Path())).status, 0);
  EXPECT_LT(ReadAnswer(slow).body.size(), size_t{8} << 20);
}

TEST_F(HttpServerTest, ServesAFewAtATimeAndTheOthersAfterThem) {
  Start({.max_connections = 2, .patience = std::chrono::seconds(60)});
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 2; ++i) silent.push_back(ConnectUnix(Path()));
  const UniqueFd third = ConnectUnix(Path());
  SendText(third, kGet);
  pollfd answered{third.get(), POLLIN, 0};
  EXPECT_EQ(poll(&answered, 1, 50), 0) << "three connections are served at a time";
  silent.pop_back();
  EXPECT_EQ(ReadAnswer(third).status, 200);
}

TEST_F(HttpServerTest, ClientsThatGoAwayAreForgotten) {
  Start({.max_connections = 1, .patience = std::chrono::seconds(60)});
  for (int i = 0; i < 20; ++i) {
    const UniqueFd fd = ConnectUnix(Path());
    if (i % 2 != 0) SendText(fd, i % 4 == 1 ? "GET /met" : kGet);
  }
  EXPECT_EQ(Ask(kGet).status, 200);
}

TEST_F(HttpServerTest, WhatIsSentBehindARequestDoesNotCostItItsAnswer) {
  Start();
  const UniqueFd fd = ConnectUnix(Path());
  SendText(fd, std::string("POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n") + std::string(30'000, 'b'));
  EXPECT_EQ(ReadAnswer(fd).status, 405);
}

TEST_F(HttpServerTest, EndsWithConnectionsOpen) {
  Start({.patience = std::chrono::seconds(60)});
  const UniqueFd silent = ConnectUnix(Path());
  SendText(silent, "GET /");
  EXPECT_EQ(Ask(kGet).status, 200);
  server_.reset();
  EXPECT_EQ(ReadAnswer(silent).status, 0);
}

TEST_F(HttpServerTest, ManyClientsAtOnce) {
  Start();
  std::vector<std::thread> clients;
  std::atomic<int> served{0};
  for (int i = 0; i < 12; ++i) {
    clients.emplace_back([&served] {
      for (int k = 0; k < 20; ++k) served += Ask(kGet).status == 200 ? 1 : 0;
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(served, 240);
}

TEST_F(HttpServerTest, ABadListenerIsAnError) {
  EXPECT_THAT(std::string(HttpServer::Start(-1, [this] { return page_; }).status().message()),
              HasSubstr("listening socket"));
}

}  // namespace
}  // namespace daxvmm::control
