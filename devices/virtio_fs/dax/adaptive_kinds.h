// How files of a kind turned out, so that a new one is not judged blindly: a kind is a range of sizes, and whether the
// host backs the file by huge pages.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_ADAPTIVE_KINDS_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_ADAPTIVE_KINDS_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "devices/virtio_fs/dax/adaptive_types.h"

namespace daxvmm::dax {

class AdaptiveKinds {
 public:
  // A file turned out to be worth a mapping, or not.
  void Vote(const AdaptiveTuning& tuning, ByteCount size, bool huge_pages, bool worth);
  // A file of the kind was read in order, or not.
  void Order(const AdaptiveTuning& tuning, ByteCount size, bool huge_pages, bool in_order);
  // Whether most files of the kind were read in order lately. False as long as none was seen.
  bool InOrder(ByteCount size, bool huge_pages) const { return kinds_[Index(size, huge_pages)].order > 0; }
  // Whether new files of the kind are denied at present.
  bool Denied(ByteCount size, bool huge_pages) const { return kinds_[Index(size, huge_pages)].denied; }
  // How many files of the kind have been judged.
  uint64_t Votes(ByteCount size, bool huge_pages) const { return kinds_[Index(size, huge_pages)].votes; }
  // Counts a new file; true for one in every `every` of its kind, never for the first ones.
  bool TakesTrial(uint32_t every, ByteCount size, bool huge_pages);

 private:
  struct Kind {
    double score = 0;
    double order = 0;
    bool denied = false;
    uint64_t votes = 0;
    uint64_t newcomers = 0;
  };
  // Bounds of sizes, each twice the one before: 64 KiB to 32 GiB. Coarser ones would learn sooner, but one stream would
  // speak for every other file.
  static constexpr size_t kSizes = 21;
  static size_t Index(ByteCount size, bool huge_pages);

  std::array<Kind, 2 * kSizes> kinds_;
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_ADAPTIVE_KINDS_H_
