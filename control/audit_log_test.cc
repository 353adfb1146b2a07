#include "control/audit_log.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "control/audit_log_file.h"
#include "control/json_reader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

AuditEntry Entry(const std::string& action) {
  return {.time = absl::FromUnixMicros(1'700'000'000'123'456), .action = action};
}

class AuditLogTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/auditXXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    path_ = folder_ + "/log";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<AuditLogFile> MustOpen() {
    auto log = AuditLogFile::Open(path_);
    EXPECT_TRUE(log.ok()) << log.status();
    return *std::move(log);
  }
  static std::vector<std::string> Lines(const std::string& path) {
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  std::string folder_;
  std::string path_;
};

TEST_F(AuditLogTest, ALineIsAnObject) {
  AuditEntry entry = Entry("set-policy");
  entry.source = "request";
  entry.who = "uid 1000";
  entry.from_generation = 4;
  entry.to_generation = 5;
  entry.change = "default no-dax -> dax";
  entry.summary = "0 rules, default dax";
  EXPECT_EQ(AuditLine(entry, 12, 0),
            "{\"time\":\"2023-11-14T22:13:20.123456Z\",\"pid\":12,\"action\":\"set-policy\",\"result\":\"OK\","
            "\"who\":\"uid 1000\",\"source\":\"request\",\"from_generation\":4,\"to_generation\":5,"
            "\"change\":\"default no-dax -> dax\",\"summary\":\"0 rules, default dax\"}\n");
  entry = Entry("ReadConsole");
  entry.result = absl::PermissionDeniedError("operators only");
  EXPECT_EQ(AuditLine(entry, 12, 3),
            "{\"time\":\"2023-11-14T22:13:20.123456Z\",\"pid\":12,\"action\":\"ReadConsole\","
            "\"result\":\"PERMISSION_DENIED\",\"message\":\"operators only\",\"missing_before\":3}\n");
}

TEST_F(AuditLogTest, BytesStayOneLineOfJson) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  all += "\xc2\x9b\xc3\xa9\xe2\x82\xac";
  AuditEntry entry = Entry("x");
  entry.change = all;
  const std::string line = AuditLine(entry, 1, 0);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_THAT(line, HasSubstr("\\u0000\\u0001"));
  EXPECT_THAT(line, HasSubstr("\\\"#"));
  EXPECT_THAT(line, HasSubstr("\\\\xff\\u009b\xc3\xa9\xe2\x82\xac"));
  for (const char c : line.substr(0, line.size() - 1)) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
  const auto value = ReadJson(line);
  EXPECT_TRUE(value.ok()) << value.status();
  entry.change = std::string(1 << 20, '\x01');
  EXPECT_LT(AuditLine(entry, 1, 0).size(), 30'000u);
}

TEST_F(AuditLogTest, Appends) {
  std::ofstream(path_) << "before\n";
  chmod(path_.c_str(), 0640);
  MustOpen()->Write(Entry("a"));
  MustOpen()->Write(Entry("b"));
  EXPECT_THAT(Lines(path_), ElementsAre("before", HasSubstr("\"a\""), HasSubstr("\"b\"")));
  struct stat st{};
  ASSERT_EQ(stat(path_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0640u) << "the mode of an existing file is its owner's matter";
  std::filesystem::remove(path_);
  MustOpen();
  ASSERT_EQ(stat(path_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
}

TEST_F(AuditLogTest, WhatIsNoFileIsRefused) {
  const auto refuse = [this](const std::string& why) {
    const auto log = AuditLogFile::Open(path_);
    ASSERT_FALSE(log.ok());
    EXPECT_THAT(std::string(log.status().message()), HasSubstr(path_ + ": "));
    EXPECT_THAT(std::string(log.status().message()), HasSubstr(why));
  };
  path_ = folder_ + "/none/log";
  refuse("No such file");
  path_ = folder_;
  refuse("Is a directory");
  path_ = folder_ + "/fifo";
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  refuse("not a regular file");
  path_ = "/dev/null";
  refuse("not a regular file");
  path_ = folder_ + "/link";
  ASSERT_EQ(symlink("target", path_.c_str()), 0);
  refuse("a symbolic link");
}

TEST_F(AuditLogTest, FollowsRotation) {
  const auto log = MustOpen();
  log->Write(Entry("a"));
  std::filesystem::rename(path_, path_ + ".1");
  log->Write(Entry("b"));
  std::filesystem::remove(path_);
  log->Write(Entry("c"));
  // The place is taken by what cannot be one: better the old file than none.
  std::filesystem::rename(path_, path_ + ".2");
  std::filesystem::create_directory(path_);
  log->Write(Entry("d"));
  EXPECT_THAT(Lines(path_ + ".1"), ElementsAre(HasSubstr("\"a\"")));
  EXPECT_THAT(Lines(path_ + ".2"), ElementsAre(HasSubstr("\"c\""), HasSubstr("\"d\"")));
  std::filesystem::remove(path_);
  log->Write(Entry("e"));
  EXPECT_THAT(Lines(path_), ElementsAre(HasSubstr("\"e\"")));
}

TEST_F(AuditLogTest, RefusalsHaveARate) {
  const auto log = MustOpen();
  AuditEntry denied = Entry("SetPolicy");
  denied.result = absl::PermissionDeniedError("no");
  for (int i = 0; i < 2 * AuditLogFile::kMaxRefusals; ++i) log->Write(denied);
  EXPECT_EQ(Lines(path_).size(), static_cast<size_t>(AuditLogFile::kMaxRefusals));
  // Changes are written whatever was refused before, and say what is missing.
  log->Write(Entry("set-policy"));
  EXPECT_THAT(Lines(path_).back(), HasSubstr("\"missing_before\":600"));
  denied.time += absl::Minutes(1);
  log->Write(denied);
  EXPECT_THAT(Lines(path_).back(), HasSubstr("PERMISSION_DENIED"));
}

// The limit on a file's size stands for a full disk: a line is cut in its middle, and then none fits at all.
TEST_F(AuditLogTest, WhatCannotBeWrittenIsCounted) {
  const auto log = MustOpen();
  log->Write(Entry("first"));
  const auto size = std::filesystem::file_size(path_);
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = size + 10;
    setrlimit(RLIMIT_FSIZE, &limit);
    log->Write(Entry("cut"));
    log->Write(Entry("lost"));
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
    log->Write(Entry("again"));
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  const std::vector<std::string> lines = Lines(path_);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[1].size(), 10u) << "the part that was written";
  EXPECT_THAT(lines[2], HasSubstr("\"again\""));
  EXPECT_THAT(lines[2], HasSubstr("\"missing_before\":2"));
}

TEST_F(AuditLogTest, LinesOfManyThreadsStayWhole) {
  const auto one = MustOpen();
  const auto other = MustOpen();  // as another machine has it
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      AuditEntry entry = Entry("set-policy");
      entry.change = std::string(500, static_cast<char>('a' + i));
      for (int n = 0; n < 200; ++n) (i % 2 == 0 ? one : other)->Write(entry);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::vector<std::string> lines = Lines(path_);
  EXPECT_EQ(lines.size(), 800u);
  for (const std::string& line : lines) EXPECT_TRUE(ReadJson(line).ok()) << line;
}

}  // namespace
}  // namespace daxvmm::control
