// TCP: only with TLS, only with a certificate of the right authority, and then with the role of its names.
#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "base/unique_fd.h"
#include "control/client.h"
#include "control/control_server.h"
#include "control/tcp_listener.h"
#include "control/testing/fake_controller.h"
#include "control/testing/test_certificates.h"
#include "control/tls_files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/daxvmm/v1/daxvmm.grpc.pb.h"

namespace daxvmm::control {
namespace {

using ::testing::HasSubstr;
using Code = absl::StatusCode;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

const TestCertificates& Certificates() {
  static const TestCertificates* const made = [] {
    auto* certificates = new TestCertificates(testing::TempDir());
    certificates->MakeCa("ca");
    certificates->MakeCa("other-ca");
    certificates->Make("server", "ca", "vm1", "DNS:localhost,IP:127.0.0.1");
    certificates->Make("admin", "ca", "admin", "");
    certificates->Make("metrics", "ca", "whatever", "DNS:metrics.example,URI:spiffe://example/metrics");
    certificates->Make("unknown", "ca", "mallory", "");
    certificates->Make("foreign", "other-ca", "admin", "");
    certificates->Make("expired", "ca", "admin", "", /*expired=*/true);
    return certificates;
  }();
  return *made;
}

class ControlTlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    controller_.FillWithExamples();
    auto listener = ListenOnTcp("127.0.0.1:0");
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    ControlServerOptions options = {.tcp_listener = listener_.fd.get(), .tls = ServerFiles()};
    for (const char* rule : {"cert=admin:operator", "cert=metrics.example:read-only"}) {
      options.allow.push_back(*ParseAllowRule(rule));
    }
    options.limits.handshake = std::chrono::milliseconds(500);
    auto server = ControlServer::Start(&controller_, options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  static TlsFiles ServerFiles() {
    return {.certificate = Certificates().Crt("server"),
            .key = Certificates().Key("server"),
            .client_ca = Certificates().Crt("ca")};
  }

  absl::StatusOr<std::unique_ptr<Client>> ConnectAs(const std::string& name, const std::string& ca = "ca") {
    return Client::Connect(ClientOptions{.target = listener_.address,
                                         .tls_ca = Certificates().Crt(ca),
                                         .tls_cert = Certificates().Crt(name),
                                         .tls_key = Certificates().Key(name),
                                         .timeout = absl::Seconds(10)});
  }

  // What comes of a call with these credentials of gRPC's own.
  grpc::Status CallWith(const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    auto stub = v1::DaxPolicyService::NewStub(grpc::CreateChannel("dns:///" + listener_.address, credentials));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    v1::GetPolicyResponse response;
    return stub->GetPolicy(&context, {}, &response);
  }

  FakeController controller_;
  TcpListener listener_;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ControlTlsTest, AnOperatorsCertificateMayChangeThePolicy) {
  auto client = ConnectAs("admin");
  ASSERT_TRUE(client.ok()) << client.status();
  ASSERT_TRUE((*client)->SetNamedPolicy("always").ok());
  EXPECT_EQ((*client)->GetPolicy()->source().detail(), "certificate 'admin'");
}

TEST_F(ControlTlsTest, AReadersAlternativeNameMayOnlyRead) {
  auto client = ConnectAs("metrics");
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_TRUE((*client)->GetPolicy().ok());
  const auto refused = (*client)->SetNamedPolicy("always");
  EXPECT_EQ(refused.status().code(), Code::kPermissionDenied);
  EXPECT_EQ(refused.status().message(), "SetPolicy is for operators; certificate 'metrics.example' is read-only");
  EXPECT_EQ(controller_.GetPolicy().generation, 1u);
}

TEST_F(ControlTlsTest, AnUnlistedNameIsRefusedEachCall) {
  auto client = ConnectAs("unknown");
  ASSERT_TRUE(client.ok()) << client.status();
  for (int i = 0; i < 2; ++i) {
    const auto refused = (*client)->GetPolicy();
    EXPECT_EQ(refused.status().code(), Code::kPermissionDenied);
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr("'mallory'"));
  }
}

TEST_F(ControlTlsTest, WhoeverIsNotOfTheAuthorityIsNotConnected) {
  // TLS 1.3 lets a client believe that it is connected before the server has refused its certificate.
  for (const char* name : {"foreign", "expired"}) {
    auto client = ConnectAs(name);
    const absl::Status status = client.ok() ? (*client)->GetPolicy().status() : client.status();
    EXPECT_EQ(status.code(), Code::kUnavailable) << name << ": " << status;
  }
  // No certificate at all, and no TLS at all.
  const std::string ca = ReadAll(Certificates().Crt("ca"));
  EXPECT_EQ(CallWith(grpc::SslCredentials({.pem_root_certs = ca})).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(CallWith(grpc::InsecureChannelCredentials()).error_code(), grpc::StatusCode::UNAVAILABLE);
  // The client, in turn, does not believe a server of another authority.
  EXPECT_EQ(ConnectAs("admin", "other-ca").status().code(), Code::kUnavailable);
  // None of it disturbs those who may.
  auto client = ConnectAs("admin");
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_TRUE((*client)->GetPolicy().ok());
}

TEST_F(ControlTlsTest, WhoNeverBeginsTlsIsHungUpOn) {
  const size_t colon = listener_.address.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(std::stoi(listener_.address.substr(colon + 1))));
  const UniqueFd silent(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(connect(silent.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  pollfd closed = {.fd = silent.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(poll(&closed, 1, 20'000), 1) << "half-open for 20 s";
  char byte;
  EXPECT_LE(recv(silent.get(), &byte, 1, 0), 0);
}

TEST_F(ControlTlsTest, ARotatedCertificateIsTakenWithoutARestart) {
  const TestCertificates& made = Certificates();
  made.MakeCa("next-ca");
  made.Make("next-server", "next-ca", "vm1", "IP:127.0.0.1");
  made.Make("next-admin", "next-ca", "admin", "");
  ASSERT_FALSE(ConnectAs("next-admin", "next-ca").ok());
  const auto replace = [&made](const std::string& from, const std::string& to) {
    for (const auto& [source, target] : {std::pair(made.Crt(from), made.Crt(to)), {made.Key(from), made.Key(to)}}) {
      std::filesystem::copy_file(source, target + ".new", std::filesystem::copy_options::overwrite_existing);
      std::filesystem::rename(target + ".new", target);
    }
  };
  replace("next-ca", "ca");
  replace("next-server", "server");
  const absl::Time give_up = absl::Now() + absl::Seconds(40);
  for (;;) {
    auto client = ConnectAs("next-admin", "next-ca");
    if (client.ok() && (*client)->GetPolicy().ok()) break;
    ASSERT_LT(absl::Now(), give_up) << "the new certificates are not used: " << client.status();
    absl::SleepFor(absl::Milliseconds(100));  // between attempts
  }
}

// The last word of the files themselves, before anything listens.
TEST(TlsFilesTest, SaysWhichFileIsWrong) {
  const TestCertificates made(testing::TempDir() + "/files");
  std::filesystem::create_directory(testing::TempDir() + "/files");
  made.MakeCa("ca");
  made.Make("server", "ca", "vm1", "");
  made.Make("old", "ca", "vm1", "", /*expired=*/true);
  std::ofstream(made.Crt("text")) << "no certificate\n";
  const auto why = [](const std::string& certificate, const std::string& key, const std::string& ca) {
    const absl::Status status = CheckTlsFiles({.certificate = certificate, .key = key, .client_ca = ca});
    EXPECT_TRUE(status.ok() || status.code() == Code::kInvalidArgument) << status;
    return std::string(status.message());
  };
  const std::string crt = made.Crt("server");
  const std::string key = made.Key("server");
  const std::string ca = made.Crt("ca");
  EXPECT_EQ(why(crt, key, ca), "");
  EXPECT_EQ(why("/none", key, ca), "--control-tls-cert: /none: No such file or directory");
  EXPECT_THAT(why(made.Crt("text"), key, ca), HasSubstr("--control-tls-cert: "));
  EXPECT_THAT(why(made.Crt("text"), key, ca), HasSubstr("holds no certificate"));
  EXPECT_THAT(why(made.Crt("old"), made.Key("old"), ca), HasSubstr("has expired"));
  EXPECT_THAT(why(crt, made.Key("ca"), ca), HasSubstr("--control-tls-key: "));
  EXPECT_THAT(why(crt, made.Key("ca"), ca), HasSubstr("is not the key of"));
  EXPECT_THAT(why(crt, crt, ca), HasSubstr("holds no private key"));
  EXPECT_THAT(why(crt, key, "/none"), HasSubstr("--control-tls-client-ca: /none"));
}

TEST(TcpListenerTest, AddressesAndErrors) {
  const auto why = [](const std::string& text) { return std::string(ListenOnTcp(text).status().message()); };
  EXPECT_THAT(why("localhost"), HasSubstr("is not HOST:PORT"));
  EXPECT_THAT(why(":1"), HasSubstr("host is empty"));
  EXPECT_THAT(why("localhost:65536"), HasSubstr("port"));
  EXPECT_THAT(why("localhost:x"), HasSubstr("port"));
  EXPECT_THAT(why("::1:5"), HasSubstr("brackets"));
  EXPECT_THAT(why("256.1.1.1.invalid:5"), HasSubstr("--control-tcp 256.1.1.1.invalid:5: "));
  const auto first = ListenOnTcp("127.0.0.1:0");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(why(first->address), HasSubstr("Address already in use"));
}

}  // namespace
}  // namespace daxvmm::control
