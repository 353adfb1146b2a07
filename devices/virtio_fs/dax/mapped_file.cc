#include "devices/virtio_fs/dax/mapped_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

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

std::string NameOf(const UniqueFd& fd) {
  std::array<char, PATH_MAX> path;
  const ssize_t length = readlink(absl::StrCat("/proc/self/fd/", fd.get()).c_str(), path.data(), path.size());
  if (length < 0) return "?";
  return absl::CHexEscape(absl::string_view(path.data(), static_cast<size_t>(length)));
}

}  // namespace daxvmm::dax
