#include "tests/races/arena.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "gtest/gtest.h"

namespace daxvmm::races {
namespace {

namespace stdfs = std::filesystem;

constexpr char kInside[] = "inside";
constexpr const char* kOddNames[] = {"odd", "odd.fifo", "odd.char", "odd.block", "odd.socket", "odd.dir"};

void Write(const std::string& path) { std::ofstream(path) << kInside; }

void Remove(const std::string& path) {
  std::error_code ignored;  // whoever removed it first
  stdfs::remove_all(path, ignored);
}

}  // namespace

Arena::Arena(const std::string& top)
    : share_(top + "/share"), arena_(share_ + "/arena"), parking_(top + "/parking"), canary_(top + "/outside") {
  stdfs::create_directories(arena_ + "/mover");
  stdfs::create_directory(parking_);
  // What lies beside a directory that has left the share is as much outside as anything else.
  std::ofstream(parking_ + "/f") << Canary::kMarker;
  MakeDirectory(arena_ + "/mover/in");

  const std::string fifo = parking_ + "/probe.fifo", device = parking_ + "/probe.device";
  MakeOdd(fifo, Kind::kFifo);
  MakeOdd(device, Kind::kCharacterDevice);
  for (const std::string& path : {fifo, device}) {
    // The watch must be able to see what must not happen.
    close(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    EXPECT_NE(special_.Drain(), "") << "an open of " << path << " goes unseen";
    Remove(path);
  }
  for (uint64_t turn = 0; turn < 12; ++turn) {
    SwapDirectory();
    SwapFile();
    SwapSlot(turn);
    SwapOdd(turn);
  }
}

Arena::~Arena() { Stop(); }

void Arena::Start() {
  stop_.store(false);
  thread_ = NamedThread("swapper", [this] { Run(); });
}

void Arena::Stop() {
  stop_.store(true);
  thread_.Join();
  // What is away comes back, for whoever looks at the share next.
  rename((parking_ + "/in").c_str(), (arena_ + "/mover/in").c_str());
}

void Arena::Run() {
  for (uint64_t turn = 0; !stop_.load(std::memory_order_relaxed); ++turn) {
    SwapDirectory();
    SwapFile();
    SwapSlot(turn);
    SwapOdd(turn);
    if (turn % 4 == 0) Move();
  }
}

void Arena::MakeDirectory(const std::string& path) const {
  stdfs::create_directories(path + "/sub");
  for (const std::string& directory : {path, path + "/sub"}) {
    Write(directory + "/f");
    Remove(directory + "/link");
    EXPECT_EQ(symlink("f", (directory + "/link").c_str()), 0);
  }
}

void Arena::MakeOdd(const std::string& path, Kind kind) {
  switch (kind) {
    case Kind::kFile:
      return Write(path);
    case Kind::kFifo:
      EXPECT_EQ(mkfifo(path.c_str(), 0666), 0) << strerror(errno);
      break;
    case Kind::kCharacterDevice:
      EXPECT_EQ(mknod(path.c_str(), S_IFCHR | 0666, makedev(1, 3)), 0) << strerror(errno);
      break;
    case Kind::kBlockDevice:
      // A loop device: where it exists, an open of it would be seen; where not, it would fail with ENXIO.
      EXPECT_EQ(mknod(path.c_str(), S_IFBLK | 0666, makedev(7, 0)), 0) << strerror(errno);
      break;
    case Kind::kSocket: {
      EXPECT_EQ(mknod(path.c_str(), S_IFSOCK | 0666, 0), 0) << strerror(errno);
      break;
    }
    case Kind::kDirectory:
      return MakeDirectory(path);
  }
  EXPECT_TRUE(special_.Add(path, IN_OPEN, "special file " + stdfs::path(path).filename().string()));
}

bool Arena::Exchange(const std::string& a, const std::string& b) {
  if (renameat2(AT_FDCWD, (arena_ + "/" + a).c_str(), AT_FDCWD, (arena_ + "/" + b).c_str(), RENAME_EXCHANGE) != 0) {
    return false;
  }
  swaps_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Arena::SwapDirectory() {
  if (Exchange("dir", "dir.x")) return;
  Remove(arena_ + "/dir");
  Remove(arena_ + "/dir.x");
  // Made outside of the share and moved in: nobody meets it half made.
  MakeDirectory(parking_ + "/making");
  rename((parking_ + "/making").c_str(), (arena_ + "/dir").c_str());
  Remove(parking_ + "/making");
  static_cast<void>(symlink((canary_.root() + "/dir").c_str(), (arena_ + "/dir.x").c_str()));
}

void Arena::SwapFile() {
  if (Exchange("file", "file.x")) return;
  Remove(arena_ + "/file");
  Remove(arena_ + "/file.x");
  Write(parking_ + "/making");
  rename((parking_ + "/making").c_str(), (arena_ + "/file").c_str());
  Remove(parking_ + "/making");
  // Relative: resolving in a root does not keep it in the share, since a directory of the share is not the share.
  static_cast<void>(symlink("../../outside/secret", (arena_ + "/file.x").c_str()));
}

void Arena::SwapSlot(uint64_t turn) {
  if (Exchange("slot", "slot.x")) return;
  Remove(arena_ + "/slot.x");
  const std::string target = canary_.root() + (turn % 2 == 0 ? "/dir/secret" : "/dir/new");
  static_cast<void>(symlink(target.c_str(), (arena_ + "/slot.x").c_str()));
  // The slot is free for most of the time, or nothing could be made there.
  if (turn % 8 == 0) static_cast<void>(symlink(target.c_str(), (arena_ + "/slot").c_str()));
}

void Arena::SwapOdd(uint64_t turn) {
  if (Exchange(kOddNames[0], kOddNames[1 + turn % (std::size(kOddNames) - 1)])) return;
  for (const char* name : kOddNames) Remove(arena_ + "/" + name);
  for (size_t i = 0; i < std::size(kOddNames); ++i) {
    // Watched before the share has it.
    MakeOdd(parking_ + "/making", static_cast<Kind>(i));
    rename((parking_ + "/making").c_str(), (arena_ + "/" + kOddNames[i]).c_str());
    Remove(parking_ + "/making");
  }
}

void Arena::Move() const {
  const std::string in = arena_ + "/mover/in", out = parking_ + "/in";
  rename(in.c_str(), out.c_str());
  rename(out.c_str(), in.c_str());
}

std::string Arena::MarkedFiles() const {
  std::string lines;
  for (const std::string& top : {share_, parking_ + "/in"}) {
    std::error_code gone;
    for (const auto& entry : stdfs::recursive_directory_iterator(top, gone)) {
      if (entry.is_symlink() || !entry.is_regular_file()) continue;
      std::ifstream file(entry.path());
      const std::string content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
      if (content.find(Canary::kMarker) != std::string::npos) lines += entry.path().string() + "\n";
    }
  }
  return lines;
}

}  // namespace daxvmm::races
