#include "control/path_hops.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <deque>

#include "absl/strings/str_split.h"

namespace daxvmm::control {
namespace {

constexpr int kMaxLinks = 40;

void Prepend(const std::string& path, std::deque<std::string>* steps) {
  const std::vector<std::string> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  steps->insert(steps->begin(), parts.begin(), parts.end());
}

std::string Parent(const std::string& folder) {
  const size_t slash = folder.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : folder.substr(0, slash);
}

}  // namespace

std::vector<PathHop> FollowPath(const std::string& path) {
  std::vector<PathHop> hops;
  std::deque<std::string> steps;
  Prepend(path, &steps);
  std::string folder = "/";
  int links = 0;
  while (!steps.empty()) {
    const std::string step = steps.front();
    steps.pop_front();
    if (step == ".") continue;
    if (step == "..") {
      folder = Parent(folder);
      continue;
    }
    const std::string full = folder == "/" ? "/" + step : folder + "/" + step;
    struct stat st{};
    const bool exists = lstat(full.c_str(), &st) == 0;
    if (!exists || S_ISLNK(st.st_mode) || steps.empty()) hops.push_back({folder, step});
    if (!exists) return hops;
    if (!S_ISLNK(st.st_mode)) {
      folder = full;
      continue;
    }
    char target[PATH_MAX];
    const ssize_t length = readlink(full.c_str(), target, sizeof(target));
    if (length <= 0 || ++links > kMaxLinks) return hops;
    if (target[0] == '/') folder = "/";
    Prepend(std::string(target, length), &steps);
  }
  return hops;
}

}  // namespace daxvmm::control
