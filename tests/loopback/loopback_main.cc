// loopback DIR MOUNTPOINT [--share-option=read-only]
//
// Serves DIR at MOUNTPOINT in the foreground until it is unmounted or interrupted. Test-only.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "tests/loopback/loopback_mount.h"

namespace {

int Fail(const std::string& what) {
  fprintf(stderr, "loopback: %s\n", what.c_str());
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  daxvmm::fs::ShareOptions options;
  std::vector<std::string> paths;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--share-option=read-only") {
      options.read_only = true;
    } else if (argument.rfind("--", 0) == 0) {
      return Fail("unknown option " + argument);
    } else {
      paths.push_back(argument);
    }
  }
  if (paths.size() != 2) return Fail("usage: loopback DIR MOUNTPOINT [--share-option=read-only]");
  options.path = paths[0];

  // Before any thread is made, so that all of them leave the signals to the descriptor.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const daxvmm::UniqueFd signal_fd(signalfd(-1, &signals, SFD_CLOEXEC));

  if (const std::string why = daxvmm::loopback::WhyUnavailable(); !why.empty()) return Fail(why);
  auto fs = daxvmm::fs::PassthroughFs::Create(options, nullptr);
  if (!fs.ok()) return Fail(std::string(fs.status().message()));
  auto mount = daxvmm::loopback::LoopbackMount::Create(fs->get(), paths[1]);
  if (!mount.ok()) return Fail(std::string(mount.status().message()));

  pollfd fds[2] = {{(*mount)->ended_fd(), POLLIN, 0}, {signal_fd.get(), POLLIN, 0}};
  while (poll(fds, 2, -1) < 0) {
  }
  return 0;
}
