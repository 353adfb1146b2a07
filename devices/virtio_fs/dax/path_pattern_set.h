// Many regular expressions, asked together.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_PATH_PATTERN_SET_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_PATH_PATTERN_SET_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/units.h"

namespace daxvmm::dax {

class PathPatternSet {
 public:
  // For the program and the automaton's states that it keeps, all patterns together.
  static constexpr ByteCount kMaxMemory = MiB(32);

  // `regexes` are results of path_pattern.h.
  explicit PathPatternSet(std::vector<std::string> regexes, ByteCount max_memory = kMaxMemory);
  ~PathPatternSet();
  PathPatternSet(PathPatternSet&&) noexcept;
  PathPatternSet& operator=(PathPatternSet&&) noexcept;

  // The indexes of those that match the whole of `path`, in no order. Any thread; takes a lock that only other callers
  // take. The time is linear in the length of the path: one pass over it for all patterns, and where the memory
  // does not do for that, one for each.
  std::vector<int> Match(absl::string_view path) const;
  // Whether one pass does. False after construction says that the memory does not even hold the program.
  bool in_one_pass() const { return set_ != nullptr; }

 private:
  struct Set;

  std::vector<int> MatchOneByOne(absl::string_view path) const;

  std::vector<std::string> regexes_;
  std::unique_ptr<Set> set_;  // null: they need more memory together than they may
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_PATH_PATTERN_SET_H_
