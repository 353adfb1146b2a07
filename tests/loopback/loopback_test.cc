// Real programs on the loopback mount, and the conformance cases through the host's kernel.
#include <string>

#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "gtest/gtest.h"
#include "tests/fs_conformance/host_volume.h"
#include "tests/loopback/loopback_fixture.h"

namespace daxvmm::loopback {
namespace {

constexpr char kMakeTree[] =
    "mkdir -p local/t/a/b local/t/empty;"
    "seq 100000 > local/t/numbers;"
    "head -c 3000001 /dev/urandom > local/t/a/random;"
    "for i in $(seq 300); do echo $i > local/t/a/b/f$i; done;"
    "ln -s ../numbers local/t/a/link; ln local/t/numbers local/t/a/hard; mkfifo local/t/fifo;"
    "chmod 751 local/t/a; chmod 4750 local/t/a/random; chown 1234:2345 local/t/a/b/f7;"
    "truncate -s 10M local/t/sparse; touch -d '2001-02-03 04:05:06.789012345' local/t/numbers;";

// Everything that tar can tell of a tree, as one line per entry.
constexpr char kDescribe[] =
    "describe() { (cd $1 && find . ! -type d -printf '%p %y %m %U %G %n %s %T@ %l\\n' -o -type d -printf '%p %y %m %U "
    "%G\\n' | sort); (cd $1 && find . -type f | sort | xargs -d '\\n' sha256sum); };";

TEST_F(LoopbackTest, TheMountIsServedByThisServer) {
  EXPECT_EQ(Run("echo hello > mnt/file; test \"$(cat share/file)\" = hello; test \"$(cat mnt/file)\" = hello"), 0);
  EXPECT_GT(mount_->request_count(FUSE_INIT), 0u);
  EXPECT_GT(mount_->request_count(FUSE_CREATE), 0u);
  EXPECT_GT(mount_->request_count(FUSE_WRITE), 0u);
}

TEST_F(LoopbackTest, CopyOfATreeIsTheTree) {
  EXPECT_EQ(Run(std::string(kMakeTree) + kDescribe +
                "cp -a local/t mnt/t; describe local/t > want; describe mnt/t > got; describe share/t > below;"
                "diff want got; diff want below"),
            0);
  EXPECT_EQ(Run("cp -a mnt/t local/back; diff -r --no-dereference --exclude=fifo local/t local/back"), 0);
}

TEST_F(LoopbackTest, TarRoundTrip) {
  EXPECT_EQ(
      Run(std::string(kMakeTree) + kDescribe +
          "tar -C local --format=posix -cf mnt/t.tar t; mkdir mnt/out; tar -C mnt/out -xpf mnt/t.tar --same-owner;"
          "describe local/t > want; describe mnt/out/t > got; diff want got;"
          "tar -C mnt/out --format=posix -cf local/again.tar t; mkdir local/out; tar -C local/out -xpf local/again.tar;"
          "describe local/out/t > got; diff want got"),
      0);
}

TEST_F(LoopbackTest, FindSeesEveryEntryOfALargeDirectory) {
  EXPECT_EQ(Run("mkdir mnt/d; cd mnt/d; seq 5000 | xargs touch; cd ../..; test $(find mnt/d -type f | wc -l) = 5000;"
                "test $(ls -f share/d | wc -l) = 5002; find mnt/d -type f -delete; rmdir mnt/d"),
            0);
}

TEST_F(LoopbackTest, MoveAndLink) {
  EXPECT_EQ(Run("mkdir mnt/a mnt/b; echo 1 > mnt/a/x; mv mnt/a/x mnt/b/y; test ! -e mnt/a/x; test $(cat mnt/b/y) = 1;"
                "ln mnt/b/y mnt/a/z; test $(stat -c %h mnt/a/z) = 2; test mnt/a/z -ef mnt/b/y;"
                "ln -s b/y mnt/s; test $(cat mnt/s) = 1; test $(readlink mnt/s) = b/y;"
                "mv mnt/a mnt/b/a; test $(cat mnt/b/a/z) = 1; rm -r mnt/b; test ! -e mnt/b"),
            0);
}

TEST_F(LoopbackTest, DdAtOffsets) {
  EXPECT_EQ(Run("head -c 8388608 /dev/urandom > local/r; cp local/r mnt/r; cp local/r local/w;"
                "for f in mnt/r local/w; do"
                "  dd if=/dev/zero of=$f bs=4097 seek=13 count=7 conv=notrunc status=none;"
                "  dd if=local/r of=$f bs=1M skip=3 seek=9 count=2 conv=notrunc status=none;"
                "  dd if=local/r of=$f bs=512 oflag=append conv=notrunc count=9 status=none;"
                "done; cmp mnt/r local/w; cmp share/r local/w;"
                "dd if=mnt/r bs=1000 skip=77 count=1234 status=none | sha256sum > one;"
                "dd if=local/w bs=1000 skip=77 count=1234 status=none | sha256sum > two; cmp one two"),
            0);
}

TEST_F(LoopbackTest, ManyProcessesAtOnce) {
  EXPECT_EQ(Run("for p in 1 2 3 4 5 6 7 8; do ("
                "  mkdir mnt/p$p; for i in $(seq 60); do echo $p $i > mnt/p$p/t; mv mnt/p$p/t mnt/p$p/$i; done;"
                "  cat mnt/p$p/* | wc -l > mnt/n$p ) & done; wait;"
                "for p in 1 2 3 4 5 6 7 8; do test $(cat mnt/n$p) = 60; done"),
            0);
}

TEST_F(LoopbackTest, OtherUsersFilesAreTheirs) {
  EXPECT_EQ(Run("mkdir mnt/d; chmod 1777 mnt/d;"
                "setpriv --reuid 1234 --regid 2345 --clear-groups sh -c 'umask 027; echo x > mnt/d/f; mkdir mnt/d/e';"
                "test \"$(stat -c %u:%g:%a share/d/f)\" = 1234:2345:640;"
                "test \"$(stat -c %u:%g:%a share/d/e)\" = 1234:2345:750;"
                "setpriv --reuid 99 --regid 99 --clear-groups sh -c '! cat mnt/d/f && ! rm -f mnt/d/f' 2> /dev/null"),
            0);
  // By a supplementary group, of which the server is not told.
  EXPECT_EQ(Run("mkdir mnt/g; chgrp 777 mnt/g; chmod 770 mnt/g;"
                "setpriv --reuid 1234 --regid 2345 --groups 777 sh -c 'echo x > mnt/g/f';"
                "test \"$(stat -c %u:%g share/g/f)\" = 1234:2345"),
            0);
}

TEST_F(LoopbackTest, ReadOnlyShareRefusesEveryChange) {
  ASSERT_EQ(Run("echo x > share/f; mkdir share/d; setfattr -n user.a -v b share/f || true"), 0);
  Mount({.read_only = true});
  EXPECT_EQ(Run("test $(cat mnt/f) = x; for c in 'echo y > mnt/f' 'echo y >> mnt/f' 'touch mnt/n' 'mkdir mnt/n' "
                "'rm mnt/f' 'rmdir mnt/d' 'mv mnt/f mnt/g' 'ln mnt/f mnt/g' 'ln -s x mnt/g' 'chmod 1 mnt/f' "
                "'chown 1 mnt/f' 'truncate -s 9 mnt/f' 'touch mnt/f' 'mkfifo mnt/p'; do"
                "  if sh -c \"$c\" 2> err; then echo \"accepted: $c\"; exit 1; fi;"
                "  grep -q 'Read-only file system' err || { echo \"$c:\"; cat err; exit 1; }; done;"
                "test \"$(ls share)\" = \"$(printf 'd\\nf')\"; test $(cat share/f) = x"),
            0);
}

TEST_F(LoopbackTest, NothingStaysBehind) {
  ASSERT_EQ(Run("mkdir mnt/d; for i in $(seq 200); do echo $i > mnt/d/$i; done; ls -l mnt/d > /dev/null"), 0);
  EXPECT_GT(fs_->node_count(), 100u);
  EXPECT_EQ(fs_->over_forgets(), 0u);
  mount_.reset();
  EXPECT_EQ(fs_->node_count(), 1u);
  EXPECT_EQ(fs_->handle_count(), 0u);
}

TEST_F(LoopbackTest, LiveNodesAreListedByPath) {
  ASSERT_EQ(Run("mkdir mnt/d; echo 12345 > mnt/d/f; mv mnt/d/f mnt/d/g; cat mnt/d/g > /dev/null"), 0);
  bool found = false;
  for (const fs::LiveNode& node : fs_->ListLiveNodes()) {
    if (node.path != "d/g") continue;
    found = true;
    EXPECT_TRUE(node.regular);
    EXPECT_EQ(node.size.raw(), 6u);
    EXPECT_EQ(node.writes, 1u);
  }
  EXPECT_TRUE(found);
}

// Each conformance case on a mount of its own.
class MountedCase : public LoopbackTest {
 public:
  explicit MountedCase(const conformance::Case& test_case) : case_(test_case) {}
  void TestBody() override { case_.run(*conformance::MakeHostVolume(top_ + "/mnt")); }

 private:
  const conformance::Case& case_;
};

void RegisterCases() {
  for (const conformance::Case& test_case : conformance::AllCases()) {
    testing::RegisterTest("Mounted", test_case.name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [&test_case]() -> LoopbackTest* { return new MountedCase(test_case); });
  }
}

}  // namespace
}  // namespace daxvmm::loopback

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  daxvmm::loopback::RegisterCases();
  return RUN_ALL_TESTS();
}
