#include "control/policy_file_watch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "control/policy_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr std::chrono::seconds kDeadline(20);

class PolicyFileWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SetLogLevel(LogLevel::kError);
    std::string made = testing::TempDir() + "/watch.XXXXXX";
    ASSERT_NE(mkdtemp(made.data()), nullptr);
    root_ = made;
    path_ = root_ + "/d/p";
    fs::create_directory(root_ + "/d");
    Write(path_, "one");
  }
  void TearDown() override {
    watch_.reset();
    SetLogLevel(LogLevel::kWarning);
    fs::remove_all(root_);
  }

  static void Write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

  // A text is the name of a policy's only rule; "bad..." is refused. The slow look is made so slow that it cannot be
  // what notices, unless `poll` says otherwise.
  void Watch(std::chrono::milliseconds poll = std::chrono::minutes(10), const std::string& path = "") {
    auto watch = PolicyFileWatch::Start({
        .path = path.empty() ? path_ : path,
        .known_content = "one",
        .parse = [](absl::string_view text) -> absl::StatusOr<dax::Policy> {
          if (text.substr(0, 3) == "bad") return absl::InvalidArgumentError("p:1: " + std::string(text));
          return dax::Policy{.rules = {{.name = std::string(text)}}};
        },
        .take =
            [this](const dax::Policy& policy) {
              MutexLock lock(&mu_);
              taken_.push_back(policy.rules[0].name);
              changed_.SignalAll();
              return taken_.size() > unavailable_ ? absl::OkStatus() : absl::UnavailableError("the disk is full");
            },
        .report =
            [this](const absl::Status& error) {
              MutexLock lock(&mu_);
              reports_.emplace_back(error.message());
              changed_.SignalAll();
            },
        .settle = std::chrono::milliseconds(20),
        .poll = poll,
    });
    ASSERT_TRUE(watch.ok()) << watch.status();
    watch_ = *std::move(watch);
  }

  template <typename Condition>
  void Await(const std::string& what, Condition condition) {
    MutexLock lock(&mu_);
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    while (!condition()) {
      ASSERT_TRUE(changed_.WaitUntil(&mu_, deadline)) << "did not happen in time: " << what;
    }
  }
  // Waits until `text` was taken last.
  void AwaitTaken(const std::string& text) {
    Await("taking " + text,
          [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !taken_.empty() && taken_.back() == text; });
  }
  void AwaitReport(const std::string& part) {
    Await("a report of " + part, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return !reports_.empty() && reports_.back().find(part) != std::string::npos;
    });
  }
  std::vector<std::string> Taken() {
    MutexLock lock(&mu_);
    return taken_;
  }

  // As Kubernetes does it: a folder of files, a link ..data to it, and links to files through that.
  void MakeConfigMap(const std::string& text) {
    fs::create_directory(root_ + "/map");
    fs::create_directory(root_ + "/map/..1");
    Write(root_ + "/map/..1/p", text);
    fs::create_symlink("..1", root_ + "/map/..data");
    fs::create_symlink("..data/p", root_ + "/map/p");
  }
  void SwapConfigMap(const std::string& from, const std::string& to, const std::string& text) {
    fs::create_directory(root_ + "/map/" + to);
    Write(root_ + "/map/" + to + "/p", text);
    fs::create_symlink(to, root_ + "/map/..data_tmp");
    fs::rename(root_ + "/map/..data_tmp", root_ + "/map/..data");
    fs::remove_all(root_ + "/map/" + from);
  }

  std::string root_;
  std::string path_;
  Mutex mu_;
  CondVar changed_;
  std::vector<std::string> taken_ ABSL_GUARDED_BY(mu_);
  size_t unavailable_ ABSL_GUARDED_BY(mu_) = 0;  // so many policies are not taken
  std::vector<std::string> reports_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<PolicyFileWatch> watch_;
};

TEST_F(PolicyFileWatchTest, WhatCouldNotBeTakenIsOfferedAgain) {
  {
    MutexLock lock(&mu_);
    unavailable_ = 2;
  }
  Write(path_, "two");
  Watch(std::chrono::milliseconds(10));
  AwaitReport("the disk is full");
  Await("a third attempt", [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return taken_.size() == 3 && reports_.size() == 2 && reports_.back().empty();
  });
  EXPECT_THAT(Taken(), ElementsAre("two", "two", "two"));
}

