#include "tests/fs_conformance/volume.h"

#include <utility>

namespace daxvmm::conformance {

int Volume::List(const std::string& path, const std::function<void()>& between, std::vector<DirEntry>* entries) {
  int fd = -1;
  int error = OpenDir(path, &fd);
  if (error != 0) return error;
  uint64_t offset = 0;
  for (bool first = true;; first = false) {
    std::vector<DirEntry> batch;
    error = ReadDir(fd, offset, &batch);
    if (error != 0 || batch.empty()) break;
    offset = batch.back().next_offset;
    for (DirEntry& entry : batch) entries->push_back(std::move(entry));
    if (first && between) between();
  }
  const int closed = CloseDir(fd);
  return error != 0 ? error : closed;
}

}  // namespace daxvmm::conformance
