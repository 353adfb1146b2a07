#include "control/state_directory.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "control/state_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Fails one call of a kind: the first is number 1.
class FailingIo final : public StateIo {
 public:
  ssize_t Write(int fd, const void* data, size_t size) override {
    if (short_writes) size = (size + 1) / 2;
    return Due(fail_write, &writes) ? -1 : StateIo::Write(fd, data, size);
  }
  int Fsync(int fd) override { return Due(fail_fsync, &fsyncs) ? -1 : StateIo::Fsync(fd); }
  int Rename(int directory, const char* from, const char* to) override {
    return Due(fail_rename, &renames) ? -1 : StateIo::Rename(directory, from, to);
  }
  // The next call of that kind is number 1 again.
  void Arm(int write, int fsync, int rename, int err) {
    fail_write = write;
    fail_fsync = fsync;
    fail_rename = rename;
    error = err;
    writes = fsyncs = renames = 0;
  }

  bool short_writes = false;
  int fail_write = 0, fail_fsync = 0, fail_rename = 0;
  bool all_after = false;  // and every one after it
  int writes = 0, fsyncs = 0, renames = 0;
  int error = EIO;

 private:
  bool Due(int which, int* count) {
    ++*count;
    if (which == 0 || (all_after ? *count < which : *count != which)) return false;
    errno = error;
    return true;
  }
};

class StateDirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/stateXXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    outer_ = name;
    path_ = outer_ + "/state";
  }
  void TearDown() override { std::filesystem::remove_all(outer_); }

  std::unique_ptr<StateDirectory> MustOpen(StateIo* io = nullptr) {
    auto opened = StateDirectory::Open(path_, io);
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened.ok() ? *std::move(opened) : nullptr;
  }
  std::string WhyRefused() {
    const auto opened = StateDirectory::Open(path_);
    EXPECT_FALSE(opened.ok());
    EXPECT_THAT(std::string(opened.status().message()), StartsWith(path_ + ": "));
    return std::string(opened.status().message());
  }
  std::string Read() {
    auto body = MustOpen()->Read();
    EXPECT_TRUE(body.ok()) << body.status();
    return body.ok() ? body->value_or("none") : "error";
  }
  void Put(const std::string& name, const std::string& content) {
    std::ofstream(path_ + "/" + name, std::ios::binary) << content;
  }
  std::set<std::string> Names() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) names.insert(entry.path().filename());
    return names;
  }

  std::string outer_;
  std::string path_;
};

