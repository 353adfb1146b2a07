#include "tests/loopback/loopback_mount.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "base/status.h"

namespace daxvmm::loopback {
namespace {

constexpr size_t kMaxWrite = 1 << 20;
// The kernel refuses to hand out a request into less than its largest one (fs/fuse/dev.c, fuse_dev_do_read).
constexpr size_t kBufferSize = kMaxWrite + 64 * 1024;

}  // namespace

std::string WhyUnavailable() {
  if (geteuid() != 0) return "needs root";
  if (access("/dev/fuse", R_OK | W_OK) != 0) return std::string("/dev/fuse: ") + strerror(errno);
  return "";
}

absl::StatusOr<std::unique_ptr<LoopbackMount>> LoopbackMount::Create(fuse::FileSystem* fs,
                                                                     const std::string& mountpoint, int threads) {
  UniqueFd device(open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!device.valid()) return ErrnoStatus(errno, "/dev/fuse");
  ASSIGN_OR_RETURN(EventFd stop, EventFd::Create());
  ASSIGN_OR_RETURN(EventFd ended, EventFd::Create());
  const std::string data =
      "fd=" + std::to_string(device.get()) + ",rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions";
  if (mount("daxvmm-loopback", mountpoint.c_str(), "fuse", 0, data.c_str()) != 0) {
    return ErrnoStatus(errno, "mount " + mountpoint);
  }
  std::unique_ptr<LoopbackMount> mount(
      new LoopbackMount(fs, mountpoint, std::move(device), std::move(stop), std::move(ended)));
  mount->serving_ = threads;
  for (int i = 0; i < threads; ++i) {
    mount->threads_.emplace_back("loopback-" + std::to_string(i), [m = mount.get()] { m->Serve(); });
  }
  return mount;
}

LoopbackMount::LoopbackMount(fuse::FileSystem* fs, std::string mountpoint, UniqueFd device, EventFd stop, EventFd ended)
    : mountpoint_(std::move(mountpoint)),
      device_(std::move(device)),
      stop_(std::move(stop)),
      ended_(std::move(ended)),
      dispatcher_(fuse::SessionOptions{.dax_window = false, .max_write = ByteCount(kMaxWrite)}, fs,
                  /*mappings=*/nullptr, /*listener=*/nullptr) {}

LoopbackMount::~LoopbackMount() {
  // EINVAL: it is gone already.
  if (umount2(mountpoint_.c_str(), MNT_DETACH) != 0 && errno != EINVAL) {
    LOG(kError) << "umount " << mountpoint_ << ": " << strerror(errno);
  }
  stop_.Signal();
  for (NamedThread& thread : threads_) thread.Join();
  // Closing the last descriptor of the connection aborts what still hangs on a detached mount.
  device_.reset();
  dispatcher_.Reset();
}

void LoopbackMount::Abort() { umount2(mountpoint_.c_str(), MNT_FORCE); }

void LoopbackMount::Serve() {
  std::vector<std::byte> request(kBufferSize), reply(kBufferSize);
  fuse::RequestCounts* const counts = dispatcher_.AddCounts();
  for (;;) {
    const ssize_t n = read(device_.get(), request.data(), request.size());
    if (n > 0) {
      memory::IoVecs in, out;
      in.iov = {{request.data(), static_cast<size_t>(n)}};
      out.iov = {{reply.data(), reply.size()}};
      counts->Begun(std::chrono::steady_clock::now());
      const uint32_t length =
          dispatcher_.Handle(in, out, /*sent_after=*/std::chrono::steady_clock::time_point::max(), counts);
      counts->Answered(std::chrono::steady_clock::now(), /*waiting=*/0);
      // ENOENT: the request was interrupted, nobody waits. ENODEV: seen by the next read.
      if (length != 0 && write(device_.get(), reply.data(), length) < 0 && errno != ENOENT && errno != ENODEV) {
        LOG_LIMITED(kError) << "reply refused by /dev/fuse: " << strerror(errno);
      }
      continue;
    }
    if (n < 0 && errno == ENODEV) break;  // unmounted
    if (n < 0 && (errno == EINTR || errno == ENOENT)) continue;
    if (n < 0 && errno != EAGAIN) {
      LOG(kError) << "/dev/fuse: " << strerror(errno);
      break;
    }
    pollfd fds[2] = {{device_.get(), POLLIN, 0}, {stop_.fd(), POLLIN, 0}};
    poll(fds, 2, -1);
    if ((fds[0].revents & (POLLIN | POLLERR | POLLHUP)) == 0 && fds[1].revents != 0) break;  // drained
  }
  if (serving_.fetch_sub(1) == 1) ended_.Signal();
}

}  // namespace daxvmm::loopback
