// The loopback program as whoever runs it meets it: what it refuses, what it says, and how it ends.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "tests/cli/process.h"
#include "tests/loopback/loopback_mount.h"

namespace daxvmm::loopback {
namespace {

using cli_test::Process;

// Runs in a directory that holds share/ and mnt/, and outputs beside it.
class LoopbackMainTest : public testing::Test {
 protected:
  void SetUp() override {
    outer_ = testing::TempDir() + "/loopback_main.XXXXXX";
    ASSERT_NE(mkdtemp(outer_.data()), nullptr);
    top_ = outer_ + "/d";
    for (const char* name : {"/d", "/d/share", "/d/mnt"}) ASSERT_EQ(mkdir((outer_ + name).c_str(), 0755), 0);
  }
  void TearDown() override {
    umount2(Mnt().c_str(), MNT_DETACH);  // what a test that failed has left
    EXPECT_EQ(system(("rm -rf --one-file-system " + outer_).c_str()), 0);
  }

  std::string Mnt(const std::string& name = "") const { return top_ + "/mnt" + name; }
  std::string Share(const std::string& name = "") const { return top_ + "/share" + name; }

  // Whether the mount point is one. Asks no server, unlike stat(2).
  bool IsMounted() const {
    std::ifstream table("/proc/self/mountinfo");
    for (std::string line; std::getline(table, line);) {
      if (line.find(" " + std::filesystem::canonical(top_).string() + "/mnt ") != std::string::npos) return true;
    }
    return false;
  }

  std::unique_ptr<Process> Start(const std::vector<std::string>& arguments) {
    const std::string number = std::to_string(started_++);
    // Tests run in the folder of their runfiles.
    return std::make_unique<Process>(
        Process::Options{.program = std::filesystem::current_path().string() + "/tests/loopback/loopback",
                         .arguments = arguments,
                         .directory = top_,
                         .output = outer_ + "/out" + number,
                         .error = outer_ + "/err" + number});
  }

  // Starts it with `options` as share options, and waits for the mount. nullptr, and a failure, if there is none.
  std::unique_ptr<Process> Serve(const std::vector<std::string>& options = {}) {
    std::vector<std::string> arguments = {Share(), Mnt()};
    for (const std::string& option : options) arguments.push_back("--share-option=" + option);
    auto process = Start(arguments);
    if (!process->AwaitOutput("serving " + Share() + " at " + Mnt() + "\n")) {
      ADD_FAILURE() << "no mount: " << process->Error();
      return nullptr;
    }
    EXPECT_TRUE(IsMounted());
    return process;
  }

  // A single line of error that has `part`, status 2, no output and no mount.
  void ExpectRefused(const std::vector<std::string>& arguments, const std::string& part) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    const auto process = Start(arguments);
    EXPECT_EQ(process->AwaitExit(), 2);
    const std::string error = process->Error();
    EXPECT_EQ(error.find("loopback: "), 0u) << error;
    EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 1) << error;
    EXPECT_NE(error.find(part), std::string::npos) << error << "lacks " << part;
    EXPECT_EQ(process->Output(), "");
    EXPECT_FALSE(IsMounted());
  }

  // Ends it by a signal, and expects nothing but success.
  void ExpectEndsBy(int signal, Process* process) {
    process->Signal(signal);
    EXPECT_EQ(process->AwaitExit(), 0);
    EXPECT_EQ(process->Error(), "");
    EXPECT_FALSE(IsMounted());
  }

  std::string top_;  // the working directory of the program

 private:
  std::string outer_;
  int started_ = 0;
};

#define NEEDS_MOUNT() \
  if (const std::string why = WhyUnavailable(); !why.empty()) GTEST_SKIP() << why

TEST_F(LoopbackMainTest, WrongOptionsAreNamed) {
  ExpectRefused({"share", "mnt", "--share-option=cache=foo"}, "--share-option: cache: 'foo'");
  ExpectRefused({"share", "mnt", "--share-option=bogus"}, "--share-option: 'bogus'");
  ExpectRefused({"share", "mnt", "--share-option="}, "--share-option: ''");
  ExpectRefused({"--share-option=readonly=1", "share", "mnt"}, "--share-option: readonly: takes no value");
  ExpectRefused({"share", "mnt", "--share-option=cache"}, "--share-option: cache: needs a value");
  ExpectRefused({"share", "mnt", "--share-option"}, "--share-option: needs a value");
  ExpectRefused({"share", "mnt", "--share-options=readonly"}, "--share-options");
  ExpectRefused({"share", "mnt", "--frobnicate"}, "--frobnicate");
  ExpectRefused({"share", "mnt", "-v"}, "-v");
}

