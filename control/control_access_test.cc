// Who is served as what, from the rules' text to the connection.
#include "control/control_access.h"

#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "control/testing/control_server_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::HasSubstr;

AllowRule Rule(const std::string& text) {
  const auto rule = ParseAllowRule(text);
  EXPECT_TRUE(rule.ok()) << text << ": " << rule.status();
  return rule.value_or(AllowRule{});
}

TEST(AllowRuleTest, ReadsEachKind) {
  EXPECT_EQ(Rule("uid=1000:operator"), (AllowRule{AllowRule::Kind::kUid, 1000, "", Role::kOperator}));
  EXPECT_EQ(Rule("gid=0:read-only"), (AllowRule{AllowRule::Kind::kGid, 0, "", Role::kReadOnly}));
  EXPECT_EQ(Rule("cert=deploy:operator"), (AllowRule{AllowRule::Kind::kCertificate, 0, "deploy", Role::kOperator}));
  EXPECT_EQ(Rule("cert=spiffe://a/b:c:read-only").name, "spiffe://a/b:c");
  EXPECT_EQ(Rule("uid=root:operator").id, 0u);
  EXPECT_EQ(Rule("gid=root:operator").id, 0u);
}

TEST(AllowRuleTest, RefusesWhatIsNone) {
  const auto why = [](const std::string& text) {
    const auto rule = ParseAllowRule(text);
    EXPECT_EQ(rule.status().code(), absl::StatusCode::kInvalidArgument) << text;
    return std::string(rule.status().message());
  };
  EXPECT_THAT(why(""), HasSubstr("no role"));
  EXPECT_THAT(why("uid=1000"), HasSubstr("no role"));
  EXPECT_THAT(why("uid=1000:admin"), HasSubstr("'admin'"));
  EXPECT_THAT(why("uid=:operator"), HasSubstr("empty"));
  EXPECT_THAT(why("uid=no-such-user-x:operator"), HasSubstr("there is no user 'no-such-user-x'"));
  EXPECT_THAT(why("gid=no-such-group-x:operator"), HasSubstr("there is no group"));
  EXPECT_THAT(why("uid=4294967295:operator"), HasSubstr("4294967295"));
  EXPECT_THAT(why("uid=4294967296:operator"), HasSubstr("4294967296"));
  EXPECT_THAT(why("uid=-1:operator"), HasSubstr("'-1'"));
  EXPECT_THAT(why("pid=1:operator"), HasSubstr("begins with none"));
  EXPECT_THAT(why("cert=:operator"), HasSubstr("empty"));
  EXPECT_THAT(why("cert=" + std::string(256, 'n') + ":operator"), HasSubstr("256"));
}

TEST(AccessListTest, OwnUserAndRootAlways) {
  const AccessList list({{AllowRule::Kind::kUid, geteuid(), "", Role::kReadOnly}});
  EXPECT_EQ(list.OfPeer(geteuid(), {}), Role::kOperator);
  EXPECT_EQ(list.OfPeer(0, {}), Role::kOperator);
  EXPECT_EQ(list.OfPeer(geteuid() + 1, {}), std::nullopt);
}

TEST(AccessListTest, TheHighestRoleOfAllThatMatch) {
  const AccessList list({Rule("uid=70001:read-only"), Rule("gid=70002:read-only"), Rule("gid=70003:operator")});
  const gid_t reader[] = {5, 70002};
  const gid_t both[] = {70003, 70002};
  EXPECT_EQ(list.OfPeer(70001, {}), Role::kReadOnly);
  EXPECT_EQ(list.OfPeer(70009, reader), Role::kReadOnly);
  EXPECT_EQ(list.OfPeer(70001, both), Role::kOperator);
  // A user's number is no group's.
  EXPECT_EQ(list.OfPeer(70002, {}), std::nullopt);
}

TEST(AccessListTest, CertificatesByWholeNames) {
  const AccessList list({Rule("cert=a:read-only"), Rule("cert=b:operator"), Rule("uid=70001:operator")});
  const auto of = [&list](std::vector<std::string> names) -> std::string {
    const auto match = list.OfCertificate(names);
    return match ? match->name + " " + RoleName(match->role) : "none";
  };
  EXPECT_EQ(of({"a"}), "a read-only");
  EXPECT_EQ(of({"a", "b"}), "b operator");
  EXPECT_EQ(of({"A"}), "none");
  EXPECT_EQ(of({"a.example"}), "none");
  EXPECT_EQ(of({}), "none");
}

