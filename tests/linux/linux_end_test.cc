// Ring 5: how a machine ends. Each case needs one of its own.
#include <signal.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "tests/linux/checks.h"

namespace daxvmm::linux_test {
namespace {

class LinuxEndTest : public testing::Test {
 protected:
  void SetUp() override {
    GuestOptions options;
    options.daxvmm = TestEnvironment().daxvmm;
    options.kernel = TestEnvironment().kernel;
    options.initrd = TestEnvironment().initrd;
    options.memory = "256M";
    absl::StatusOr<std::unique_ptr<LinuxGuest>> guest = LinuxGuest::Boot(options);
    ASSERT_OK(StatusOf(guest));
    guest_ = *std::move(guest);
  }

  void ExpectExitStatus(int expected) {
    const absl::StatusOr<int> status = guest_->WaitForExit();
    ASSERT_OK(StatusOf(status));
    EXPECT_EQ(*status, expected) << guest_->ConsoleTail();
  }

  std::unique_ptr<LinuxGuest> guest_;
};

TEST_F(LinuxEndTest, PowerOffIsStatus0) {
  ASSERT_OK(guest_->Send("poweroff -f"));
  ExpectExitStatus(0);
}

TEST_F(LinuxEndTest, RebootIsStatus3) {
  ASSERT_OK(guest_->Send("reboot -f"));
  ExpectExitStatus(3);
}

TEST_F(LinuxEndTest, PanicIsStatus4) {
  ASSERT_OK(guest_->Send("echo c >/proc/sysrq-trigger"));
  ExpectExitStatus(4);
}

TEST_F(LinuxEndTest, CtrlAXIsStatus6) {
  ASSERT_OK(guest_->Type("\x01x"));
  ExpectExitStatus(6);
}

TEST_F(LinuxEndTest, SigtermPressesThePowerButton) {
  // init has started the listener before it was ready; wait until it holds the button's device.
  ASSERT_OK(StatusOf(
      guest_->Check("until ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q /dev/input/event; do usleep 50000; done")));
  guest_->Signal(SIGTERM);
  ExpectExitStatus(0);
}

}  // namespace
}  // namespace daxvmm::linux_test
