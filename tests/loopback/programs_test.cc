// Programs that people use, on a loopback mount in each cache mode: what they check themselves must hold, and what they
// wrote must be below the mount, as a host sees it.
//
// Without DAXVMM_LONG in the environment the runs are short, and stress-ng runs in one mode only.
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/loopback/loopback_fixture.h"

namespace daxvmm::loopback {
namespace {

struct Mode {
  const char* name;
  fs::CacheMode cache;
  bool writeback;
};

// Which of the programs is missing; empty if none.
std::string Missing(std::initializer_list<const char*> programs) {
  for (const char* program : programs) {
    if (system(absl::StrCat("command -v ", program, " > /dev/null").c_str()) != 0) return program;
  }
  return "";
}

#define NEED(...)                                                           \
  if (const std::string missing = Missing({__VA_ARGS__}); !missing.empty()) \
  GTEST_SKIP() << missing << " is not installed"

class ProgramsTest : public LoopbackTest, public testing::WithParamInterface<Mode> {
 public:
  ProgramsTest() : LoopbackTest({.cache = GetParam().cache, .writeback = GetParam().writeback}) {}

 protected:
  // A script that may take long.
  int RunProgram(const std::string& script) { return Run(script, /*deadline_ms=*/IsLong() ? 600'000 : 120'000); }
};

TEST_P(ProgramsTest, GitClonesChecksAndPacks) {
  NEED("git");
  static constexpr char kScript[] = R"sh(
    export HOME=$PWD/local GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
    git init -q -b main local/origin; cd local/origin
    for i in $(seq 1 60); do
      mkdir -p d$((i % 7)); seq $((i * 40)) > d$((i % 7))/f$i; seq $i >> common
      git add . ; git commit -q -m "change $i"
    done
    cd ../..
    git clone -q --no-local local/origin mnt/clone; cd mnt/clone
    git fsck --strict --full; test -z "$(git status --porcelain)"
    git checkout -q -b side HEAD~20; seq 5000 > new; git add new; git commit -q -m side
    git merge -q -m merge main; git gc -q --prune=now; git fsck --strict --full
    git rebase -q main side~1 > /dev/null 2>&1 || git rebase --abort || true
    git checkout -q side; git repack -q -a -d -f; git fsck --strict --full; test -z "$(git status --porcelain)"
    cd ../..; git -C share/clone fsck --strict --full
    test "$(git -C share/clone rev-parse main)" = "$(git -C local/origin rev-parse main)"
  )sh";
  EXPECT_EQ(RunProgram(kScript), 0);
}

TEST_P(ProgramsTest, SqliteKeepsItsIntegrity) {
  NEED("sqlite3");
  static constexpr char kScript[] = R"sh(
    for journal in delete truncate persist wal; do
      db=mnt/$journal.db
      sqlite3 $db "pragma journal_mode=$journal; create table t(id integer primary key, who text, v text); create index i on t(v);" > /dev/null
      for p in 1 2 3; do
        (for i in $(seq 15); do
           echo "pragma synchronous=normal; begin immediate;"
           echo "insert into t(who, v) select '$p', hex(randomblob(100)) from (values(1),(2),(3),(4),(5),(6),(7),(8),(9),(10));"
           echo "update t set v = hex(randomblob(60)) where id % 17 = $i and who = '$p'; commit;"
         done | sqlite3 -cmd ".timeout 60000" $db > /dev/null) &
        pids[$p]=$!
      done
      for p in 1 2 3; do wait ${pids[$p]}; done
      test "$(sqlite3 $db 'pragma integrity_check')" = ok
      test "$(sqlite3 $db 'select count(*) from t')" = 450
      sqlite3 $db 'pragma wal_checkpoint(truncate)' > /dev/null; sqlite3 $db 'delete from t where id % 3 = 0; vacuum;'
      sync $db
      cp share/$journal.db local/copy.db; test "$(sqlite3 local/copy.db 'pragma integrity_check')" = ok
      test "$(sqlite3 local/copy.db 'select count(*) from t')" = 300
    done
  )sh";
  EXPECT_EQ(RunProgram(kScript), 0);
}

