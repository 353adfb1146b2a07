// Ring 5, with scripts/test --long only: programs that people run work on a Debian tree that a guest has mounted, with
// DAX on, off and file by file. What they leave is compared with what the host then sees: by the same programs of the
// same tree, run on the host.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/linux/checks.h"

namespace daxvmm::linux_test {
namespace {

constexpr char kRootTag[] = "rootfs";
constexpr char kRootMountPoint[] = "/mnt/root";
constexpr absl::Duration kProgramDeadline = absl::Minutes(15);
constexpr unsigned kSources = 24;
constexpr unsigned kStressSeconds = 20;
// By their full names: busybox, whose chroot starts this in the guest, takes applets of its own for what has none.
constexpr char kShell[] = "/usr/bin/env -i HOME=/root LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin /bin/sh -ec ";

std::string Quoted(const std::string& script) { return absl::StrCat("'", script, "'"); }

// The parameter: what follows "dax=".
class LongProgramsTest : public testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() {
    const Environment& environment = TestEnvironment();
    if (environment.rootfs.empty()) return;
    GuestOptions options;
    options.memory = "768M";
    options.shares = {absl::StrCat("path=", environment.rootfs, ",tag=", kRootTag, ",dax-window=256M")};
    absl::StatusOr<Machine> machine = BootMachine(environment, options);
    boot_status_ = machine.status();
    if (machine.ok()) machine_ = new Machine(*std::move(machine));
  }

  static void TearDownTestSuite() {
    delete machine_;
    machine_ = nullptr;
  }

  void SetUp() override {
    if (TestEnvironment().rootfs.empty()) {
      GTEST_SKIP() << "no root file system (--rootfs): only with scripts/test --long";
    }
    ASSERT_OK(boot_status_);
    work_ = absl::StrCat("/root/work-", GetParam());
    ASSERT_EQ(mkdir(HostPath("").c_str(), 0755), 0);
    const absl::StatusOr<v1::Window> window = WindowOf(*machine_, kRootTag);
    ASSERT_OK(StatusOf(window));
    maps_before_ = window->maps();
    ASSERT_OK(StatusOf(guest().Check(absl::StrCat(
        "m=", kRootMountPoint, "; mkdir -p $m; mount -t virtiofs -o dax=", GetParam(), " ", kRootTag, " $m && ",
        "mount -t proc proc $m/proc && mount --bind /dev $m/dev && mount -t tmpfs tmp $m/tmp"))));
  }

  void TearDown() override {
    if (machine_ == nullptr) return;
    ASSERT_OK(StatusOf(guest().Check(
        absl::StrCat("m=", kRootMountPoint, "; umount $m/tmp; umount $m/dev; umount $m/proc; umount $m"))));
    const absl::StatusOr<v1::Window> window = WindowOf(*machine_, kRootTag);
    ASSERT_OK(StatusOf(window));
    EXPECT_EQ(window->mapped_chunks(), 0u);
    EXPECT_EQ(window->rejected(), 0u);
    if (std::string(GetParam()) == "never") {
      EXPECT_EQ(window->maps(), maps_before_) << "mapped although DAX is off";
    } else {
      EXPECT_GT(window->maps(), maps_before_) << "DAX was not on";
    }
    OnHost(absl::StrCat("rm -r ", work_));
  }

  static LinuxGuest& guest() { return *machine_->guest; }
  // Of a file of this case's working directory.
  std::string HostPath(const std::string& name) const {
    return absl::StrCat(TestEnvironment().rootfs, work_, name.empty() ? "" : "/", name);
  }

  // Both run a script, which has no single quote in it, in the working directory with the tree as root. The test fails
  // if the script does; what it prints is returned.
  std::string InGuest(const std::string& script) {
    const std::string command = absl::StrCat("chroot ", kRootMountPoint, " ", kShell,
                                             Quoted(absl::StrCat("cd ", work_, "; ", script)), " </dev/null");
    const absl::StatusOr<std::string> output = guest().Check(command, kProgramDeadline);
    EXPECT_TRUE(output.ok()) << output.status();
    return output.value_or("");
  }
  std::string OnHost(const std::string& script) {
    const std::string command = absl::StrCat("chroot ", TestEnvironment().rootfs, " ", kShell,
                                             Quoted(absl::StrCat("cd ", work_, "; ", script)), " 2>&1 </dev/null");
    FILE* pipe = popen(command.c_str(), "r");
    std::string output;
    char buffer[4096];
    while (pipe != nullptr) {
      const size_t got = fread(buffer, 1, sizeof(buffer), pipe);
      if (got == 0) break;
      output.append(buffer, got);
    }
    const int status = pipe == nullptr ? -1 : pclose(pipe);
    EXPECT_EQ(status, 0) << "on the host, '" << script << "': " << output;
    while (!output.empty() && output.back() == '\n') output.pop_back();
    return output;
  }
  // What both sides print of it is the same, and not nothing.
  void ExpectSame(const std::string& script) {
    const std::string seen = InGuest(script);
    EXPECT_NE(seen, "");
    EXPECT_EQ(seen, OnHost(script)) << script;
  }
  // Names, kinds, modes, sizes and bytes below `dir`.
  void ExpectSameTree(const std::string& dir) {
    SCOPED_TRACE(dir);
    ExpectSame(absl::StrCat("find ", dir, " -type d -printf \"%p %m\\n\" -o -printf \"%p %y %m %s %l\\n\" | sort | ",
                            "sha256sum; find ", dir, " -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum"));
  }

