// What the time-out of attributes costs in requests: a program stats 1,000 files ten times a second, on a mount of the
// file server whose attributes and names may be trusted for so long; how many LOOKUP and GETATTR that makes. Linux's
// client is the same as in a guest.
//
// timeout_bench DIRECTORY: makes its files and its mount point below DIRECTORY. For root; needs /dev/fuse.
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "tests/loopback/loopback_mount.h"

namespace daxvmm {
namespace {

constexpr int kFiles = 1000;
constexpr auto kRound = std::chrono::milliseconds(100);
constexpr int kRounds = 100;

// False if something failed, which is printed.
bool Measure(const std::string& share, const std::string& mount_point, absl::Duration timeout) {
  fs::ShareOptions options;
  options.path = share;
  options.attr_timeout = options.entry_timeout = timeout;
  const auto server = fs::PassthroughFs::Create(options, nullptr);
  if (!server.ok()) {
    fprintf(stderr, "%s\n", server.status().ToString().c_str());
    return false;
  }
  const auto mount = loopback::LoopbackMount::Create(server->get(), mount_point);
  if (!mount.ok()) {
    fprintf(stderr, "%s\n", mount.status().ToString().c_str());
    return false;
  }
  const auto asked = [&] { return (*mount)->request_count(FUSE_LOOKUP) + (*mount)->request_count(FUSE_GETATTR); };
  const auto round = [&] {
    struct stat st;
    for (int i = 0; i < kFiles; ++i) {
      if (stat(absl::StrCat(mount_point, "/f", i).c_str(), &st) != 0) return false;
    }
    return true;
  };
  if (!round()) return false;  // the first has to ask, whatever the time-out
  const uint64_t before = asked();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 1; i <= kRounds; ++i) {
    if (!round()) return false;
    std::this_thread::sleep_until(start + i * kRound);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const double per_second = static_cast<double>(asked() - before) / took.count();
  printf("%-10s %8.0f stats a second %8.0f requests a second %6.3f for each\n", absl::FormatDuration(timeout).c_str(),
         kFiles * kRounds / took.count(), per_second, per_second * took.count() / (kFiles * kRounds));
  return true;
}

int Run(const std::string& base) {
  std::string dir = base + "/timeout_bench.XXXXXX";
  if (mkdtemp(dir.data()) == nullptr) {
    perror(base.c_str());
    return 1;
  }
  const std::string share = dir + "/share", mount_point = dir + "/mount";
  std::filesystem::create_directory(share);
  std::filesystem::create_directory(mount_point);
  for (int i = 0; i < kFiles; ++i) {
    const UniqueFd fd(open(absl::StrCat(share, "/f", i).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    if (!fd.valid()) return 1;
  }
  bool good = true;
  for (const absl::Duration timeout :
       {absl::ZeroDuration(), absl::Milliseconds(100), absl::Milliseconds(300), absl::Seconds(1), absl::Seconds(3)}) {
    good = good && Measure(share, mount_point, timeout);
  }
  std::filesystem::remove_all(dir);
  return good ? 0 : 1;
}

}  // namespace
}  // namespace daxvmm

int main(int argc, char** argv) {
  if (const std::string why = daxvmm::loopback::WhyUnavailable(); argc != 2 || !why.empty()) {
    fprintf(stderr, "%s\n", argc != 2 ? "timeout_bench DIRECTORY" : why.c_str());
    return 2;
  }
  return daxvmm::Run(argv[1]);
}
