#include "control/control_socket.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ControlSocketTest : public ::testing::Test {
 protected:
  ControlSocketTest() : dir_(testing::TempDir() + "/s") {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directory(dir_);
  }
  ~ControlSocketTest() override { std::filesystem::remove_all(dir_); }

  std::string Path(const std::string& name = "ctl") const { return dir_ + "/" + name; }
  size_t Files() const {
    return std::distance(std::filesystem::directory_iterator(dir_), std::filesystem::directory_iterator());
  }

  static int Connect(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
  }

  // What a process that was killed leaves.
  static void MakeStale(const std::string& path, int type = SOCK_STREAM) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }

  const std::string dir_;
};

mode_t ModeOf(const std::string& path) {
  struct stat st{};
  EXPECT_EQ(lstat(path.c_str(), &st), 0) << path;
  return st.st_mode;
}

TEST_F(ControlSocketTest, ListensWithMode0600AndRemovesItsFile) {
  {
    auto made = ControlSocket::Bind(Path());
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_EQ(ModeOf(Path()), S_IFSOCK | 0600u);
    EXPECT_EQ(Files(), 1u) << "a temporary name is left";
    EXPECT_EQ(Connect(Path()), 0);
    EXPECT_EQ(made->path(), Path());
    EXPECT_NE(fcntl(made->listen_fd(), F_GETFD) & FD_CLOEXEC, 0);
  }
  EXPECT_EQ(Files(), 0u);
}

TEST_F(ControlSocketTest, ModeDoesNotDependOnTheUmask) {
  for (const mode_t mask : {0000, 0077, 0777}) {
    const mode_t before = umask(mask);
    auto made = ControlSocket::Bind(Path());
    umask(before);
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_EQ(ModeOf(Path()), S_IFSOCK | 0600u);
  }
}

TEST_F(ControlSocketTest, RefusesTheSocketOfALiveProcessAndLeavesIt) {
  auto first = ControlSocket::Bind(Path());
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = ControlSocket::Bind(Path());
  ASSERT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition) << second.status();
  EXPECT_THAT(std::string(second.status().message()),
              AllOf(StartsWith("--control " + Path()), HasSubstr("live process " + std::to_string(getpid()))));
  EXPECT_EQ(Connect(Path()), 0);
  EXPECT_EQ(Files(), 1u);
}

TEST_F(ControlSocketTest, ReplacesTheSocketOfADeadProcess) {
  MakeStale(Path());
  ASSERT_EQ(Connect(Path()), ECONNREFUSED);
  auto made = ControlSocket::Bind(Path());
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(Connect(Path()), 0);
  EXPECT_EQ(ModeOf(Path()), S_IFSOCK | 0600u);
  EXPECT_EQ(Files(), 1u);
}

TEST_F(ControlSocketTest, RefusesWhatIsNoSocketAndLeavesIt) {
  std::ofstream(Path()) << "precious";
  const auto file = ControlSocket::Bind(Path());
  EXPECT_EQ(file.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(file.status().message()), AllOf(StartsWith("--control "), HasSubstr("not a socket")));
  std::string content;
  std::ifstream(Path()) >> content;
  EXPECT_EQ(content, "precious");

  // A link is not followed, whatever it leads to.
  MakeStale(Path("stale"));
  ASSERT_EQ(symlink(Path("stale").c_str(), Path("link").c_str()), 0);
  EXPECT_EQ(ControlSocket::Bind(Path("link")).status().code(), absl::StatusCode::kFailedPrecondition);

  MakeStale(Path("datagram"), SOCK_DGRAM);
  EXPECT_FALSE(ControlSocket::Bind(Path("datagram") + "/").ok());
  EXPECT_EQ(Files(), 4u);
}

TEST_F(ControlSocketTest, TheLongestPathWorksAndOneByteMoreIsRefused) {
  const std::string longest = Path(std::string(kMaxSocketPath - Path("").size(), 'a'));
  ASSERT_EQ(longest.size(), 107u);
  {
    auto made = ControlSocket::Bind(longest);
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_EQ(Connect(longest), 0);
  }
  const auto refused = ControlSocket::Bind(longest + "a");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), AllOf(StartsWith("--control "), HasSubstr("108 bytes")));
  EXPECT_EQ(Files(), 0u);
}