TEST_P(ProgramsTest, CProjectIsBuilt) {
  NEED("gcc", "make");
  static constexpr char kScript[] = R"sh(
    mkdir mnt/p; cd mnt/p
    for i in $(seq 24); do
      printf '#pragma once\nint f%d(int);\n' $i > f$i.h
      printf '#include "f%d.h"\n#include <stdlib.h>\nint f%d(int x) { return abs(x) + %d; }\n' $i $i $i > f$i.c
    done
    { for i in $(seq 24); do echo "#include \"f$i.h\""; done; echo '#include <stdio.h>'; echo 'int main(void) { int s = 0;'
      for i in $(seq 24); do echo "s += f$i(-1);"; done; echo 'printf("%d\n", s); return 0; }'; } > main.c
    printf 'O := $(patsubst %%.c,%%.o,$(wildcard *.c))\nprog: $(O)\n\tgcc -o $@ $^\n%%.o: %%.c\n\tgcc -O1 -g -MMD -c -o $@ $<\n-include *.d\nclean:\n\trm -f *.o *.d prog\n' > Makefile
    make -s -j4 prog; test "$(./prog)" = 324
    make -q prog; sleep 0.02; touch f3.h; if make -q prog; then exit 1; fi; make -s -j4 prog; make -q prog; test "$(./prog)" = 324
    cd ../..; test "$(share/p/prog)" = 324; cmp mnt/p/prog share/p/prog
    make -s -C mnt/p clean; test "$(ls share/p/*.o 2>/dev/null | wc -l)" = 0
  )sh";
  EXPECT_EQ(RunProgram(kScript), 0);
}

TEST_P(ProgramsTest, FioVerifiesWhatItWrites) {
  NEED("fio");
  for (const char* engine : {"psync", "mmap", "pvsync2"}) {
    SCOPED_TRACE(engine);
    EXPECT_EQ(
        RunProgram(absl::StrCat("fio --name=v --directory=mnt --filename=", engine, " --size=", IsLong() ? "64m" : "8m",
                                " --rw=randwrite --bs=4k-64k --bs_unaligned=", engine == std::string("mmap") ? 0 : 1,
                                " --ioengine=", engine,
                                " --verify=crc32c --do_verify=1 --verify_fatal=1 --fsync=64 --minimal > local/fio;"
                                "cmp mnt/",
                                engine, " share/", engine)),
        0);
  }
  EXPECT_EQ(RunProgram("fio --name=v --directory=mnt --numjobs=4 --size=2m --rw=randrw --bs=512-16k --ioengine=psync "
                       "--verify=crc32c --verify_fatal=1 --minimal > local/fio"),
            0);
}

TEST_P(ProgramsTest, RsyncCarriesEverythingOverAndBack) {
  NEED("rsync", "setfattr", "setfacl");
  static constexpr char kScript[] = R"sh(
    mkdir -p local/t/a/b local/t/e; seq 50000 > local/t/n; head -c 2000003 /dev/urandom > local/t/a/r
    for i in $(seq 200); do echo $i > local/t/a/b/$i; done
    ln local/t/n local/t/a/hard; ln -s ../n local/t/a/soft; mkfifo local/t/fifo; truncate -s 5M local/t/sparse
    chown 1234:2345 local/t/a/b/7; chmod 4751 local/t/a/r; chmod 2775 local/t/e
    setfattr -n user.color -v green local/t/n; setfattr -n trusted.note -v x local/t/a/r
    setfacl -m u:1234:rw,g:55:r local/t/a/b/9; setfacl -d -m u:77:rwx local/t/e
    touch -d '2001-02-03 04:05:06.789012345' local/t/n
    rsync -aHAXS --numeric-ids local/t/ mnt/t/
    test -z "$(rsync -aHAXSni --numeric-ids --checksum local/t/ mnt/t/)"
    test -z "$(rsync -aHAXSni --numeric-ids --checksum local/t/ share/t/)"
    rsync -aHAXS --numeric-ids mnt/t/ local/back/
    test -z "$(rsync -aHAXSni --numeric-ids --checksum local/t/ local/back/)"
    rm -rf mnt/t; test ! -e share/t
  )sh";
  EXPECT_EQ(RunProgram(kScript), 0);
}

