#include "devices/virtio_fs/dax/mapped_file.h"

#include <sys/stat.h>

#include <algorithm>

namespace daxvmm::dax {

PageRange Intersect(const PageRange& a, const PageRange& b) { return {std::max(a.from, b.from), std::min(a.to, b.to)}; }

std::vector<PageRange> Subtract(const PageRange& a, const PageRange& b) {
  std::vector<PageRange> rest;
  if (a.empty()) return rest;
  if (Intersect(a, b).empty()) {
    rest.push_back(a);
    return rest;
  }
  if (a.from < b.from) rest.push_back({a.from, b.from});
  if (b.to < a.to) rest.push_back({b.to, a.to});
  return rest;
}

PageRange FileExtent::Lost() const {
  return {FileOffset(size.raw()).AlignUp(kPageSize), FileOffset(largest.raw()).AlignUp(kPageSize)};
}

std::optional<ByteCount> SizeOf(const UniqueFd& fd) {
  struct stat st;
  if (fstat(fd.get(), &st) != 0 || st.st_size < 0) return std::nullopt;
  return ByteCount(static_cast<uint64_t>(st.st_size));
}

}  // namespace daxvmm::dax
