// The files that the adaptive policy remembers: bounded, and in an order that does not depend on hashes.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_ADAPTIVE_FILES_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_ADAPTIVE_FILES_H_

#include <cstddef>
#include <list>
#include <unordered_map>

#include "devices/virtio_fs/dax/adaptive_evidence.h"
#include "devices/virtio_fs/dax/adaptive_types.h"

namespace daxvmm::dax {

struct AdaptiveFile {
  FileIdentity file;
  bool live = false;
  Verdict verdict;
  AdaptiveTime born{0};     // when this life began
  AdaptiveTime changed{0};  // when the verdict changed last
  uint32_t changes = 0;     // how often it has
  AdaptiveTime active{0};   // the last request
  uint64_t bespoken = 0;    // chunks counted in the policy's sum
  ByteCount first_size;     // at birth
  bool voted_once = false;  // in this life, for its kind
  bool voted_worth = false;
  bool ordered = false;  // whether it was read in order has been told its kind
  FileSample last;
  Evidence evidence;
};

// Two lists, live and forgotten, each the least recently active first and each bounded. Not thread-safe.
class AdaptiveFiles {
 public:
  using List = std::list<AdaptiveFile>;

  AdaptiveFiles(size_t max_live, size_t max_forgotten) : max_live_(max_live), max_forgotten_(max_forgotten) {}

  // Null if unknown. The pointer holds until the next call that is not const.
  AdaptiveFile* Find(FileIdentity file);
  const AdaptiveFile* Find(FileIdentity file) const;
  // Makes the file live and the most recently active; a new record if it is unknown. Null if no file is to be
  // remembered at all. The least recently active live file becomes a forgotten one if there is no place: to be taken
  // out of sums first, hence `OldestIfFull`.
  AdaptiveFile* Revive(FileIdentity file);
  // The live file that Revive of a file that is not live would push out, or null.
  AdaptiveFile* OldestIfFull();
  // Among the live files, the most recently active.
  void Touch(AdaptiveFile* file);
  // From live to forgotten; the oldest forgotten one is dropped if there is no place.
  void Forget(AdaptiveFile* file);

  List& live() { return live_; }
  const List& live() const { return live_; }
  size_t live_count() const { return live_.size(); }
  size_t forgotten_count() const { return forgotten_.size(); }

 private:
  struct Hash {
    size_t operator()(FileIdentity file) const { return std::hash<uint64_t>()(file.raw()); }
  };

  size_t max_live_;
  size_t max_forgotten_;
  List live_;
  List forgotten_;
  std::unordered_map<FileIdentity, List::iterator, Hash> index_;
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_ADAPTIVE_FILES_H_
