#include "control/metrics/http_request.h"

#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

// The status of a refusal, 0 for what is incomplete, 200 for a request.
int StatusOf(const HttpParse& parse) {
  if (std::holds_alternative<HttpIncomplete>(parse)) return 0;
  const auto* refusal = std::get_if<HttpRefusal>(&parse);
  return refusal != nullptr ? refusal->status : 200;
}
int StatusOf(const std::string& text) { return StatusOf(ParseHttpRequest(text)); }

HttpRequest Parsed(const std::string& text) {
  const HttpParse parse = ParseHttpRequest(text);
  EXPECT_EQ(StatusOf(parse), 200) << text;
  const auto* request = std::get_if<HttpRequest>(&parse);
  return request != nullptr ? *request : HttpRequest();
}

TEST(HttpRequestTest, TakesMethodAndPath) {
  const HttpRequest request = Parsed("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n");
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.path, "/metrics");
  EXPECT_EQ(Parsed("HEAD /metrics?name[]=a HTTP/1.1\nhOsT: x\n\n").path, "/metrics");
  EXPECT_EQ(Parsed("GET http://h:1/metrics?q HTTP/1.1\r\nHost: h\r\n\r\n").path, "/metrics");
  EXPECT_EQ(Parsed("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n").path, "/");
  EXPECT_EQ(Parsed("OPTIONS * HTTP/1.0\r\n\r\n").path, "*");
  EXPECT_EQ(Parsed("\r\n\r\nGET / HTTP/1.0\r\n\r\nbody").path, "/");
}

TEST(HttpRequestTest, EveryPrefixIsIncomplete) {
  const std::string whole = "\r\nGET /metrics HTTP/1.1\r\nHost: x\r\nUser-Agent: a b\r\n\r\n";
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(StatusOf(whole.substr(0, length)), 0) << length;
  }
  EXPECT_EQ(StatusOf(whole), 200);
}

TEST(HttpRequestTest, RefusesWhatIsNone) {
  EXPECT_EQ(StatusOf("\x16\x03\x01\x02"), 400) << "TLS, at once";
  EXPECT_EQ(StatusOf(std::string("\0", 1)), 400);
  EXPECT_EQ(StatusOf("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
  EXPECT_EQ(StatusOf("GET /metrics\r\n\r\n"), 400) << "HTTP/0.9";
  EXPECT_EQ(StatusOf("GET  HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.2\r\nHost: x\r\n\r\n"), 505);
  EXPECT_EQ(StatusOf("GET / ICY/1.1\r\nHost: x\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\n\r\n"), 400) << "no Host";
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost : x\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nno colon\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(std::string("GET / HTTP/1.1\r\nHost: a\0b\r\n", 27)), 400);
}

TEST(HttpRequestTest, RefusesWhatIsTooLong) {
  EXPECT_EQ(StatusOf(std::string(kMaxRequestHead - 1, 'A')), 0);
  EXPECT_EQ(StatusOf(std::string(kMaxRequestHead, 'A')), 414);
  const std::string start = "GET / HTTP/1.1\r\nHost: x\r\nX: ";
  EXPECT_EQ(StatusOf(start + std::string(kMaxRequestHead - start.size() - 1, 'b')), 0);
  EXPECT_EQ(StatusOf(start + std::string(kMaxRequestHead - start.size(), 'b')), 431);
  std::string many = start + "\r\n";
  while (many.size() < kMaxRequestHead) many += "a: b\r\n";
  EXPECT_EQ(StatusOf(many), 431);
  EXPECT_EQ(StatusOf(std::string(kMaxRequestHead, '\n')), 400) << "empty lines without end";
}

TEST(HttpRequestTest, EachStatusHasAReason) {
  for (const int status : {200, 400, 404, 405, 414, 431, 505}) EXPECT_NE(HttpReason(status), "") << status;
}

}  // namespace
}  // namespace daxvmm::control