constexpr uid_t kStranger = 65001;
constexpr gid_t kGroup = 65002;

// A process of another user connects and asks. gRPC does not survive fork(), and the child does nothing of it.
class OtherUserTest : public ControlServerTest {
 protected:
  void SetUp() override {
    if (!CanBeAnother()) GTEST_SKIP() << "this process may not take another user's id";
    ControlServerTest::SetUp();
    ASSERT_EQ(chmod(testing::TempDir().c_str(), 0755), 0);
    server_.reset();
    socket_.reset();
    auto socket = ControlSocket::Bind(Path(), {.mode = 0666});
    ASSERT_TRUE(socket.ok()) << socket.status();
    socket_ = std::make_unique<ControlSocket>(*std::move(socket));
  }

  static bool CanBeAnother() {
    const pid_t child = fork();
    if (child == 0)
      _exit(setresgid(kGroup, kGroup, kGroup) == 0 && setresuid(kStranger, kStranger, kStranger) == 0 ? 0 : 1);
    int status = -1;
    return waitpid(child, &status, 0) == child && status == 0;
  }

  void Serve(std::vector<AllowRule> allow) {
    auto server = ControlServer::Start(
        &controller_, ControlServerOptions{.unix_listener = socket_->listen_fd(), .allow = std::move(allow)});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  // Connects as somebody else; the connection is used here, and its credentials are those of whom made it.
  UniqueFd ConnectAs(uid_t uid, gid_t gid, std::vector<gid_t> groups) {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, "control");  // whoever may not reach the directory by its path
    const pid_t child = fork();
    if (child == 0) {
      const bool changed = chdir(testing::TempDir().c_str()) == 0 && setgroups(groups.size(), groups.data()) == 0 &&
                           setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0;
      const bool connected =
          changed && connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
      _exit(connected ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << "uid " << uid << " cannot connect";
    return fd;
  }

  std::unique_ptr<Client> ClientAs(uid_t uid, gid_t gid, std::vector<gid_t> groups = {}) {
    auto client = Client::FromConnection(ConnectAs(uid, gid, std::move(groups)), absl::Seconds(10));
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }
};

TEST_F(OtherUserTest, NobodyElseByDefault) {
  Serve({});
  EXPECT_EQ(ClientAs(kStranger, kGroup)->GetPolicy().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(OtherUserTest, TheHistoryNamesWhoDidIt) {
  Serve({Rule("uid=65001:operator")});
  auto client = ClientAs(kStranger, kGroup);
  ASSERT_TRUE(client->SetNamedPolicy("always").ok());
  EXPECT_EQ(client->GetPolicy()->source().detail(), "uid 65001");
  auto own = Client::Connect(Path());
  ASSERT_TRUE(own.ok()) << own.status();
  ASSERT_TRUE((*own)->SetNamedPolicy("never").ok());
  EXPECT_EQ((*own)->GetPolicy()->source().detail(), "uid 0");
}

TEST_F(OtherUserTest, AReaderReadsAndChangesNothing) {
  Serve({Rule("gid=65002:read-only")});
  auto client = ClientAs(kStranger, 7, {8, kGroup});
  EXPECT_TRUE(client->GetPolicy().ok());
  EXPECT_TRUE(client->ListFiles().ok());
  const auto refused = client->SetNamedPolicy("always");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(refused.status().message(), "SetPolicy is for operators; uid 65001 is read-only");
  v1::SetFileOverrideRequest override;
  EXPECT_EQ(client->SetFileOverride(override).status().code(), absl::StatusCode::kPermissionDenied);
  v1::ClearFileOverrideRequest clear;
  EXPECT_EQ(client->ClearFileOverride(clear).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(controller_.GetPolicy().generation, 1u);
  // The primary group counts as well, and somebody without it is not served.
  EXPECT_TRUE(ClientAs(kStranger + 1, kGroup)->GetPolicy().ok());
  EXPECT_FALSE(ClientAs(kStranger + 2, 7)->GetPolicy().ok());
}

TEST_F(OtherUserTest, OneUserWithTwoRolesIsTwoPrincipals) {
  Serve({Rule("uid=65001:read-only"), Rule("gid=65002:operator")});
  auto reader = ClientAs(kStranger, 7);
  auto op = ClientAs(kStranger, kGroup);
  EXPECT_EQ(reader->SetNamedPolicy("always").status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(op->SetNamedPolicy("always").ok());
}

}  // namespace
}  // namespace daxvmm::control
