#include "tests/races/inotify_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cstring>

namespace daxvmm::races {

InotifyWatch::InotifyWatch() : fd_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {}

bool InotifyWatch::Add(const std::string& path, uint32_t mask, const std::string& label) {
  MutexLock lock(&mu_);
  const int id = inotify_add_watch(fd_.get(), path.c_str(), mask | IN_DONT_FOLLOW);
  if (id < 0) return false;
  labels_[id] = label;
  return true;
}

std::string InotifyWatch::Drain() {
  std::string lines;
  alignas(inotify_event) char buffer[16 * 1024];
  MutexLock lock(&mu_);
  for (;;) {
    const ssize_t n = read(fd_.get(), buffer, sizeof(buffer));
    if (n <= 0) return lines;
    for (ssize_t at = 0; at < n;) {
      inotify_event event;
      memcpy(&event, buffer + at, sizeof(event));
      const char* name = event.len != 0 ? buffer + at + sizeof(event) : "";
      at += static_cast<ssize_t>(sizeof(event) + event.len);
      if ((event.mask & IN_IGNORED) != 0) {
        labels_.erase(event.wd);
        continue;
      }
      char mask[16];
      snprintf(mask, sizeof(mask), "%#x", event.mask);
      lines += labels_[event.wd] + "/" + name + ": inotify event " + mask + "\n";
    }
  }
}

}  // namespace daxvmm::races
