// A tree beside the share that nobody may reach from it. Everything in it carries a marker: names, contents, targets
// of links, extended attributes. Whatever is read from the share is searched for the marker; whatever touches the tree
// leaves an event or a difference.
#ifndef DAXVMM_TESTS_RACES_CANARY_H_
#define DAXVMM_TESTS_RACES_CANARY_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "tests/races/inotify_watch.h"

namespace daxvmm::races {

class Canary {
 public:
  static constexpr char kMarker[] = "CANARY-8c1f";

  // Makes the tree in `root`, a directory that does not exist yet. It has the names that Arena's directories have, so
  // that a walk that gets there finds what it looks for: the directory "dir" with "f" and "sub/f", the file "secret",
  // and no "new" anywhere.
  explicit Canary(const std::string& root);

  const std::string& root() const { return root_; }
  // Whether the inode number is one of the tree's. Everything that takes part is on one file system.
  bool Holds(uint64_t ino) const { return inodes_.contains(ino); }

  // What has been opened, read, changed, made or removed in the tree since the last call; empty if nothing.
  std::string Events() { return watch_.Drain(); }
  // How the tree differs from what was made; access times do not count. Empty if not at all. Reads the tree, and so
  // makes events.
  std::string Differences() const;

 private:
  using Snapshot = std::map<std::string, std::string>;  // path below the root -> everything that can be told of it
  Snapshot Take() const;

  const std::string root_;
  std::set<uint64_t> inodes_;
  Snapshot made_;
  InotifyWatch watch_;
};

}  // namespace daxvmm::races

#endif  // DAXVMM_TESTS_RACES_CANARY_H_
