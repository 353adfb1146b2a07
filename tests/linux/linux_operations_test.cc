// Ring 5: what somebody who runs machines relies on, with a real guest: metrics of its requests, and a policy that
// survives the death of the process.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "tests/linux/checks.h"

namespace daxvmm::linux_test {
namespace {

// One scrape: the whole answer, headers too.
std::string Scrape(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return "";
  constexpr char kRequest[] = "GET /metrics HTTP/1.1\r\nHost: machine\r\nConnection: close\r\n\r\n";
  if (write(fd.get(), kRequest, sizeof(kRequest) - 1) != sizeof(kRequest) - 1) return "";
  std::string answer;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(fd.get(), buffer, sizeof(buffer))) > 0;) answer.append(buffer, static_cast<size_t>(n));
  return answer;
}

std::optional<double> Sample(const std::string& scrape, const std::string& series) {
  for (const absl::string_view line : absl::StrSplit(scrape, '\n')) {
    double value = 0;
    if (absl::StartsWith(line, series + " ") && absl::SimpleAtod(line.substr(series.size() + 1), &value)) return value;
  }
  return std::nullopt;
}

class LinuxOperationsTest : public testing::Test {
 protected:
  void SetUp() override {
    share_ = TestEnvironment().workdir + "/operated";
    mkdir(share_.c_str(), 0755);
    ASSERT_OK(WriteFile(share_ + "/file", 1 << 20));
  }

  void Boot() {
    const std::string& workdir = TestEnvironment().workdir;
    GuestOptions options;
    options.memory = "256M";
    options.shares = {absl::StrCat("path=", share_, ",tag=", kTag, ",dax-window=16M")};
    options.flags = {"--metrics",        workdir + "/metrics", "--state-dir",
                     workdir + "/state", "--audit-log",        workdir + "/audit"};
    absl::StatusOr<Machine> machine = BootMachine(TestEnvironment(), options);
    ASSERT_OK(StatusOf(machine));
    machine_ = *std::move(machine);
    ASSERT_OK(StatusOf(machine_.guest->Check(absl::StrCat("mount -t virtiofs -o dax=inode ", kTag, " ", kMountPoint))));
  }

  std::string share_;
  Machine machine_;
};

TEST_F(LinuxOperationsTest, TheGuestIsCountedAndThePolicySurvivesAKill) {
  ASSERT_NO_FATAL_FAILURE(Boot());
  ASSERT_OK(ReadInGuest(machine_, absl::StrCat(kMountPoint, "/file"), share_ + "/file"));
  const std::string scrape = Scrape(TestEnvironment().workdir + "/metrics");
  EXPECT_TRUE(absl::StartsWith(scrape, "HTTP/1.1 200 ")) << scrape.substr(0, 200);
  const auto requests = [&scrape](const std::string& operation) {
    return Sample(scrape, absl::StrCat("daxvmm_fuse_request_duration_seconds_count{share=\"", kTag, "\",operation=\"",
                                       operation, "\"}"));
  };
  EXPECT_EQ(requests("SETUPMAPPING"), 1);
  EXPECT_EQ(requests("INIT"), 1);
  EXPECT_GE(requests("LOOKUP").value_or(0), 1);
  EXPECT_EQ(requests("READ"), std::nullopt) << "a file that is DAX was read by copying";
  EXPECT_EQ(Sample(scrape, absl::StrCat("daxvmm_window_mapped_chunks{share=\"", kTag, "\"}")), 1);
  EXPECT_GE(
      Sample(scrape, absl::StrCat("daxvmm_policy_decisions_total{share=\"", kTag, "\",rule=\"size\",decision=\"dax\"}"))
          .value_or(0),
      1);

  const absl::StatusOr<uint64_t> never = machine_.control->SetNamedPolicy("never");
  ASSERT_OK(StatusOf(never));
  machine_.guest->Signal(SIGKILL);
  const absl::StatusOr<int> status = machine_.guest->WaitForExit();
  ASSERT_OK(StatusOf(status));
  ASSERT_EQ(*status, 128 + SIGKILL);

  // The flags of the second run are those of the first, which say that the file is DAX.
  ASSERT_NO_FATAL_FAILURE(Boot());
  const absl::StatusOr<v1::GetPolicyResponse> policy = machine_.control->GetPolicy();
  ASSERT_OK(StatusOf(policy));
  EXPECT_EQ(policy->source().kind(), v1::PolicySource::KIND_STATE);
  EXPECT_GT(policy->generation(), *never);
  ASSERT_OK(ReadInGuest(machine_, absl::StrCat(kMountPoint, "/file"), share_ + "/file"));
  const absl::StatusOr<FileView> view = Observe(machine_, "file");
  ASSERT_OK(StatusOf(view));
  EXPECT_FALSE(view->guest_dax);
  EXPECT_FALSE(view->host.decision_dax());
  EXPECT_EQ(view->host.setup_mappings(), 0u);

  std::ifstream audit(TestEnvironment().workdir + "/audit");
  const std::string lines((std::istreambuf_iterator<char>(audit)), std::istreambuf_iterator<char>());
  EXPECT_TRUE(absl::StrContains(lines, absl::StrCat("\"uid ", geteuid(), "\""))) << lines;
}

}  // namespace
}  // namespace daxvmm::linux_test