TEST_F(StateDirectoryTest, KeepsWhatItIsGiven) {
  {
    const auto directory = MustOpen();
    EXPECT_EQ(*directory->Read(), std::nullopt);
    EXPECT_TRUE(directory->Write("one\n").ok());
    EXPECT_TRUE(directory->Write("two\n").ok());
  }
  EXPECT_EQ(Read(), "two\n");
  EXPECT_THAT(Names(), ElementsAre("lock", "policy.state"));
  struct stat st{};
  ASSERT_EQ(stat(path_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0700u);
  ASSERT_EQ(stat((path_ + "/policy.state").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
}

TEST_F(StateDirectoryTest, LeavesNothingOfADirectoryThatNobodyWroteTo) {
  MustOpen();
  EXPECT_FALSE(std::filesystem::exists(path_));
  mkdir(path_.c_str(), 0700);
  MustOpen();
  EXPECT_TRUE(std::filesystem::exists(path_)) << "it was there before";
}

TEST_F(StateDirectoryTest, OneAtATime) {
  const auto first = MustOpen();
  EXPECT_THAT(WhyRefused(), HasSubstr("in use by another daxvmm, process " + std::to_string(getpid())));
  Put("lock", "garbage");
  EXPECT_THAT(WhyRefused(), HasSubstr("in use by another process"));
}

TEST_F(StateDirectoryTest, TheLockGoesWithItsProcess) {
  const pid_t child = fork();
  if (child == 0) {
    const auto held = StateDirectory::Open(path_);
    raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  MustOpen();
}

TEST_F(StateDirectoryTest, RefusesADirectoryOfOthers) {
  mkdir(path_.c_str(), 0700);
  for (const mode_t mode : {0720u, 0702u, 0777u, 01777u}) {
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
    EXPECT_THAT(WhyRefused(), HasSubstr("may be written by others")) << mode;
  }
  ASSERT_EQ(chmod(path_.c_str(), 0755), 0);
  MustOpen();
  if (chown(path_.c_str(), 12345, 0) != 0) GTEST_SKIP() << "only root can give a directory away";
  EXPECT_THAT(WhyRefused(), HasSubstr("belongs to uid 12345, not to uid 0"));
}

TEST_F(StateDirectoryTest, RefusesWhatIsNoDirectory) {
  path_ = outer_ + "/none/state";
  EXPECT_THAT(WhyRefused(), HasSubstr("No such file"));
  path_ = outer_ + "/file";
  std::ofstream(path_) << "x";
  EXPECT_THAT(WhyRefused(), HasSubstr("is not a directory"));
  path_ = outer_ + "/fifo";
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(WhyRefused(), HasSubstr("is not a directory"));
}

TEST_F(StateDirectoryTest, FollowsNoLinks) {
  mkdir(path_.c_str(), 0700);
  std::ofstream(outer_ + "/elsewhere") << FrameState("x");
  ASSERT_EQ(symlink("../elsewhere", (path_ + "/policy.state").c_str()), 0);
  EXPECT_THAT(std::string(MustOpen()->Read().status().message()), HasSubstr("policy.state: a symbolic link"));
  ASSERT_EQ(symlink("../elsewhere", (path_ + "/policy.state.new").c_str()), 0);
  EXPECT_TRUE(MustOpen()->Write("y").ok());
  EXPECT_EQ(std::filesystem::file_size(outer_ + "/elsewhere"), FrameState("x").size()) << "written through a link";
  EXPECT_EQ(Read(), "y");
  std::filesystem::remove(path_ + "/lock");
  ASSERT_EQ(symlink("../elsewhere", (path_ + "/lock").c_str()), 0);
  EXPECT_THAT(WhyRefused(), HasSubstr("lock"));
}

TEST_F(StateDirectoryTest, NothingInPlaceOfTheFilesBlocks) {
  mkdir(path_.c_str(), 0700);
  ASSERT_EQ(mkfifo((path_ + "/policy.state").c_str(), 0600), 0);
  EXPECT_EQ(MustOpen()->Read().status().code(), absl::StatusCode::kDataLoss);
  std::filesystem::remove(path_ + "/lock");
  ASSERT_EQ(mkfifo((path_ + "/lock").c_str(), 0600), 0);
  EXPECT_THAT(WhyRefused(), HasSubstr("lock is not a regular file"));
}

TEST_F(StateDirectoryTest, RemovesWhatAnInterruptedWriteLeft) {
  mkdir(path_.c_str(), 0700);
  Put("policy.state", FrameState("good"));
  Put("policy.state.new", "daxvmm-pol");
  EXPECT_EQ(Read(), "good");
  EXPECT_THAT(Names(), ElementsAre("lock", "policy.state"));
  mkdir((path_ + "/policy.state.new").c_str(), 0700);
  EXPECT_THAT(WhyRefused(), HasSubstr("policy.state.new of an interrupted write cannot be removed"));
}

TEST_F(StateDirectoryTest, ABadFileIsRefusedAndSetAside) {
  mkdir(path_.c_str(), 0700);
  for (int i = 1; i <= 2; ++i) {
    Put("policy.state", "junk " + std::to_string(i));
    const auto directory = MustOpen();
    const auto body = directory->Read();
    EXPECT_EQ(body.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(body.status().message(), path_ + ": policy.state: not a state file of daxvmm");
    const auto aside = directory->SetAside();
    ASSERT_TRUE(aside.ok()) << aside.status();
    EXPECT_EQ(*aside, path_ + "/policy.state.bad-" + std::to_string(i));
    std::ifstream file(*aside);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "junk " + std::to_string(i));
    EXPECT_EQ(*directory->Read(), std::nullopt);
  }
}

TEST_F(StateDirectoryTest, AFailureLeavesTheOldFile) {
  FailingIo io;
  const auto directory = MustOpen(&io);
  ASSERT_TRUE(directory->Write("old").ok());
  struct Case {
    int write, fsync;
    int err;
    const char* text;
  };
  for (const Case& one : {Case{1, 0, ENOSPC, "No space left"}, Case{1, 0, EROFS, "Read-only"},
                          Case{0, 1, EIO, "output error"}, Case{0, 1, EDQUOT, "quota"}}) {
    io.Arm(one.write, one.fsync, 0, one.err);
    const absl::Status status = directory->Write("new");
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_THAT(std::string(status.message()), StartsWith(path_ + ": "));
    EXPECT_THAT(std::string(status.message()), HasSubstr(one.text));
    EXPECT_EQ(**directory->Read(), "old");
    EXPECT_THAT(Names(), ElementsAre("lock", "policy.state"));
  }
  io.Arm(0, 0, 0, 0);
  EXPECT_TRUE(directory->Write("newer").ok());
  EXPECT_EQ(**directory->Read(), "newer");
}

TEST_F(StateDirectoryTest, AFailureAfterTheNewNameIsUncertain) {
  FailingIo io;
  const auto directory = MustOpen(&io);
  ASSERT_TRUE(directory->Write("old").ok());
  for (const bool rename : {true, false}) {
    io.Arm(0, rename ? 0 : 2, rename ? 1 : 0, EIO);
    EXPECT_EQ(directory->Write("new").code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(**directory->Read(), "old") << "it is put back where that can be done";
  }
  // Where it cannot: the file is whole all the same.
  io.Arm(0, 2, 0, EIO);
  io.all_after = true;
  const absl::Status status = directory->Write("new");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the old policy or the new one"));
  EXPECT_EQ(**directory->Read(), "new");
  io.Arm(0, 0, 0, 0);
  EXPECT_TRUE(directory->Write("newest").ok());
  EXPECT_EQ(**directory->Read(), "newest");
}

TEST_F(StateDirectoryTest, ShortWritesAreContinued) {
  FailingIo io;
  io.short_writes = true;
  EXPECT_TRUE(MustOpen(&io)->Write(std::string(5000, 'x')).ok());
  EXPECT_GT(io.writes, 5);
  EXPECT_EQ(Read(), std::string(5000, 'x'));
}

// A disk that is really full, in a child with mounts of its own.
TEST_F(StateDirectoryTest, AFullDisk) {
  if (getuid() != 0) GTEST_SKIP() << "only root can mount";
  mkdir(path_.c_str(), 0700);
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNS) != 0 || mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", path_.c_str(), "tmpfs", 0, "size=256k,mode=0700") != 0) {
      _exit(77);
    }
    auto directory = StateDirectory::Open(path_);
    if (!directory.ok() || !(*directory)->Write("small").ok()) _exit(1);
    const absl::Status full = (*directory)->Write(std::string(1 << 20, 'x'));
    if (full.code() != absl::StatusCode::kUnavailable) _exit(2);
    if (std::string(full.message()).find("No space left on device") == std::string::npos) _exit(3);
    if (**(*directory)->Read() != "small") _exit(4);
    if (!(*directory)->Write("small again").ok()) _exit(5);
    _exit(**(*directory)->Read() == "small again" ? 0 : 6);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no mounts in this sandbox";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace daxvmm::control