TEST_F(ControlSocketTest, BadPathsAreRefusedByName) {
  for (const std::string& path : {std::string(), Path("no-such-folder/ctl"), dir_ + "/", std::string("a\0b", 3)}) {
    const auto made = ControlSocket::Bind(path);
    ASSERT_FALSE(made.ok()) << path;
    EXPECT_THAT(std::string(made.status().message()), StartsWith("--control"));
  }
  EXPECT_EQ(Files(), 0u);
}

TEST_F(ControlSocketTest, LeavesAFileThatTookItsPlace) {
  {
    auto made = ControlSocket::Bind(Path());
    ASSERT_TRUE(made.ok()) << made.status();
    ASSERT_EQ(unlink(Path().c_str()), 0);
    std::ofstream(Path()) << "somebody else's";
  }
  EXPECT_EQ(Files(), 1u);
}

TEST_F(ControlSocketTest, RemovesItsFileFromAnotherWorkingDirectory) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(dir_);
  {
    auto made = ControlSocket::Bind("ctl");
    std::filesystem::current_path(before);
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_EQ(Files(), 1u);
  }
  EXPECT_EQ(Files(), 0u);
}

TEST_F(ControlSocketTest, MovingKeepsTheFile) {
  auto made = ControlSocket::Bind(Path());
  ASSERT_TRUE(made.ok()) << made.status();
  {
    ControlSocket moved = *std::move(made);
    EXPECT_EQ(Connect(Path()), 0);
  }
  EXPECT_EQ(Files(), 0u);
}

// Names and kinds of what inotify saw, but for the numbers in hidden names.
std::vector<std::string> Drain(int inotify) {
  alignas(inotify_event) char buffer[4096];
  std::vector<std::string> seen;
  const ssize_t n = read(inotify, buffer, sizeof(buffer));
  for (ssize_t at = 0; at < n;) {
    const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
    const std::string name = event->len != 0 ? event->name : "";
    const char* what = (event->mask & IN_CREATE) != 0     ? "create "
                       : (event->mask & IN_ATTRIB) != 0   ? "change "
                       : (event->mask & IN_MOVED_TO) != 0 ? "publish "
                                                          : "other ";
    seen.push_back(what + (name.rfind(".daxvmm-", 0) == 0 ? "hidden" : name));
    at += sizeof(inotify_event) + event->len;
  }
  return seen;
}

TEST_F(ControlSocketTest, ModeAndOwnerAreFinalBeforeThePathExists) {
  const UniqueFd inotify(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  ASSERT_GE(inotify_add_watch(inotify.get(), dir_.c_str(), IN_CREATE | IN_ATTRIB | IN_MOVED_TO), 0);
  // A group that this process may give: its own. Root gives anybody's.
  const bool root = geteuid() == 0;
  const SocketFile file = {.mode = 0660, .owner = root ? 0 : geteuid(), .group = getegid()};
  const auto socket = ControlSocket::Bind(Path(), file);
  ASSERT_TRUE(socket.ok()) << socket.status();
  EXPECT_EQ(ModeOf(Path()) & 07777, 0660u);
  const auto seen = Drain(inotify.get());
  ASSERT_GE(seen.size(), 3u);
  EXPECT_EQ(seen.front(), "create hidden");
  EXPECT_EQ(seen.back(), "publish ctl");
  for (size_t i = 1; i + 1 < seen.size(); ++i) EXPECT_EQ(seen[i], "change hidden");
  EXPECT_EQ(Connect(Path()), 0);
}

TEST_F(ControlSocketTest, TheModeIsAsItIsSaidWhateverTheUmask) {
  const mode_t before = umask(0777);
  const auto socket = ControlSocket::Bind(Path(), {.mode = 0666});
  umask(before);
  ASSERT_TRUE(socket.ok()) << socket.status();
  EXPECT_EQ(ModeOf(Path()) & 07777, 0666u);
}

TEST_F(ControlSocketTest, AnOwnerThatMayNotBeGivenLeavesNothing) {
  if (geteuid() == 0) GTEST_SKIP() << "root may give a file to anybody";
  const auto socket = ControlSocket::Bind(Path(), {.owner = 0});
  EXPECT_THAT(std::string(socket.status().message()), StartsWith("--control-owner: "));
  EXPECT_EQ(Files(), 0u);
}

}  // namespace
}  // namespace daxvmm::control
