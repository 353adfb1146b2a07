// Tells what happens to chosen inodes, whoever does it. An open with O_PATH is no event for the kernel.
#ifndef DAXVMM_TESTS_RACES_INOTIFY_WATCH_H_
#define DAXVMM_TESTS_RACES_INOTIFY_WATCH_H_

#include <cstdint>
#include <map>
#include <string>

#include "base/mutex.h"
#include "base/unique_fd.h"

namespace daxvmm::races {

// Any thread may call any method.
class InotifyWatch {
 public:
  InotifyWatch();

  // Watches the inode at `path` (a symbolic link itself) for the events in `mask`, IN_*; it is called `label` in what
  // is told. False if it cannot be watched.
  bool Add(const std::string& path, uint32_t mask, const std::string& label);
  // One line per event since the last call, but those that only say that a watched inode is gone. Empty if none.
  std::string Drain();

 private:
  const UniqueFd fd_;
  Mutex mu_;
  std::map<int, std::string> labels_ ABSL_GUARDED_BY(mu_);
};

}  // namespace daxvmm::races

#endif  // DAXVMM_TESTS_RACES_INOTIFY_WATCH_H_