TEST_F(PolicyFileWatchTest, WhatChangedBeforeItBeganIsTaken) {
  Write(path_, "zero");
  Watch();
  AwaitTaken("zero");
}

TEST_F(PolicyFileWatchTest, ARewriteInPlaceIsTaken) {
  Watch();
  Write(path_, "two");
  AwaitTaken("two");
  Write(path_, "three");
  AwaitTaken("three");
}

TEST_F(PolicyFileWatchTest, ARenameOverItIsTaken) {
  Watch();
  for (const char* text : {"two", "three"}) {
    Write(root_ + "/new", text);
    fs::rename(root_ + "/new", path_);
    AwaitTaken(text);
  }
}

TEST_F(PolicyFileWatchTest, AConfigMapSwapIsTaken) {
  MakeConfigMap("one");
  Watch(std::chrono::minutes(10), root_ + "/map/p");
  SwapConfigMap("..1", "..2", "two");
  AwaitTaken("two");
  SwapConfigMap("..2", "..3", "three");
  AwaitTaken("three");
  Write(root_ + "/map/..3/p", "four");
  AwaitTaken("four");
}

TEST_F(PolicyFileWatchTest, ALinkThatIsReplacedIsTaken) {
  Write(root_ + "/other", "two");
  fs::create_symlink("d/p", root_ + "/link");
  Watch(std::chrono::minutes(10), root_ + "/link");
  fs::remove(root_ + "/link");
  fs::create_symlink("other", root_ + "/link");
  AwaitTaken("two");
  Write(root_ + "/other", "three");
  AwaitTaken("three");
}

TEST_F(PolicyFileWatchTest, AFileThatVanishesIsReportedAndComesBack) {
  Watch();
  fs::remove(path_);
  AwaitReport("No such file");
  EXPECT_TRUE(Taken().empty());
  Write(path_, "two");
  AwaitTaken("two");
  Await("the all-clear", [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return reports_.back().empty(); });
}

TEST_F(PolicyFileWatchTest, ItsFolderMayGoAndComeBack) {
  Watch();
  fs::remove_all(root_ + "/d");
  AwaitReport("No such file");
  fs::create_directory(root_ + "/d");
  Write(path_, "two");
  AwaitTaken("two");
  Write(path_, "three");
  AwaitTaken("three");
}

TEST_F(PolicyFileWatchTest, ItsFolderMayBeRenamedAndReplaced) {
  Watch();
  fs::create_directory(root_ + "/e");
  Write(root_ + "/e/p", "two");
  fs::rename(root_ + "/d", root_ + "/old");
  fs::rename(root_ + "/e", root_ + "/d");
  AwaitTaken("two");
  // The old folder does not count any more.
  Write(root_ + "/old/p", "old");
  Write(path_, "three");
  AwaitTaken("three");
  const auto taken = Taken();
  EXPECT_EQ(std::count(taken.begin(), taken.end(), "old"), 0);
}

TEST_F(PolicyFileWatchTest, AFolderFurtherUpIsNoticedByLooking) {
  fs::create_directories(root_ + "/a/b/c");
  Write(root_ + "/a/b/c/p", "one");
  Watch(std::chrono::milliseconds(50), root_ + "/a/b/c/p");
  fs::create_directories(root_ + "/x/b/c");
  Write(root_ + "/x/b/c/p", "two");
  fs::rename(root_ + "/a", root_ + "/gone");
  fs::rename(root_ + "/x", root_ + "/a");
  AwaitTaken("two");
  Write(root_ + "/a/b/c/p", "three");
  AwaitTaken("three");
}

