#include "vmm/console.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace daxvmm::vmm {
namespace {

std::string Filter(EscapeFilter& filter, const std::string& typed, bool* quit) {
  std::deque<uint8_t> out;
  *quit = filter.Feed(std::span(reinterpret_cast<const uint8_t*>(typed.data()), typed.size()), &out);
  return std::string(out.begin(), out.end());
}

TEST(EscapeFilterTest, CtrlAIsTheEscape) {
  EscapeFilter filter;
  bool quit = false;
  EXPECT_EQ(Filter(filter, "ab", &quit), "ab");
  EXPECT_EQ(Filter(filter, "\x01\x01", &quit), "\x01");
  EXPECT_EQ(Filter(filter,
                   "\x01"
                   "a",
                   &quit),
            "\x01");
  EXPECT_EQ(Filter(filter, "\x01z", &quit), "\x01z");
  EXPECT_EQ(Filter(filter, "x", &quit), "x");
  EXPECT_FALSE(quit);
  EXPECT_EQ(Filter(filter, "1\x01", &quit), "1");  // the sequence may be cut anywhere
  EXPECT_FALSE(quit);
  EXPECT_EQ(Filter(filter, "xyz", &quit), "");
  EXPECT_TRUE(quit);
}

// A console on two pipes whose far ends the test holds.
class ConsoleTest : public testing::Test {
 protected:
  void SetUp() override {
    int pair[2];
    ASSERT_EQ(pipe(pair), 0);
    in_read_.reset(pair[0]);
    in_write_.reset(pair[1]);
    ASSERT_EQ(pipe(pair), 0);
    out_read_.reset(pair[0]);
    out_write_.reset(pair[1]);
    auto done = EventFd::Create();
    ASSERT_TRUE(done.ok());
    done_ = std::make_unique<EventFd>(*std::move(done));
  }

  std::unique_ptr<Console> Make() {
    auto console = Console::Create({.input_fd = in_read_.get(),
                                    .output_fd = out_write_.get(),
                                    .to_guest =
                                        [this](std::span<const uint8_t> bytes) {
                                          // One byte at a time, as a port that is nearly full.
                                          received_ += static_cast<char>(bytes[0]);
                                          if (received_.size() == expected_) done_->Signal();
                                          return size_t{1};
                                        },
                                    .on_quit =
                                        [this] {
                                          quit_ = true;
                                          done_->Signal();
                                        }});
    EXPECT_TRUE(console.ok());
    return *std::move(console);
  }

  void AwaitDone(Console* console) {
    for (int i = 0; i < 1000; ++i) {
      console->InputRoomAvailable();
      pollfd fd{done_->fd(), POLLIN, 0};
      if (poll(&fd, 1, 10) > 0) return;
    }
    FAIL() << "the console did not pass the input on";
  }

  UniqueFd in_read_, in_write_, out_read_, out_write_;
  std::unique_ptr<EventFd> done_;
  std::string received_;  // console thread, until done_
  size_t expected_ = 0;
  std::atomic<bool> quit_{false};
};

TEST_F(ConsoleTest, InputReachesAPortThatTakesLittleAtATime) {
  expected_ = 5;
  auto console = Make();
  ASSERT_EQ(write(in_write_.get(), "hello", 5), 5);
  AwaitDone(console.get());
  console.reset();
  EXPECT_EQ(received_, "hello");
}

TEST_F(ConsoleTest, CtrlAXQuits) {
  auto console = Make();
  ASSERT_EQ(write(in_write_.get(), "\x01x", 2), 2);
  AwaitDone(console.get());
  EXPECT_TRUE(quit_);
}

TEST_F(ConsoleTest, CtrlAXQuitsThoughTheGuestReadsNothing) {
  const UniqueFd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_TRUE(master.valid());
  ASSERT_EQ(grantpt(master.get()), 0);
  ASSERT_EQ(unlockpt(master.get()), 0);
  const UniqueFd terminal(open(ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_TRUE(terminal.valid());
  termios raw;
  ASSERT_EQ(tcgetattr(terminal.get(), &raw), 0);
  cfmakeraw(&raw);
  ASSERT_EQ(tcsetattr(terminal.get(), TCSANOW, &raw), 0);
  EventFd offered = *EventFd::Create();
  auto console = Console::Create({.input_fd = terminal.get(),
                                  .output_fd = out_write_.get(),
                                  .to_guest =
                                      [&offered](std::span<const uint8_t>) {
                                        offered.Signal();
                                        return size_t{0};
                                      },
                                  .on_quit = [this] { done_->Signal(); }});
  ASSERT_TRUE(console.ok());
  ASSERT_EQ(write(master.get(), "help", 4), 4);
  pollfd waiting{offered.fd(), POLLIN, 0};
  ASSERT_EQ(poll(&waiting, 1, 10'000), 1) << "the guest's port was not offered what was typed";
  ASSERT_EQ(write(master.get(), "\x01x", 2), 2);
  AwaitDone(console->get());
}

TEST_F(ConsoleTest, OutputIsCompleteWhenTheConsoleIsGone) {
  std::string sent;
  {
    auto console = Make();
    for (int i = 0; i < 1000; ++i) {
      const std::string line = "line " + std::to_string(i) + "\n";
      sent += line;
      console->Output(std::span(reinterpret_cast<const uint8_t*>(line.data()), line.size()));
    }
  }
  out_write_.reset();
  std::string got;
  char buffer[4096];
  for (ssize_t n; (n = read(out_read_.get(), buffer, sizeof(buffer))) > 0;) got.append(buffer, static_cast<size_t>(n));
  EXPECT_EQ(got, sent);
}

TEST_F(ConsoleTest, ABlockedReaderHoldsWritersUntilTheyAreReleased) {
  auto console = Make();
  const std::vector<uint8_t> block(4096, 'x');
  std::atomic<int> written{0};
  NamedThread writer("writer", [&] {
    for (int i = 0; i < 100; ++i) {  // 400 KiB: more than the pipe and the queue hold
      console->Output(block);
      ++written;
    }
  });
  console->ReleaseWriters();
  writer.Join();
  EXPECT_EQ(written, 100);
}

TEST_F(ConsoleTest, AClosedReaderLosesOutputAndNothingElse) {
  out_read_.reset();
  auto console = Make();
  const std::vector<uint8_t> block(4096, 'x');
  for (int i = 0; i < 100; ++i) console->Output(block);
}

}  // namespace
}  // namespace daxvmm::vmm
