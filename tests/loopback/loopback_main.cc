// loopback DIR MOUNTPOINT [--share-option=OPTION]...
//
// Serves DIR at MOUNTPOINT in the foreground until it is unmounted or interrupted. Test-only.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "devices/virtio_fs/fs/share_option_text.h"
#include "tests/loopback/loopback_mount.h"

namespace {

constexpr char kUsage[] = "usage: loopback DIR MOUNTPOINT [--share-option=OPTION]...";

int Fail(const std::string& what) {
  fprintf(stderr, "loopback: %s\n", what.c_str());
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  daxvmm::fs::ShareOptions options;
  std::vector<std::string> paths;
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (argument == "--help" || argument == "-h") {
      printf(
          "%s\n\nServes DIR at MOUNTPOINT until it is unmounted or interrupted: a test tool.\n\nOPTION is one of\n%s",
          kUsage, daxvmm::fs::DescribeShareOptions().c_str());
      return 0;
    }
    if (absl::ConsumePrefix(&argument, "--share-option=")) {
      const absl::Status status = daxvmm::fs::ApplyShareOption(argument, &options);
      if (!status.ok()) return Fail("--share-option: " + std::string(status.message()));
    } else if (argument == "--share-option") {
      return Fail("--share-option: needs a value: --share-option=OPTION");
    } else if (absl::StartsWith(argument, "-")) {
      return Fail("unknown option " + std::string(argument));
    } else {
      paths.push_back(std::string(argument));
    }
  }
  if (paths.size() != 2) return Fail(kUsage);
  options.path = paths[0];

  // Before any thread is made, so that all of them leave the signals to the descriptor.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const daxvmm::UniqueFd signal_fd(signalfd(-1, &signals, SFD_CLOEXEC));

  if (const std::string why = daxvmm::loopback::WhyUnavailable(); !why.empty()) return Fail(why);
  auto fs = daxvmm::fs::PassthroughFs::Create(options, nullptr);
  if (!fs.ok()) return Fail(std::string(fs.status().message()));
  auto mount = daxvmm::loopback::LoopbackMount::Create(fs->get(), paths[1]);
  if (!mount.ok()) return Fail(std::string(mount.status().message()));
  printf("serving %s at %s\n", paths[0].c_str(), paths[1].c_str());
  fflush(stdout);

  pollfd fds[2] = {{(*mount)->ended_fd(), POLLIN, 0}, {signal_fd.get(), POLLIN, 0}};
  while (poll(fds, 2, -1) < 0) {
  }
  return 0;
}
