// What an operator can get wrong: one line that names the flag and the reason, status 2, and nothing left behind.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "base/unique_fd.h"
#include "base/units.h"
#include "tests/cli/cli_fixture.h"
#include "vmm/boot/test_kernels.h"

namespace daxvmm::cli_test {
namespace {

// A Unix socket that listens.
UniqueFd ListenAt(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(listen(fd.get(), 1), 0);
  return fd;
}

class BadInputTest : public CliTest {
 protected:
  // With --kernel and a control socket that is not to survive.
  void ExpectRunRefused(std::vector<std::string> flags, const std::vector<std::string>& parts) {
    std::vector<std::string> arguments = {"run", "--kernel", "kernel", "--control", "vm.sock"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    ExpectRefused(arguments, parts);
  }
};

TEST_F(BadInputTest, Commands) {
  ExpectRefused({"start"}, {"'start'"});
  ExpectRefused({"run"}, {"--kernel", "required"});
  ExpectRefused({"run", "--kernel"}, {"--kernel", "value"});
  ExpectRunRefused({"--bogus"}, {"--bogus"});
  ExpectRunRefused({"extra"}, {"'extra'"});
}

TEST_F(BadInputTest, Numbers) {
  ExpectRunRefused({"--cpus", "0"}, {"--cpus", "0"});
  ExpectRunRefused({"--cpus", "65"}, {"--cpus", "65"});
  ExpectRunRefused({"--cpus", "many"}, {"--cpus", "'many'"});
  ExpectRunRefused({"--mem", "lots"}, {"--mem", "'lots'"});
  ExpectRunRefused({"--mem", "1M"}, {"--mem", "1 MiB", "32 MiB"});
  ExpectRunRefused({"--mem", "2000000T"}, {"--mem"});
  ExpectRunRefused({"--shutdown-timeout", "soon"}, {"--shutdown-timeout", "'soon'"});
  ExpectRunRefused({"--log-level", "loud"}, {"--log-level", "'loud'"});
  ExpectRunRefused({"--policy", "sometimes"}, {"--policy", "\"sometimes\""});
}

TEST_F(BadInputTest, Shares) {
  const std::string tag37(37, 't');
  ExpectRunRefused({"--share", "tag=t"}, {"--share", "path="});
  ExpectRunRefused({"--share", "path=share"}, {"--share", "tag="});
  ExpectRunRefused({"--share", "path=share,tag="}, {"--share", "tag=", "empty"});
  ExpectRunRefused({"--share", "path=share,tag=" + tag37}, {"--share", tag37, "36"});
  ExpectRunRefused({"--share", "path=share,tag=a\nb"}, {"--share", "newline"});
  ExpectRunRefused({"--share", "path=share,tag=t,colour=red"}, {"--share", "'colour'"});
  ExpectRunRefused({"--share", "path=share,tag=t,cache=sometimes"}, {"--share", "cache", "'sometimes'", "metadata"});
  ExpectRunRefused({"--share", "path=share,tag=t,attr-timeout=-1"}, {"--share", "attr-timeout", "'-1'"});
  ExpectRunRefused({"--share", "path=share,tag=t,uid-map=0:1"}, {"--share", "uid-map", "GUEST:HOST:COUNT"});
  ExpectRunRefused({"--share", "path=share,tag=t,uid-map=0:0:9,uid-map=8:100:2"}, {"--share", "uid-map"});
  ExpectRunRefused({"--share", "path=share,tag=t,gid-squash=nobody"}, {"--share", "gid-squash", "'nobody'"});
  ExpectRunRefused({"--share", "path=share,tag=t,xattr-map=permit:x"}, {"--share", "xattr-map", "permit"});
  ExpectRunRefused({"--share", "path=share,tag=t,dax-hint=paper"}, {"--share", "dax-hint", "'paper'"});
  ExpectRunRefused({"--share", "path=share,tag=t,settable-flags=aZ"}, {"--share", "settable-flags", "'Z'"});
  ExpectRunRefused({"--share", "path=share,tag=t,max-nodes=0"}, {"--share", "max-nodes", "'0'"});
  ExpectRunRefused({"--share", "path=share,tag=t,readonly=yes"}, {"--share", "readonly", "no value"});
  ExpectRunRefused({"--share", "path=share,tag=t,writeback,dax-window=2M"},
                   {"--share", "'t'", "writeback", "dax-window"});
  ExpectRunRefused({"--share", "path=share,tag=t", "--share", "path=share,tag=t"}, {"--share", "'t'", "twice"});
  ExpectRunRefused({"--share", "path=share,tag=t,dax-window=3M"}, {"--share", "'t'", "3 MiB", "2 MiB"});
  ExpectRunRefused({"--share", "path=share,tag=t,dax-window=big"}, {"--share", "dax-window", "'big'"});
}

TEST_F(BadInputTest, TheKvmDevice) {
  ExpectRunRefused({"--kvm", "none"}, {"--kvm: none", "No such file"});
  ExpectRunRefused({"--kvm", "/dev/null"}, {"--kvm: /dev/null", "KVM"});
  if (geteuid() == 0) return;  // whom no mode keeps out
  Write("locked", "");
  ASSERT_EQ(chmod(Path("locked").c_str(), 0), 0);
  ExpectRunRefused({"--kvm", "locked"}, {"--kvm: locked", "Permission denied"});
}

TEST_F(BadInputTest, ControlPaths) {
  const auto refuse = [this](const std::string& path, const std::vector<std::string>& parts) {
    ExpectRefused({"run", "--kernel", "kernel", "--control", path}, parts);
  };
  refuse("share", {"--control share"});
  refuse("kernel", {"--control kernel", "not a socket"});
  refuse("nowhere/vm.sock", {"--control nowhere/vm.sock", "No such file"});
  refuse(std::string(200, 's'), {"--control", "200 bytes"});
  refuse("", {"--control", "empty"});
  refuse("nowhere\n/vm.sock", {"--control", "No such file"});
}

TEST_F(BadInputTest, AControlPathInUseIsLeftToItsOwner) {
  const UniqueFd owner = ListenAt(Path("vm.sock"));
  ExpectRunRefused({}, {"--control vm.sock", "in use", std::to_string(getpid())});
}

// From here on what needs a machine half built.

TEST_F(BadInputTest, Kernels) {
  NEEDS_KVM();
  Write("text", "not a kernel\n");
  Write("empty", "");
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  const auto refuse = [this](const std::string& kernel, const std::vector<std::string>& parts) {
    ExpectRefused({"run", "--control", "vm.sock", "--kernel", kernel}, parts);
  };
  refuse("none", {"--kernel: none", "No such file"});
  refuse("text", {"--kernel: text", "not a Linux kernel"});
  refuse("empty", {"--kernel: empty", "is empty"});
  refuse("share", {"--kernel: share", "is a directory"});
  refuse("fifo", {"--kernel: fifo", "not a regular file"});
  refuse("/dev/null", {"--kernel: /dev/null", "not a regular file"});
  if (geteuid() == 0) return;
  ASSERT_EQ(chmod(Path("kernel").c_str(), 0), 0);
  refuse("kernel", {"--kernel: kernel", "Permission denied"});
}

TEST_F(BadInputTest, Initramfses) {
  NEEDS_KVM();
  Write("large", std::string(MiB(40).raw(), 'x'));
  ExpectRunRefused({"--initrd", "none"}, {"--initrd: none", "No such file"});
  ExpectRunRefused({"--initrd", "share"}, {"--initrd: share", "is a directory"});
  ExpectRunRefused({"--initrd", "large", "--mem", "48M"}, {"--initrd", "does not fit", "40 MiB"});
}

TEST_F(BadInputTest, CommandLines) {
  NEEDS_KVM();
  ExpectRunRefused({"--cmdline", std::string(70'000, 'c')}, {"--cmdline", "too long"});
}

TEST_F(BadInputTest, MemoryTooSmallForTheKernel) {
  NEEDS_KVM();
  auto pieces = vmm::boot::MakeElfPieces();
  pieces[1].header.p_memsz = MiB(64).raw();  // its .bss
  Write("huge", vmm::boot::MakeElf(vmm::boot::MakeElfHeader(), pieces));
  ExpectRefused({"run", "--control", "vm.sock", "--kernel", "huge", "--mem", "32M"}, {"--mem", "too small"});
}

TEST_F(BadInputTest, ShareDirectories) {
  NEEDS_KVM();
  ExpectRunRefused({"--share", "path=none,tag=t"}, {"--share", "'t'", "none", "No such file"});
  ExpectRunRefused({"--share", "path=kernel,tag=t"}, {"--share", "'t'", "kernel", "Not a directory"});
}

TEST_F(BadInputTest, WindowsBeyondTheAddressSpace) {
  NEEDS_KVM();
  ExpectRunRefused({"--share", "path=share,tag=t,dax-window=64T"}, {"--share", "64 TiB", "address bits"});
  ExpectRunRefused({"--share", "path=share,tag=a,dax-window=6T", "--share", "path=share,tag=b,dax-window=6T"},
                   {"--share", "6 TiB"});
}

}  // namespace
}  // namespace daxvmm::cli_test
