// A share, a loopback mount of it, and a plain directory beside them, for tests that run shell scripts on all three.
#ifndef DAXVMM_TESTS_LOOPBACK_LOOPBACK_FIXTURE_H_
#define DAXVMM_TESTS_LOOPBACK_LOOPBACK_FIXTURE_H_

#include <memory>
#include <string>

#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "gtest/gtest.h"
#include "tests/loopback/loopback_mount.h"

namespace daxvmm::loopback {

// Whether runs that take minutes are wanted: DAXVMM_LONG is in the environment.
bool IsLong();

// The directory `top_` holds share/, mnt/ (the mount of share/) and local/.
class LoopbackTest : public testing::Test {
 public:
  // What SetUp mounts with.
  explicit LoopbackTest(fs::ShareOptions options = {});

 protected:
  // Skips where a mount is not possible.
  void SetUp() override;
  void TearDown() override;

  // Mounts anew. `options.path` is set here.
  void Mount(fs::ShareOptions options);

  // Runs a shell script in `top_`; its exit status. A script that does not end in time fails the test, and the mount is
  // aborted so that it can be killed at all.
  int Run(const std::string& script, int deadline_ms = 60'000);

  std::string top_;
  std::unique_ptr<fs::PassthroughFs> fs_;
  std::unique_ptr<LoopbackMount> mount_;

 private:
  const fs::ShareOptions options_;
};

}  // namespace daxvmm::loopback

#endif  // DAXVMM_TESTS_LOOPBACK_LOOPBACK_FIXTURE_H_