TEST_P(ProgramsTest, LocksExcludeEachOther) {
  NEED("flock");
  static constexpr char kScript[] = R"sh(
    echo 0 > mnt/counter
    add() { for i in $(seq 30); do flock mnt/lock sh -c 'echo $(($(cat mnt/counter) + 1)) > mnt/counter'; done; }
    add & add & add & wait; test "$(cat mnt/counter)" = 90; test "$(cat share/counter)" = 90
  )sh";
  EXPECT_EQ(RunProgram(kScript), 0);
}

TEST_P(ProgramsTest, ThousandsOfFilesAreFound) {
  static constexpr char kScript[] = R"sh(
    mkdir mnt/many; cd mnt/many
    for d in $(seq 10); do mkdir $d; (cd $d; seq 500 | xargs touch); done
    test $(find . -type f | wc -l) = 5000; find . -type f -print0 | xargs -0 chmod 640
    test $(find . -type f -perm 640 | wc -l) = 5000
    cd ../..; test $(find share/many -type f -perm 640 | wc -l) = 5000; rm -rf mnt/many; test -z "$(ls share)"
  )sh";
  EXPECT_EQ(RunProgram(kScript), 0);
}

TEST_P(ProgramsTest, StressNgFindsNothing) {
  NEED("stress-ng");
  if (!IsLong() && GetParam().name != std::string("auto")) GTEST_SKIP() << "only with --long";
  const std::string seconds = IsLong() ? "10" : "1";
  // Those of the class "filesystem" that work on files of their own in --temp-path, and judge what they read.
  for (const char* stressor :
       {"chdir",    "chmod",     "chown",     "copy-file", "dentry",     "dir",      "dirdeep", "dirmany",
        "dup",      "fallocate", "fcntl",     "fiemap",    "file-ioctl", "filename", "flock",   "fpunch",
        "fsize",    "fstat",     "getdent",   "hdd",       "iomix",      "lease",    "link",    "locka",
        "lockf",    "lockofd",   "mknod",     "open",      "readahead",  "rename",   "revio",   "seek",
        "sendfile", "symlink",   "sync-file", "touch",     "utime",      "verity",   "xattr"}) {
    SCOPED_TRACE(stressor);
    if (system(absl::StrCat("stress-ng --help | grep -q -e '--", stressor, " N'").c_str()) != 0) continue;  // too old
    // 0: passed; 3: it found that it cannot run here; 4: not implemented here.
    EXPECT_EQ(RunProgram(absl::StrCat("mkdir -p mnt/s; stress-ng --", stressor, " 2 --verify --timeout ", seconds,
                                      " --temp-path mnt/s --log-file local/log --quiet || e=$?;"
                                      "case ${e:-0} in 0|3|4) ;; *) cat local/log; exit $e;; esac; rm -rf mnt/s")),
              0);
  }
}

INSTANTIATE_TEST_SUITE_P(Cache, ProgramsTest,
                         testing::Values(Mode{"auto", fs::CacheMode::kAuto, false},
                                         Mode{"always", fs::CacheMode::kAlways, false},
                                         Mode{"never", fs::CacheMode::kNever, false},
                                         Mode{"metadata", fs::CacheMode::kMetadata, false},
                                         Mode{"writeback", fs::CacheMode::kAuto, true}),
                         [](const auto& mode) { return std::string(mode.param.name); });

}  // namespace
}  // namespace daxvmm::loopback
