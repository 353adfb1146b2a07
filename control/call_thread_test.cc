#include "control/call_thread.h"

#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

TEST(CallThreadTest, CallsInTurnAndRefusesWhatIsTooMuch) {
  CallThread thread;
  std::promise<void> entered;
  std::promise<void> release;
  thread.Post([&](const absl::Status& status) {
    EXPECT_TRUE(status.ok());
    entered.set_value();
    release.get_future().wait();
  });
  entered.get_future().wait();
  std::vector<absl::StatusCode> codes;
  std::atomic<int> ran{0};
  for (int i = 0; i < 20; ++i) {
    thread.Post([&codes, &ran, i](const absl::Status& status) {
      if (status.ok()) {
        EXPECT_EQ(ran++, i);
      } else {
        codes.push_back(status.code());
      }
    });
  }
  EXPECT_EQ(codes, std::vector<absl::StatusCode>(4, absl::StatusCode::kResourceExhausted));
  std::promise<void> last;
  release.set_value();
  while (ran == 0) std::this_thread::yield();
  thread.Post([&last](const absl::Status& status) {
    EXPECT_TRUE(status.ok());
    last.set_value();
  });
  last.get_future().wait();
  EXPECT_EQ(ran, 16);
}

TEST(CallThreadTest, StoppingAnswersWhatWaits) {
  CallThread thread;
  std::promise<void> entered;
  std::promise<void> release;
  thread.Post([&](const absl::Status&) {
    entered.set_value();
    release.get_future().wait();
  });
  entered.get_future().wait();
  absl::Status waiting;
  thread.Post([&waiting, &release](const absl::Status& status) {
    waiting = status;
    release.set_value();
  });
  thread.Stop();
  EXPECT_EQ(waiting.code(), absl::StatusCode::kUnavailable);
  absl::Status after;
  thread.Post([&after](const absl::Status& status) { after = status; });
  EXPECT_EQ(after.code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace daxvmm::control
