// The folders on which it depends what a path names.
#ifndef DAXVMM_CONTROL_PATH_HOPS_H_
#define DAXVMM_CONTROL_PATH_HOPS_H_

#include <string>
#include <vector>

namespace daxvmm::control {

struct PathHop {
  std::string folder;  // absolute, without symbolic links
  std::string name;    // of an entry of it

  bool operator==(const PathHop&) const = default;
};

// One hop for every symbolic link that `path` (absolute) leads through, wherever it stands on the way, and one for its
// end, which is the last: the file, or the first entry that is missing. Ends after 40 links, as the kernel does.
std::vector<PathHop> FollowPath(const std::string& path);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_PATH_HOPS_H_
