#include "control/metrics/endpoint.h"

#include <sys/stat.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using testing::HasSubstr;

TEST(ParseMetricsEndpointTest, Paths) {
  for (const char* text : {"m.sock", "/run/m.sock", "./a:1", "dir/a:b", "a:b", "unix", "9464x"}) {
    const auto endpoint = ParseMetricsEndpoint(text);
    ASSERT_TRUE(endpoint.ok()) << text << endpoint.status();
    EXPECT_EQ(endpoint->path, text);
    EXPECT_EQ(endpoint->address, "");
  }
  // The prefix takes whatever follows for a path.
  for (const char* path : {"m.sock", "127.0.0.1:9464", "9464", "unix:x"}) {
    const auto endpoint = ParseMetricsEndpoint(std::string("unix:") + path);
    ASSERT_TRUE(endpoint.ok()) << path;
    EXPECT_EQ(endpoint->path, path);
  }
}

TEST(ParseMetricsEndpointTest, LoopbackAddresses) {
  const auto v4 = ParseMetricsEndpoint("127.0.0.1:9464");
  ASSERT_TRUE(v4.ok());
  EXPECT_EQ(v4->path, "");
  EXPECT_EQ(v4->address, "127.0.0.1");
  EXPECT_EQ(v4->port, 9464);
  const auto v6 = ParseMetricsEndpoint("[::1]:65535");
  ASSERT_TRUE(v6.ok());
  EXPECT_EQ(v6->address, "::1");
  EXPECT_EQ(v6->port, 65535);
  EXPECT_TRUE(ParseMetricsEndpoint("127.255.255.254:1").ok());
}

TEST(ParseMetricsEndpointTest, WhatIsNeitherIsRefused) {
  for (const char* text :
       {"0.0.0.0:9464", "10.0.0.1:9464", "128.0.0.1:9464", "[::]:9464", "[fe80::1]:9464", "[::ffff:127.0.0.1]:9464",
        "::1:9464", "[127.0.0.1]:9464", ":9464", "*:9464", "localhost:9464", "127.0.0.1.:9464", "127.1:9464"}) {
    const auto endpoint = ParseMetricsEndpoint(text);
    EXPECT_EQ(endpoint.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(endpoint.status().message()), HasSubstr("loopback")) << text;
    EXPECT_THAT(std::string(endpoint.status().message()), HasSubstr(text));
  }
  for (const char* text : {"127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:99999999999"}) {
    EXPECT_THAT(std::string(ParseMetricsEndpoint(text).status().message()), HasSubstr("port")) << text;
  }
  EXPECT_FALSE(ParseMetricsEndpoint("").ok());
  EXPECT_FALSE(ParseMetricsEndpoint("unix:").ok());
  EXPECT_FALSE(ParseMetricsEndpoint("9464").ok());
}

TEST(MetricsSocketTest, AnAddressThatWasNotParsedIsCheckedToo) {
  EXPECT_EQ(MetricsSocket::Bind({.address = "0.0.0.0", .port = 9464}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MetricsSocket::Bind({.address = "127.0.0.1", .port = 0}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(MetricsSocketTest, AUnixSocketHasTheRulesOfTheControlSocket) {
  const std::string path = testing::TempDir() + "/endpoint";
  {
    auto socket = MetricsSocket::Bind({.path = path});
    ASSERT_TRUE(socket.ok()) << socket.status();
    struct stat st{};
    ASSERT_EQ(lstat(path.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode, S_IFSOCK | 0600u);
    const auto second = MetricsSocket::Bind({.path = path});
    EXPECT_THAT(std::string(second.status().message()), testing::StartsWith("--metrics " + path + ": in use"));
    const MetricsSocket moved = *std::move(socket);
    EXPECT_GE(moved.listen_fd(), 0);
  }
  struct stat st{};
  EXPECT_NE(lstat(path.c_str(), &st), 0) << "the file is left behind";
}

}  // namespace
}  // namespace daxvmm::control
