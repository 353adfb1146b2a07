// What `top` remembers between two answers of the server: rates, and which file has which letter.
#ifndef DAXVMM_CONTROL_CTL_TOP_MODEL_H_
#define DAXVMM_CONTROL_CTL_TOP_MODEL_H_

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "control/ctl/top/snapshot.h"

namespace daxvmm::control::top {

inline constexpr int kLetters = 26;

// Per second, between one answer and the next; oldest first.
struct History {
  std::vector<double> maps;
  std::vector<double> unmaps;
};

// The letters of the files that have most of a window. A file keeps its letter while it is one of them, so that a
// letter does not wander over the screen.
class LetterBook {
 public:
  // `hottest`: node ids, the hottest first; those beyond kLetters get none.
  void Assign(const std::vector<uint64_t>& hottest);
  // 0 for A.
  std::optional<int> LetterOf(uint64_t node) const;

 private:
  std::array<std::optional<uint64_t>, kLetters> owner_;
};

// Used by one thread.
class Model {
 public:
  // A snapshot that was taken already changes nothing. Null is allowed.
  void Take(std::shared_ptr<const Snapshot> snapshot);

  // Null before the first.
  const Snapshot* snapshot() const { return snapshot_.get(); }
  // Of a share; empty where nothing is known yet.
  History HistoryOf(const std::string& share) const;
  // Of a file of the snapshot's share.
  std::optional<int> LetterOf(uint64_t node) const;
  // Of the snapshot's share; null if it has none.
  const v1::Window* window() const;
  // Which of the snapshot's windows that is; 0 if there is none.
  size_t WindowIndex() const;
  // The share that stands `steps` after the snapshot's, around the end; its own if there is no other.
  std::string ShareAfter(int steps) const;

 private:
  struct Track {
    absl::Time time;
    uint64_t maps = 0;
    uint64_t unmaps = 0;
    std::deque<double> map_rates;
    std::deque<double> unmap_rates;
    LetterBook letters;
  };

  void TakeWindow(const v1::Window& window);
  void AssignLetters();

  std::shared_ptr<const Snapshot> snapshot_;
  std::map<std::string, Track> tracks_;
};

// Sorts as a server that knows `order` does: it may be an older one. Equal ones by path.
void SortFiles(v1::ListFilesRequest::Order order, std::vector<v1::LiveFile>* files);

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_MODEL_H_
