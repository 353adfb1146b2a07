// Real programs on the loopback mount, and the conformance cases through the host's kernel.
#include <linux/fs.h>

#include <algorithm>
#include <string>
#include <vector>

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

// The client leaves the umask to the server where it grants POSIX_ACL: whoever makes whatever gets the host's modes.
TEST_F(LoopbackTest, UmaskAndDefaultAclsCountAsOnTheHost) {
  if (Run("command -v setfacl getfacl > /dev/null") != 0) GTEST_SKIP() << "acl is not installed";
  if (Run("setfacl -d -m u:77:rwx local 2> /dev/null && setfacl -k local") != 0) GTEST_SKIP() << "no ACLs here";
  static constexpr char kScript[] = R"sh(
    make() {
      umask $1; set -e; cd $2
      touch file; mkdir dir; mknod fifo p; mknod node c 1 3; mknod block b 7 99; ln -s file link; ln file hard
      mkdir -m 2751 mode; install -m 4711 /dev/null installed; cp file copy; mkdir -p dir/deep/er; touch dir/deep/er/f
      echo x > written; mktemp -p . t.XXXXXX > name; mv $(cat name) temporary; rm name
    }
    list() { (cd $1; find . -printf '%p %M %U %G
' | LC_ALL=C sort; find . ! -type l | LC_ALL=C sort | xargs getfacl -n -p); }
    for acl in none d:u::rwx,d:g::rwx,d:o::rwx d:u::rwx,d:g::r-x,d:o::--- \
        d:u::rwx,d:u:99:rw-,d:g::rwx,d:g:55:r-x,d:m::rwx,d:o::r-- \
        d:u::rw-,d:u:99:rwx,d:g::---,d:m::r--,d:o::---; do
      for mask in 000 022 027 077 0777; do
        for at in mnt local; do
          d=$at/$acl.$mask; mkdir $d
          if test $acl != none; then setfacl -m $acl $d; fi
          (make $mask $d); list $d > $at.list
        done
        diff mnt.list local.list || { echo "differ: $acl under $mask"; exit 1; }
        (list share/$acl.$mask) > below.list; diff below.list local.list
      done
    done
    grep -q '^user:99:rwx' mnt.list
  )sh";
  EXPECT_EQ(Run(kScript), 0);
}

// By a kernel's own ioctls on files and directories, which it opens for them as it likes.
TEST_F(LoopbackTest, ChattrChangesWhatMayBeChanged) {
  if (Run("command -v chattr lsattr > /dev/null") != 0) GTEST_SKIP() << "e2fsprogs is not installed";
  if (Run("touch local/f; chattr +d local/f 2> /dev/null") != 0) GTEST_SKIP() << "no inode flags here";
  Mount({.dax_hint_store = fs::DaxHintStore::kMemory, .settable_flags = FS_NODUMP_FL | FS_IMMUTABLE_FL});
  static constexpr char kScript[] = R"sh(
    has() { lsattr -d $1 | cut -d' ' -f1 | grep -q $2; }
    # A mere ! would not end the script.
    not() { if "$@" 2> err; then echo "succeeded: $*"; exit 1; fi; }
    touch mnt/f; mkdir mnt/d; ln -s f mnt/l
    for n in f d; do
      chattr +d mnt/$n; has mnt/$n d; has share/$n d
      chattr +x mnt/$n; has mnt/$n x; has mnt/$n d; not has share/$n x
      chattr -d mnt/$n; not has mnt/$n d; not has share/$n d; has mnt/$n x
      chattr -x mnt/$n; not has mnt/$n x
      not chattr +a mnt/$n; grep -q 'Operation not supported' err; not has share/$n a
      chattr +i mnt/$n; has share/$n i; not mv mnt/$n mnt/other; not touch mnt/$n/new; chattr -i mnt/$n
    done
    not chattr +d mnt/l
    not setpriv --reuid 1234 --clear-groups chattr +x mnt/f; not has mnt/f x
    mv mnt/f mnt/other; rm -r mnt/d
  )sh";
  EXPECT_EQ(Run(kScript), 0);
  EXPECT_GT(mount_->request_count(FUSE_IOCTL), 0u);
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
    EXPECT_TRUE(S_ISREG(node.mode));
    EXPECT_EQ(node.size.raw(), 6u);
    EXPECT_EQ(node.writes, 1u);
  }
  EXPECT_TRUE(found);
}

// What a client cannot do while it collects writes: FUSE has no way to ask the server about data that it was not sent.
const char* WhyNotWithWriteback(const std::string& name) {
  struct Difference {
    const char* reason;
    std::vector<std::string> cases;
  };
  static const std::vector<Difference> kDifferences = {
      {"the server looks for data and holes, and counts blocks, before it was sent the data",
       {"PunchHoleGivesBlocksBack", "SeekInAFullFileFindsTheEnd", "SeekWalksManyHoles", "SeekFindsDataNearAt2GiB",
        "SeekFindsDataNearAt4GiB", "SeekFindsDataNearAt1TiB"}},
      {"the limit of the host's file system shows at close", {"WriteBeyondTheLargestFileIsEfbig"}},
      {"the client keeps mtime itself, and takes a truncation to the same size for no change",
       {"TruncateToTheSameSizeMovesMtimeAndCtime"}}};
  for (const Difference& difference : kDifferences) {
    if (std::ranges::find(difference.cases, name) != difference.cases.end()) return difference.reason;
  }
  return nullptr;
}

// Each conformance case on a mount of its own.
class MountedCase : public LoopbackTest {
 public:
  MountedCase(const conformance::Case& test_case, const fs::ShareOptions& options)
      : LoopbackTest(options),
        case_(test_case),
        known_(options.writeback ? WhyNotWithWriteback(test_case.name) : nullptr) {}
  void TestBody() override {
    if (known_ != nullptr) GTEST_SKIP() << "known difference: " << known_;
    case_.run(*conformance::MakeHostVolume(top_ + "/mnt"));
  }

 private:
  const conformance::Case& case_;
  const char* const known_;
};

class OnlyWithLong : public testing::Test {
 public:
  void TestBody() override { GTEST_SKIP() << "only with --long"; }
};

// The cases with the default options; where time is no matter, with those too that change what the client caches.
void RegisterCases() {
  struct Suite {
    const char* name;
    fs::ShareOptions options;
    bool always;
  };
  static const Suite kSuites[] = {{"Mounted", {}, true},
                                  {"MountedNever", {.cache = fs::CacheMode::kNever}, false},
                                  {"MountedAlways", {.cache = fs::CacheMode::kAlways}, false},
                                  {"MountedWriteback", {.writeback = true}, false}};
  for (const Suite& suite : kSuites) {
    if (!suite.always && !IsLong()) {
      testing::RegisterTest(suite.name, "Cases", nullptr, nullptr, __FILE__, __LINE__,
                            []() -> testing::Test* { return new OnlyWithLong; });
      continue;
    }
    for (const conformance::Case& test_case : conformance::AllCases()) {
      testing::RegisterTest(suite.name, test_case.name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                            [&]() -> LoopbackTest* { return new MountedCase(test_case, suite.options); });
    }
  }
}

}  // namespace
}  // namespace daxvmm::loopback

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  daxvmm::loopback::RegisterCases();
  return RUN_ALL_TESTS();
}