TEST_F(PolicyFileWatchTest, StoresThroughAMappingAreNoticedByLooking) {
  Watch(std::chrono::milliseconds(50));
  // inotify says nothing of these but what msync makes of the time.
  const UniqueFd fd(open(path_.c_str(), O_RDWR | O_CLOEXEC));
  void* const at = mmap(nullptr, 3, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(at, MAP_FAILED);
  static_cast<char*>(at)[0] = 'O';
  ASSERT_EQ(msync(at, 3, MS_SYNC), 0);
  munmap(at, 3);
  AwaitTaken("One");
}

TEST_F(PolicyFileWatchTest, AHalfWrittenFileIsNotTaken) {
  Watch(std::chrono::milliseconds(50));
  Write(path_, "two");
  AwaitTaken("two");  // it listens now
  UniqueFd fd(open(path_.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  ASSERT_EQ(write(fd.get(), "ha", 2), 2);
  // Nothing tells that something has not happened: time for several looks.
  {
    Mutex mu;
    CondVar never;
    MutexLock lock(&mu);
    never.WaitUntil(&mu, std::chrono::steady_clock::now() + std::chrono::milliseconds(300));
  }
  EXPECT_EQ(Taken().size(), 1u);
  ASSERT_EQ(write(fd.get(), "lf", 2), 2);
  ASSERT_EQ(close(fd.release()), 0);
  AwaitTaken("half");
  EXPECT_EQ(Taken().size(), 2u);
}

TEST_F(PolicyFileWatchTest, ABadFileIsReportedOnceAndTheOldOneStays) {
  Watch();
  Write(path_, "bad one");
  AwaitReport("p:1: bad one");
  Write(path_, "bad two");
  AwaitReport("p:1: bad two");
  // Back to what is in force: no change, but the report is taken back.
  Write(path_, "one");
  Await("the all-clear", [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return reports_.back().empty(); });
  EXPECT_TRUE(Taken().empty());
  MutexLock lock(&mu_);
  EXPECT_EQ(reports_.size(), 3u);
}

TEST_F(PolicyFileWatchTest, TheSameContentIsNoChange) {
  Watch();
  Write(path_, "one");
  Write(root_ + "/new", "one");
  fs::rename(root_ + "/new", path_);
  // Not in place: the look that the rename asks for could see it half written.
  Write(root_ + "/new", "two");
  fs::rename(root_ + "/new", path_);
  AwaitTaken("two");
  EXPECT_EQ(Taken(), std::vector<std::string>{"two"});
}

TEST_F(PolicyFileWatchTest, WhatIsNoFileIsReported) {
  Watch();
  fs::remove(path_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  AwaitReport("not a regular file");
  fs::remove(path_);
  fs::create_directory(path_);
  Write(root_ + "/large", std::string(kMaxPolicyFileBytes + 1, 'x'));
  fs::remove(path_);
  fs::rename(root_ + "/large", path_);
  AwaitReport("larger than 1 MiB");
  fs::remove(path_);
  Write(path_, "two");
  AwaitTaken("two");
}

TEST_F(PolicyFileWatchTest, ManyChangesEndInTheLast) {
  Watch();
  for (int i = 0; i < 200; ++i) {
    Write(root_ + "/new", "n" + std::to_string(i));
    fs::rename(root_ + "/new", path_);
  }
  AwaitTaken("n199");
}

TEST_F(PolicyFileWatchTest, EndsAtOnceWhateverItWaitsFor) {
  Watch();
  const auto begin = std::chrono::steady_clock::now();
  watch_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST(ReadPolicyFileTest, OnlyRegularFilesOfBoundedSize) {
  const std::string path = testing::TempDir() + "/read";
  std::ofstream(path) << "text";
  EXPECT_EQ(*ReadPolicyFile(path), "text");
  EXPECT_THAT(std::string(ReadPolicyFile("/dev/zero").status().message()), HasSubstr("/dev/zero: not a regular file"));
  EXPECT_THAT(std::string(ReadPolicyFile(testing::TempDir()).status().message()), HasSubstr("not a regular file"));
  EXPECT_EQ(ReadPolicyFile(path + "/x").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReadPolicyFile(path + "none").status().code(), absl::StatusCode::kNotFound);
  std::ofstream(path) << std::string(kMaxPolicyFileBytes, 'x');
  EXPECT_EQ(ReadPolicyFile(path)->size(), kMaxPolicyFileBytes);
}

}  // namespace
}  // namespace daxvmm::control
