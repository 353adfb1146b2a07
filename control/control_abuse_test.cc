// Clients that misbehave: the server's memory stays bounded, everybody else is answered, and it ends when it should.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "control/testing/control_server_fixture.h"
#include "control/testing/raw_http2.h"
#include "gtest/gtest.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr char kGetPolicy[] = "/daxvmm.v1.DaxPolicyService/GetPolicy";
constexpr char kListFiles[] = "/daxvmm.v1.DaxPolicyService/ListFiles";
constexpr char kWatch[] = "/daxvmm.v1.DaxPolicyService/WatchConvergence";

size_t ResidentBytes() {
  size_t total = 0;
  size_t resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  EXPECT_EQ(std::fscanf(file, "%zu %zu", &total, &resident), 2);
  std::fclose(file);
  return resident * sysconf(_SC_PAGESIZE);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

class ControlAbuseTest : public ControlServerTest {
 protected:
  void SetUp() override {
    ControlServerTest::SetUp();
    Restart({});
    // What is allocated once is so now.
    for (int i = 0; i < 20; ++i) {
      const UniqueFd connection = RawConnection();
      SendAll(connection, Hello() + Call(1, kGetPolicy, ""), kPatience);
    }
    before_ = ResidentBytes();
  }

  void Restart(const ControlLimits& limits) {
    client_.reset();
    server_.reset();
    auto server = ControlServer::Start(&controller_, {.unix_listener = socket_->listen_fd(), .limits = limits});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    Reconnect();
  }

  void Reconnect() {
    auto client = Client::Connect(Path());
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
  }

  // Another client of the same user may have lost its connection with the one that misused its own.
  void ExpectAnswered() {
    const absl::Time give_up = absl::Now() + kPatience;
    while (!client_->GetPolicy().ok()) {
      ASSERT_LT(absl::Now(), give_up) << "nobody else is answered";
      absl::SleepFor(absl::Milliseconds(20));  // between attempts
      Reconnect();
    }
  }

  void ExpectBounded(size_t bytes) {
    // A sanitizer keeps what was freed, and shadows the rest.
    if (kSanitized) return;
    const size_t now = ResidentBytes();
    EXPECT_LT(now, before_ + bytes) << "grew by " << (now - before_) / 1024 << " KiB";
  }

  void TearDown() override {
    if (server_ == nullptr) return;
    const absl::Time begin = absl::Now();
    server_.reset();
    // A second is its grace.
    EXPECT_LT(absl::Now() - begin, absl::Seconds(10));
  }

  size_t before_ = 0;
};

constexpr size_t kMiB = 1 << 20;

TEST_F(ControlAbuseTest, HalfOpenConnectionsAreClosed) {
  ControlLimits limits;
  limits.handshake = std::chrono::milliseconds(300);
  Restart(limits);
  std::vector<UniqueFd> connections;
  for (int i = 0; i < 20; ++i) connections.push_back(RawConnection());
  SendAll(connections[1], "PRI * HT", kPatience);  // part of the preface
  SendAll(connections[2], kPreface, kPatience);    // and no settings
  ExpectAnswered();
  for (const UniqueFd& connection : connections) EXPECT_TRUE(HungUpWithin(connection, kPatience));
  ExpectAnswered();
  ExpectBounded(32 * kMiB);
}

TEST_F(ControlAbuseTest, GarbageIsHungUpOn) {
  std::string garbage(1 << 20, '\0');
  uint32_t state = 1;
  for (char& byte : garbage) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  for (int i = 0; i < 20; ++i) {
    const UniqueFd connection = RawConnection();
    SendAll(connection, (i % 2 == 0 ? "" : Hello()) + garbage.substr(i), kPatience);
    EXPECT_TRUE(HungUpWithin(connection, kPatience)) << i;
  }
  ExpectAnswered();
  ExpectBounded(32 * kMiB);
}

// As the client acknowledges no settings, gRPC would let it have as many streams as it likes.
TEST_F(ControlAbuseTest, TenThousandStreamsWithoutARequest) {
  const UniqueFd connection = RawConnection();
  std::string calls = Hello();
  for (uint32_t i = 0; i < 10'000; ++i) calls += Frame(kHeaders, kEndHeaders, 2 * i + 1, CallHeaders(kGetPolicy));
  SendAll(connection, calls, kPatience);
  EXPECT_TRUE(HungUpWithin(connection, kPatience));
  ExpectAnswered();
  ExpectBounded(64 * kMiB);
}

// gRPC makes calls for as long as a client sends them, and gets to what refuses them only then. So it is what one can
// make it do until it is cut, a little more than a second, that bounds its memory: 70 to 130 MB were seen.
constexpr size_t kOneSecondOfCalls = 192 * kMiB;

TEST_F(ControlAbuseTest, TenThousandStreamsOfARequestEach) {
  const UniqueFd connection = RawConnection();
  std::string calls = Hello();
  for (uint32_t i = 0; i < 10'000; ++i) calls += Call(2 * i + 1, kWatch, "");
  SendAll(connection, calls, absl::Seconds(2));
  ExpectAnswered();
  ExpectBounded(kOneSecondOfCalls);
}

// Without the cut it would be 230 to 430 MB, and half a minute, on two processors.
TEST_F(ControlAbuseTest, RapidReset) {
  const UniqueFd connection = RawConnection();
  ASSERT_TRUE(SendAll(connection, Hello(), kPatience));
  bool cut = false;
  for (uint32_t i = 0; i < 200'000 && !cut; i += 100) {
    std::string calls;
    for (uint32_t k = i; k < i + 100; ++k) {
      calls += Frame(kHeaders, kEndHeaders, 2 * k + 1, CallHeaders(kGetPolicy)) +
               Frame(kReset, 0, 2 * k + 1, std::string("\0\0\0\x08", 4));
    }
    cut = !SendAll(connection, calls, kPatience);
  }
  EXPECT_TRUE(cut || HungUpWithin(connection, kPatience));
  ExpectAnswered();
  ExpectBounded(kOneSecondOfCalls);
}

TEST_F(ControlAbuseTest, HugeMetadata) {
  for (int i = 0; i < 8; ++i) {
    const UniqueFd connection = RawConnection();
    std::string block = CallHeaders(kGetPolicy, HeaderField("x", std::string(1 << 20, 'v')));
    std::string call = Hello() + Frame(kHeaders, 0, 1, block.substr(0, 16000));
    for (size_t at = 16000; at < block.size(); at += 16000) {
      call += Frame(kContinuation, at + 16000 >= block.size() ? kEndHeaders : 0, 1, block.substr(at, 16000));
    }
    SendAll(connection, call, kPatience);
  }
  ExpectAnswered();
  ExpectBounded(48 * kMiB);
}

TEST_F(ControlAbuseTest, TooManyPings) {
  const UniqueFd connection = RawConnection();
  std::string pings = Hello();
  for (int i = 0; i < 100; ++i) pings += Frame(kPing, 0, 0, "12345678");
  SendAll(connection, pings, kPatience);
  EXPECT_TRUE(HungUpWithin(connection, kPatience));
  ExpectAnswered();
}

TEST_F(ControlAbuseTest, ConnectFlood) {
  for (int round = 0; round < 20; ++round) {
    std::vector<UniqueFd> connections;
    for (int i = 0; i < 200; ++i) connections.push_back(RawConnection());
  }
  ExpectAnswered();
  ExpectBounded(64 * kMiB);
}

// Answers that nobody reads are not made: without a bound it would be 320 MB here.
TEST_F(ControlAbuseTest, AnswersThatNobodyReads) {
  LiveFile file;
  file.path = std::string(1000, 'p');
  file.share_tag = "data";
  client_.reset();
  server_.reset();
  controller_.files.assign(5000, file);
  Restart({});
  before_ = ResidentBytes();
  const UniqueFd connection = RawConnection();
  ASSERT_TRUE(SendAll(connection, Hello(), kPatience));
  for (uint32_t i = 0; i < 60; ++i) {
    ASSERT_TRUE(SendAll(connection, Call(2 * i + 1, kListFiles, ""), kPatience));
    // In turn, so that not too many wait at once.
    ASSERT_TRUE(client_->GetPolicy().ok() || i > 0);
  }
  auto other = Client::Connect(Path());
  ASSERT_TRUE(other.ok());
  const absl::Time give_up = absl::Now() + kPatience;
  absl::Status refused;
  while (refused.code() != absl::StatusCode::kResourceExhausted) {
    ASSERT_LT(absl::Now(), give_up) << refused;
    refused = (*other)->GetPolicy().status();
  }
  ExpectBounded(96 * kMiB);
}

TEST_F(ControlAbuseTest, WhoReadsNothingIsCutInTheEnd) {
  ControlLimits limits;
  limits.stalled = std::chrono::milliseconds(400);
  Restart(limits);
  const UniqueFd connection = RawConnection();
  v1::WatchConvergenceRequest request;
  request.mutable_interval()->set_nanos(100'000'000);
  request.set_until_settled(false);
  ASSERT_TRUE(SendAll(connection, Hello() + Call(1, kWatch, request.SerializeAsString()), kPatience));
  // Nothing is read until it is cut.
  pollfd cut = {.fd = connection.get(), .events = POLLRDHUP, .revents = 0};
  const absl::Time give_up = absl::Now() + kPatience;
  while (poll(&cut, 1, 50) == 0) {
    ASSERT_LT(absl::Now(), give_up) << "still connected";
  }
  ExpectAnswered();
}

}  // namespace
}  // namespace daxvmm::control