TEST_F(LoopbackMainTest, PathsMustBeTwoAndExist) {
  ExpectRefused({}, "usage: ");
  ExpectRefused({"share"}, "usage: ");
  ExpectRefused({"share", "mnt", "more"}, "usage: ");
  NEEDS_MOUNT();
  ExpectRefused({"absent", "mnt"}, "absent");
  ExpectRefused({"share", "nowhere"}, "nowhere");
  std::ofstream(top_ + "/file") << "x";
  ExpectRefused({"file", "mnt"}, "file");
  ExpectRefused({"share", "file"}, "file");
}

TEST_F(LoopbackMainTest, HelpListsEveryShareOption) {
  const auto process = Start({"--help"});
  EXPECT_EQ(process->AwaitExit(), 0);
  EXPECT_EQ(process->Error(), "");
  const std::string help = process->Output();
  EXPECT_EQ(help.find("usage: "), 0u) << help;
  for (const char* option : {"readonly ", "cache=", "attr-timeout=", "entry-timeout=", "uid-map=", "gid-map=",
                             "uid-squash=", "gid-squash=", "xattr-map=", "no-xattr ", "no-acl ", "announce-submounts ",
                             "writeback ", "dax-hint=", "settable-flags=", "max-nodes=", "max-descriptors="}) {
    EXPECT_NE(help.find(std::string("\n") + option), std::string::npos) << option << "is missing:\n" << help;
  }
}

TEST_F(LoopbackMainTest, EveryShareOptionIsAccepted) {
  NEEDS_MOUNT();
  for (const char* option :
       {"readonly",         "cache=auto",           "cache=always",      "cache=never",      "cache=metadata",
        "attr-timeout=0.5", "entry-timeout=0.5",    "uid-map=0:0:1000",  "gid-map=0:0:1000", "uid-squash=99",
        "gid-squash=99",    "xattr-map=deny:user.", "no-xattr",          "no-acl",           "announce-submounts",
        "writeback",        "dax-hint=memory",      "settable-flags=di", "max-nodes=1000",   "max-descriptors=100"}) {
    SCOPED_TRACE(option);
    const auto process = Serve({option});
    ASSERT_NE(process, nullptr);
    ExpectEndsBy(SIGTERM, process.get());
  }
}

TEST_F(LoopbackMainTest, ServesUntilASignal) {
  NEEDS_MOUNT();
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    SCOPED_TRACE(signal);
    const auto process = Serve();
    ASSERT_NE(process, nullptr);
    std::ofstream(Mnt("/file")) << "content";
    EXPECT_EQ(std::filesystem::file_size(Share("/file")), 7u);
    ExpectEndsBy(signal, process.get());
    EXPECT_FALSE(std::filesystem::exists(Mnt("/file")));
  }
}

TEST_F(LoopbackMainTest, SignalEndsItWhileAFileIsOpen) {
  NEEDS_MOUNT();
  for (const int signal : {SIGINT, SIGTERM}) {
    SCOPED_TRACE(signal);
    const auto process = Serve();
    ASSERT_NE(process, nullptr);
    const UniqueFd file(open(Mnt("/file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(file.valid());
    ASSERT_EQ(write(file.get(), "content", 7), 7);
    ExpectEndsBy(signal, process.get());
    // There is nobody left to ask.
    struct stat st;
    EXPECT_EQ(fchmod(file.get(), 0644), -1);
    EXPECT_EQ(errno, ENOTCONN);
    EXPECT_EQ(stat(Share("/file").c_str(), &st), 0);
    EXPECT_EQ(st.st_size, 7);
  }
}

TEST_F(LoopbackMainTest, UnmountFromOutsideEndsIt) {
  NEEDS_MOUNT();
  const auto process = Serve();
  ASSERT_NE(process, nullptr);
  std::ofstream(Mnt("/file")) << "content";
  ASSERT_EQ(umount2(Mnt().c_str(), 0), 0);
  EXPECT_EQ(process->AwaitExit(), 0);
  EXPECT_EQ(process->Error(), "");
  EXPECT_FALSE(IsMounted());
}

TEST_F(LoopbackMainTest, OptionsReachTheShare) {
  NEEDS_MOUNT();
  std::ofstream(Share("/file")) << "content";
  const auto process = Serve({"readonly"});
  ASSERT_NE(process, nullptr);
  EXPECT_EQ(std::filesystem::file_size(Mnt("/file")), 7u);
  EXPECT_EQ(open(Mnt("/file").c_str(), O_WRONLY | O_CLOEXEC), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(mkdir(Mnt("/dir").c_str(), 0755), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(unlink(Mnt("/file").c_str()), -1);
  EXPECT_EQ(errno, EROFS);
  ExpectEndsBy(SIGTERM, process.get());
}

}  // namespace
}  // namespace daxvmm::loopback
