#include "tests/races/canary.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "gtest/gtest.h"

namespace daxvmm::races {
namespace {

constexpr uint32_t kEvents = IN_OPEN | IN_ACCESS | IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_DELETE_SELF |
                             IN_MOVED_FROM | IN_MOVED_TO | IN_MOVE_SELF;

void MakeFile(const std::string& path) {
  std::ofstream(path) << Canary::kMarker << " is the content of " << path << "\n";
  EXPECT_EQ(setxattr(path.c_str(), "user.inside", Canary::kMarker, strlen(Canary::kMarker), 0), 0) << path;
}

std::string Xattrs(const std::string& path) {
  std::string text;
  char names[4096], value[4096];
  const ssize_t length = llistxattr(path.c_str(), names, sizeof(names));
  for (ssize_t at = 0; at < length;) {
    const std::string name = names + at;
    const ssize_t n = lgetxattr(path.c_str(), name.c_str(), value, sizeof(value));
    text += " " + name + "=" + std::string(value, n > 0 ? static_cast<size_t>(n) : 0);
    at += static_cast<ssize_t>(name.size()) + 1;
  }
  return text;
}

std::string Describe(const std::string& path) {
  struct stat st;
  if (lstat(path.c_str(), &st) != 0) return "cannot be examined";
  std::ostringstream text;
  text << std::oct << "mode " << st.st_mode << std::dec << " links " << st.st_nlink << " owner " << st.st_uid << ":"
       << st.st_gid << " size " << st.st_size << " inode " << st.st_ino << " mtime " << st.st_mtim.tv_sec << "."
       << st.st_mtim.tv_nsec << " ctime " << st.st_ctim.tv_sec << "." << st.st_ctim.tv_nsec << Xattrs(path);
  if (S_ISREG(st.st_mode)) text << " content " << std::ifstream(path).rdbuf();
  if (S_ISLNK(st.st_mode)) text << " to " << std::filesystem::read_symlink(path).string();
  return text.str();
}

}  // namespace

Canary::Canary(const std::string& root) : root_(root) {
  namespace stdfs = std::filesystem;
  stdfs::create_directories(root + "/dir/sub");
  const std::string marked = std::string(kMarker) + "-name";
  for (const std::string& directory : {root, root + "/dir", root + "/dir/sub"}) {
    for (const std::string& name : {std::string("f"), std::string("secret"), std::string("file"), marked}) {
      MakeFile(directory + "/" + name);
    }
    stdfs::create_symlink(std::string(kMarker) + "-target", directory + "/link");
  }
  made_ = Take();
  for (const auto& [path, text] : made_) {
    struct stat st;
    EXPECT_EQ(lstat((root + path).c_str(), &st), 0);
    inodes_.insert(st.st_ino);
    EXPECT_TRUE(watch_.Add(root + path, kEvents, "outside" + path));
  }
  // The watch is worth something only if it sees what it is for.
  EXPECT_EQ(watch_.Drain(), "");
  close(open((root + "/secret").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_NE(watch_.Drain(), "");
}

std::string Canary::Differences() const {
  std::string lines;
  const Snapshot now = Take();
  for (const auto& [path, text] : made_) {
    const auto it = now.find(path);
    if (it == now.end()) {
      lines += path + " is gone\n";
    } else if (it->second != text) {
      lines += path + " was:\n  " + text + "\nand is:\n  " + it->second + "\n";
    }
  }
  for (const auto& [path, text] : now) {
    if (!made_.contains(path)) lines += path + " is new: " + text + "\n";
  }
  return lines;
}

Canary::Snapshot Canary::Take() const {
  Snapshot snapshot;
  snapshot[""] = Describe(root_);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root_)) {
    snapshot[entry.path().string().substr(root_.size())] = Describe(entry.path());
  }
  return snapshot;
}

}  // namespace daxvmm::races