  void WriteSources() {
    ASSERT_EQ(mkdir(HostPath("src").c_str(), 0755), 0);
    std::ofstream make(HostPath("src/Makefile"));
    make << "OBJECTS =";
    for (unsigned i = 0; i < kSources; ++i) make << " f" << i << ".o";
    make << "\nprogram: main.o $(OBJECTS)\n\t$(CC) -o $@ main.o $(OBJECTS)\n%.o: %.c all.h\n\t$(CC) -c -o $@ $<\n";
    std::ofstream header(HostPath("src/all.h"));
    std::ofstream main(HostPath("src/main.c"));
    main << "#include <stdio.h>\n#include \"all.h\"\nint main(void) {\n  unsigned long sum = 0;\n";
    for (unsigned i = 0; i < kSources; ++i) {
      header << "unsigned long f" << i << "(unsigned long);\n";
      main << "  sum = f" << i << "(sum);\n";
      std::ofstream(HostPath(absl::StrCat("src/f", i, ".c")))
          << "#include <stdlib.h>\n#include \"all.h\"\nunsigned long f" << i << "(unsigned long x) { return x * 31 + "
          << i << "; }\n";
      expected_sum_ = expected_sum_ * 31 + i;
    }
    main << "  printf(\"%lu\\n\", sum);\n  return 0;\n}\n";
  }

  static Machine* machine_;
  std::string work_;  // inside the tree
  uint64_t expected_sum_ = 0;

 private:
  static absl::Status boot_status_;
  uint64_t maps_before_ = 0;
};

Machine* LongProgramsTest::machine_ = nullptr;
absl::Status LongProgramsTest::boot_status_ = absl::OkStatus();

INSTANTIATE_TEST_SUITE_P(Dax, LongProgramsTest, testing::Values("always", "never", "inode"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(LongProgramsTest, MakeBuildsAndGitClones) {
  ASSERT_NO_FATAL_FAILURE(WriteSources());
  InGuest("cp -r src build; cd build; make -s -j2 CC=tcc");
  EXPECT_EQ(InGuest("build/program"), absl::StrCat(expected_sum_));
  EXPECT_EQ(OnHost("build/program"), absl::StrCat(expected_sum_));
  InGuest(
      "git init -q build; git -C build add .; "
      "git -C build -c user.name=n -c user.email=e commit -qm one; "
      "git clone -q --no-local build clone; git -C clone fsck --full --strict; diff -r -x .git build clone");
  EXPECT_EQ(InGuest("git -C clone status --porcelain"), "");
  OnHost("git -C clone fsck --full --strict");
  ExpectSameTree("clone");
}

TEST_P(LongProgramsTest, TarRoundTrips) {
  InGuest(
      "tar -C /usr/include/x86_64-linux-gnu -cf all.tar .; mkdir out; tar -C out -xf all.tar; "
      "tar -C out -df all.tar; diff -r out /usr/include/x86_64-linux-gnu; "
      "(cd out; find . -type f -print0 | xargs -0 sha256sum) >sums");
  OnHost("cd out; sha256sum -c --quiet ../sums");
  ExpectSame("sha256sum all.tar");
  ExpectSameTree("out");
}

TEST_P(LongProgramsTest, SqliteKeepsItsDatabaseWhole) {
  for (const char* journal : {"delete", "wal"}) {
    SCOPED_TRACE(journal);
    const std::string db = absl::StrCat(journal, ".db");
    InGuest(absl::StrCat("sqlite3 ", db, " \"pragma journal_mode=", journal,
                         "; create table t(a integer primary key, b text); ",
                         "with recursive n(i) as (select 1 union all select i+1 from n where i<4000) ",
                         "insert into t select i, hex(randomblob(40)) from n; create index x on t(b); ",
                         "update t set b = b || a where a % 3 = 0; delete from t where a % 7 = 0; vacuum;\""));
    EXPECT_EQ(InGuest(absl::StrCat("sqlite3 ", db, " \"pragma integrity_check\"")), "ok");
    EXPECT_EQ(OnHost(absl::StrCat("sqlite3 ", db, " \"pragma integrity_check\"")), "ok");
    ExpectSame(
        absl::StrCat("sqlite3 ", db, " \"select count(*), sum(length(b)) from t; select * from t\" | sha256sum"));
  }
}

TEST_P(LongProgramsTest, FioVerifiesWhatItWrote) {
  for (const char* engine : {"psync", "mmap"}) {
    SCOPED_TRACE(engine);
    InGuest(absl::StrCat("fio --minimal --output=/dev/null --name=", engine, " --filename=", engine, ".dat --ioengine=",
                         engine, " --rw=randwrite --bs=4k --size=6M --verify=crc32c --do_verify=1 --verify_fatal=1 ",
                         "--fallocate=none --fsync=64 --thread"));
    ExpectSame(absl::StrCat("sha256sum ", engine, ".dat"));
  }
}

TEST_P(LongProgramsTest, StressNgFindsNothing) {
  InGuest(absl::StrCat("mkdir stress; stress-ng --verify --temp-path stress --timeout ", kStressSeconds,
                       " --chmod 1 --copy-file 1 --dentry 1 --dentries 200 --dir 1 --dir-dirs 200 "
                       "--fallocate 1 --fallocate-bytes 4M --filename 1 --flock 2 --link 1 --rename 1 "
                       "--seek 1 --seek-size 4M --symlink 1 --utime 1 --xattr 1"));
  ExpectSame("find stress | wc -l");
}

}  // namespace
}  // namespace daxvmm::linux_test
