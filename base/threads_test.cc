#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <string>
#include <utility>

#include "base/event_fd.h"
#include "base/mutex.h"
#include "base/named_thread.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace daxvmm {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

bool Readable(int fd, int timeout_ms) {
  pollfd poller{fd, POLLIN, 0};
  return poll(&poller, 1, timeout_ms) == 1;
}

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(EventFdTest, CountsToOneAndDrains) {
  const EventFd event = EventFd::Create().value();
  EXPECT_FALSE(Readable(event.fd(), 0));
  EXPECT_FALSE(event.Drain()) << "does not block";
  event.Signal();
  event.Signal();
  EXPECT_TRUE(Readable(event.fd(), 0));
  EXPECT_TRUE(event.Drain());
  EXPECT_FALSE(event.Drain()) << "two signals, one wake-up";
  EXPECT_FALSE(Readable(event.fd(), 0));
}

TEST(EventFdTest, AFullCounterNeitherBlocksNorGoesQuiet) {
  const EventFd event = EventFd::Create().value();
  const uint64_t nearly_full = ~uint64_t{0} - 1;
  ASSERT_EQ(write(event.fd(), &nearly_full, sizeof(nearly_full)), static_cast<ssize_t>(sizeof(nearly_full)));
  event.Signal();
  EXPECT_TRUE(event.Drain());
}

TEST(EventFdTest, WakesAnotherThread) {
  const EventFd event = EventFd::Create().value();
  bool woken = false;
  NamedThread waiter("waiter", [&] { woken = Readable(event.fd(), 10'000); });
  event.Signal();
  waiter.Join();
  EXPECT_TRUE(woken);
}

TEST(EventFdTest, IsClosedOnExec) {
  const EventFd event = EventFd::Create().value();
  EXPECT_NE(fcntl(event.fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(UniqueFdTest, OwnsOneDescriptor) {
  const auto open_one = [] { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); };
  int number = -1;
  {
    UniqueFd fd = open_one();
    number = fd.get();
    EXPECT_TRUE(fd.valid());
    UniqueFd moved(std::move(fd));
    EXPECT_FALSE(fd.valid());  // NOLINT(bugprone-use-after-move): that is what is tested
    EXPECT_TRUE(IsOpen(number));
    fd = std::move(moved);
    EXPECT_EQ(fd.get(), number);
  }
  EXPECT_FALSE(IsOpen(number));

  UniqueFd fd = open_one();
  UniqueFd other = open_one();
  number = fd.get();
  fd = std::move(other);
  EXPECT_FALSE(IsOpen(number)) << "assignment closes what was held";
  number = fd.get();
  errno = EXDEV;
  fd.reset();
  EXPECT_EQ(errno, EXDEV);
  EXPECT_FALSE(IsOpen(number));

  UniqueFd released = open_one();
  number = released.release();
  EXPECT_FALSE(released.valid());
  EXPECT_TRUE(IsOpen(number));
  close(number);
}

std::string NameOfThisThread() {
  std::array<char, 16> name{};
  pthread_getname_np(pthread_self(), name.data(), name.size());
  return name.data();
}

TEST(NamedThreadTest, BearsItsNameFromTheStartCutToFifteen) {
  std::string name;
  NamedThread("queue", [&name] { name = NameOfThisThread(); }).Join();
  EXPECT_EQ(name, "queue");
  NamedThread("a-name-much-too-long", [&name] { name = NameOfThisThread(); }).Join();
  EXPECT_EQ(name, "a-name-much-too");
}

TEST(NamedThreadTest, BlocksSignalsButNotFaults) {
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  sigset_t mask;
  NamedThread("signals", [&mask] { pthread_sigmask(SIG_SETMASK, nullptr, &mask); }).Join();
  for (int signal : {SIGTERM, SIGINT, SIGUSR1, SIGCHLD, SIGPIPE, SIGWINCH}) {
    EXPECT_EQ(sigismember(&mask, signal), 1) << signal;
  }
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) EXPECT_EQ(sigismember(&mask, signal), 0) << signal;
  sigset_t after;
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (int signal : {SIGTERM, SIGUSR1}) EXPECT_EQ(sigismember(&after, signal), sigismember(&before, signal));
}

TEST(NamedThreadTest, IsJoinedByItsDestructorAndByAssignment) {
  bool first = false;
  bool second = false;
  {
    NamedThread thread("first", [&first] { first = true; });
    EXPECT_TRUE(thread.joinable());
    thread = NamedThread("second", [&second] { second = true; });
    EXPECT_TRUE(first);
  }
  EXPECT_TRUE(second);
  NamedThread none;
  EXPECT_FALSE(none.joinable());
  none.Join();
}

TEST(MutexTest, KeepsThreadsApart) {
  Mutex mu;
  int counter = 0;
  {
    const auto count = [&] {
      for (int i = 0; i < 20'000; ++i) {
        MutexLock lock(&mu);
        ++counter;
      }
    };
    NamedThread one("one", count);
    NamedThread two("two", count);
  }
  EXPECT_EQ(counter, 40'000);
}

// A ball that two threads hit in turn: each waits for the other's signal.
TEST(CondVarTest, WakesAndHoldsTheMutexAgain) {
  Mutex mu;
  CondVar changed;
  int turn = 0;
  const auto play = [&](int me) {
    for (int i = 0; i < 2'000; ++i) {
      MutexLock lock(&mu);
      while (turn % 2 != me) changed.Wait(&mu);
      ++turn;
      changed.Signal();
    }
  };
  {
    NamedThread one("one", [&] { play(0); });
    NamedThread two("two", [&] { play(1); });
  }
  EXPECT_EQ(turn, 4'000);
}

TEST(CondVarTest, WaitUntilEndsAtTheDeadlineAndHoldsTheMutexAgain) {
  Mutex mu;
  CondVar changed;
  const steady_clock::time_point deadline = steady_clock::now() + std::chrono::milliseconds(20);
  mu.Lock();
  while (changed.WaitUntil(&mu, deadline)) {
  }
  EXPECT_GE(steady_clock::now(), deadline);
  bool entered = false;
  NamedThread other("other", [&] {
    MutexLock lock(&mu);
    entered = true;
  });
  EXPECT_FALSE(entered);
  mu.Unlock();
  other.Join();
  EXPECT_TRUE(entered);
}

TEST(CondVarTest, SignalAllWakesEveryWaiter) {
  Mutex mu;
  CondVar changed;
  bool go = false;
  int gone = 0;
  const auto deadline = steady_clock::now() + seconds(30);
  {
    const auto wait = [&] {
      MutexLock lock(&mu);
      while (!go) {
        if (!changed.WaitUntil(&mu, deadline)) return;
      }
      ++gone;
    };
    NamedThread one("one", wait);
    NamedThread two("two", wait);
    NamedThread three("three", wait);
    MutexLock lock(&mu);
    go = true;
    changed.SignalAll();
  }
  EXPECT_EQ(gone, 3);
}

}  // namespace
}  // namespace daxvmm
