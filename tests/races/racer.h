// A client that walks and works in an Arena, and looks at whatever comes back for what cannot be from inside.
#ifndef DAXVMM_TESTS_RACES_RACER_H_
#define DAXVMM_TESTS_RACES_RACER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "devices/virtio_fs/fuse/dispatcher.h"
#include "devices/virtio_fs/fuse/test_request.h"
#include "tests/races/canary.h"

namespace daxvmm::races {

// What all racers of a race found. Any thread may call any method.
class Findings {
 public:
  explicit Findings(const Canary* canary) : canary_(*canary) {}

  const Canary& canary() const { return canary_; }
  // Keeps the first few.
  void Escape(const std::string& what);
  std::string escapes() const;

  void Count(uint32_t opcode, bool succeeded);
  uint64_t tried(uint32_t opcode) const { return counts_[opcode].tried.load(std::memory_order_relaxed); }
  uint64_t succeeded(uint32_t opcode) const { return counts_[opcode].succeeded.load(std::memory_order_relaxed); }

 private:
  struct Counts {
    std::atomic<uint64_t> tried{0}, succeeded{0};
  };
  const Canary& canary_;
  std::array<Counts, 64> counts_;
  mutable Mutex mu_;
  std::string escapes_ ABSL_GUARDED_BY(mu_);
};

// Things of the arena by what they are when nobody tampers with them.
enum class Target : uint8_t { kFile, kDirectory, kLink, kAnything };

// A directory, and a name in it that is free when nobody tampers with it.
struct Place {
  uint64_t parent = 0;  // 0: the way there is cut off at the moment
  std::string name;
};

// Belongs to one thread, but for busy_since().
class Racer {
 public:
  Racer(fuse::Dispatcher* dispatcher, Findings* findings, uint32_t seed)
      : dispatcher_(*dispatcher), findings_(*findings), random_(seed) {}

  // One request; the reply has been searched. Takes note of references and handles that the reply gives.
  fuse::TestReply Call(uint32_t opcode, uint64_t node, const std::string& body);

  // The node at the end of a way, one LOOKUP per component; 0 where one is missing.
  uint64_t Walk(const std::vector<std::string>& path);
  // A node of some way that leads to such a thing; 0 where that is cut off.
  uint64_t Node(Target target);
  Place FreePlace();
  // Removes what there is, file or directory.
  void Clear(const Place& place);
  // A handle of `node`; 0 if it cannot be opened.
  uint64_t Open(uint64_t node, uint32_t flags);
  uint64_t OpenDirectory(uint64_t node);

  // Gives back every handle and every reference.
  void Finish();
  // Forgets of them without giving them back: the session is over.
  void Drop();

  uint32_t Random(uint32_t below) { return static_cast<uint32_t>(random_() % below); }
  const std::vector<uint64_t>& nodes() const { return nodes_; }
  // Looks for the marker.
  void Search(uint32_t opcode, absl::string_view bytes);

  // When the request that is under way began, on the monotonic clock in ms, and its opcode; 0 if none is.
  int64_t busy_since() const { return busy_since_.load(); }
  uint32_t busy_with() const { return busy_with_.load(); }

 private:
  struct OpenHandle {
    uint64_t node;
    uint64_t fh;
    bool directory;
  };
  void LookAt(uint32_t opcode, const fuse::TestReply& reply);
  void CheckInode(uint32_t opcode, uint64_t ino);

  fuse::Dispatcher& dispatcher_;
  Findings& findings_;
  std::minstd_rand random_;
  std::vector<uint64_t> nodes_;  // one per reference
  std::vector<OpenHandle> handles_;
  std::atomic<int64_t> busy_since_{0};
  std::atomic<uint32_t> busy_with_{0};
};

int64_t MonotonicMs();

}  // namespace daxvmm::races

#endif  // DAXVMM_TESTS_RACES_RACER_H_
