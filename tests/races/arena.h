// A share whose names change what they stand for, faster than a request is served.
//
// In the share's directory "arena":
//   dir, dir.x     a directory with "f", "sub/f" and "link", and a symbolic link to the directory of the same name
//   outside file, file.x   a regular file, and a symbolic link to a file outside slot, slot.x   places for new things;
//   symbolic links to files outside that exist and that do not odd, odd.*     a regular file, a FIFO, a character
//   device, a block device, a socket and a directory mover/in       a directory with "f" and "sub/f" that leaves the
//   share and comes back
// Each is exchanged with its partner in one atomic step, over and over.
#ifndef DAXVMM_TESTS_RACES_ARENA_H_
#define DAXVMM_TESTS_RACES_ARENA_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "base/named_thread.h"
#include "tests/races/canary.h"
#include "tests/races/inotify_watch.h"

namespace daxvmm::races {

class Arena {
 public:
  // Makes "share", "outside" and "parking" in the empty directory `top`.
  explicit Arena(const std::string& top);
  ~Arena();

  const std::string& share() const { return share_; }
  Canary& canary() { return canary_; }

  // The swapping, on a thread of its own.
  void Start();
  void Stop();
  uint64_t swaps() const { return swaps_.load(std::memory_order_relaxed); }

  // The FIFOs and devices that were opened since the last call; empty if none. Nobody ever has a reason to.
  std::string SpecialFilesOpened() { return special_.Drain(); }
  // The regular files of the share, and of what left it, that hold what they cannot have from inside.
  std::string MarkedFiles() const;

 private:
  enum class Kind : uint8_t { kFile, kFifo, kCharacterDevice, kBlockDevice, kSocket, kDirectory };

  void MakeDirectory(const std::string& path) const;
  void MakeOdd(const std::string& path, Kind kind);
  // The exchange of two names in the arena; what was removed from either is made anew first.
  void SwapDirectory();
  void SwapFile();
  void SwapSlot(uint64_t turn);
  void SwapOdd(uint64_t turn);
  void Move() const;
  bool Exchange(const std::string& a, const std::string& b);
  void Run();

  const std::string share_;
  const std::string arena_;
  const std::string parking_;
  Canary canary_;
  InotifyWatch special_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> swaps_{0};
  NamedThread thread_;
};

}  // namespace daxvmm::races

#endif  // DAXVMM_TESTS_RACES_ARENA_H_
