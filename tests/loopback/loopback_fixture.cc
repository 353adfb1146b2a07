#include "tests/loopback/loopback_fixture.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "base/unique_fd.h"

extern char** environ;

namespace daxvmm::loopback {

bool IsLong() { return getenv("DAXVMM_LONG") != nullptr; }

LoopbackTest::LoopbackTest(fs::ShareOptions options) : options_(std::move(options)) {}

void LoopbackTest::SetUp() {
  if (const std::string why = WhyUnavailable(); !why.empty()) GTEST_SKIP() << why;
  top_ = testing::TempDir() + "/loopback.XXXXXX";
  ASSERT_NE(mkdtemp(top_.data()), nullptr);
  ASSERT_EQ(chmod(top_.c_str(), 0755), 0);
  for (const char* name : {"/share", "/mnt", "/local"}) ASSERT_EQ(mkdir((top_ + name).c_str(), 0755), 0);
  Mount(options_);
}

void LoopbackTest::TearDown() {
  mount_.reset();
  fs_.reset();
  if (!top_.empty()) {
    // --one-file-system: should the unmount have failed, it is not the place to delete the share from.
    EXPECT_EQ(system(("rm -rf --one-file-system " + top_).c_str()), 0);
  }
}

void LoopbackTest::Mount(fs::ShareOptions options) {
  mount_.reset();
  options.path = top_ + "/share";
  auto fs = fs::PassthroughFs::Create(options, nullptr);
  ASSERT_TRUE(fs.ok()) << fs.status();
  fs_ = *std::move(fs);
  auto mount = LoopbackMount::Create(fs_.get(), top_ + "/mnt");
  ASSERT_TRUE(mount.ok()) << mount.status();
  mount_ = *std::move(mount);
}

int LoopbackTest::Run(const std::string& script, int deadline_ms) {
  const std::string text = "set -e; cd " + top_ + "; " + script;
  const char* const argv[] = {"/bin/bash", "-c", text.c_str(), nullptr};
  pid_t pid = -1;
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // A process group of its own, so that whatever it started goes with it.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  const int error = posix_spawn(&pid, argv[0], nullptr, &attributes, const_cast<char**>(argv), environ);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return -1;
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  pollfd wait_for = {process.get(), POLLIN, 0};
  if (poll(&wait_for, 1, deadline_ms) != 1) {
    ADD_FAILURE() << "did not end within " << deadline_ms << " ms: " << script;
    mount_->Abort();
    kill(-pid, SIGKILL);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

}  // namespace daxvmm::loopback
