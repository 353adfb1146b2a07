// What a guest was told about DAX when it made its in-core inode, as far as the server can know.
//
// Linux makes an inode from the first reply about it that takes a lookup reference, decides DAX then and never again
// (fuse_init_file_inode in fs/fuse/inode.c, 6.1), and says by FORGET how many references the inode had when it dropped
// it. A look-up may overtake that FORGET: then the references never become none, and the inode that the guest holds now
// began with the reply after the last one that was forgotten. So the record remembers, of the replies whose references
// are out, where the flag changed.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_TOLD_RECORD_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_TOLD_RECORD_H_

#include <cstdint>
#include <optional>

namespace daxvmm::dax {

// A value, without a lock; zero bytes are one of an inode that nothing was told of. Times are nanoseconds of one steady
// clock.
class ToldRecord {
 public:
  // A reply that takes a lookup reference says `dax`. `sent_after`: see fuse::RequestContext; where the reply that
  // began the instance may not have reached the guest when it asked for this one, and the two differ, the guest may
  // have made its inode from either.
  void EntryReply(bool dax, uint32_t generation, int64_t now, int64_t sent_after);
  // A reply that takes none, but whose flag the guest compares with its inode's (GETATTR).
  void AttrReply(bool dax) { Set(kLastSeenDax, dax); }
  // The last EntryReply did not arrive.
  void Undelivered();
  // The guest gave `count` references back.
  void Forgot(uint64_t count, int64_t now);

  // The guest did what only an inode made so does: SETUPMAPPING, or a FUSE_READ inside the file. Corrects the record if
  // some reply that the guest may go by said so; whether it did.
  bool Evidence(bool dax);

  // Whether the guest holds the inode.
  bool held() const { return replies_ != 0; }
  // The flag that the guest's inode was made with; nullopt if that cannot be known. False if it holds none.
  std::optional<bool> told() const;
  // The policy generation of that answer.
  uint32_t generation() const { return generation_; }
  // The flag in the last reply that the guest compares with its inode's.
  bool last_seen() const { return Has(kLastSeenDax); }
  // Whether any reply about the inode, in its whole life, said DAX.
  bool ever_dax() const { return Has(kEverDax); }

 private:
  enum Bit : uint8_t {
    kFirstDax = 1,     // in the reply that the instance began with
    kLaterDax = 2,     // in the last one, if it ever changed
    kManyChanges = 4,  // it changed again after change_at_
    kUnknown = 8,      // the instance may have begun with another reply
    kEvidence = 16,    // what the guest did says: kEvidenceDax
    kEvidenceDax = 32,
    kLastSeenDax = 64,
    kEverDax = 128,
  };
  bool Has(Bit bit) const { return (bits_ & bit) != 0; }
  void Set(Bit bit, bool on) { bits_ = static_cast<uint8_t>(on ? bits_ | bit : bits_ & ~bit); }
  void DropChanges();

  int64_t began_ = 0;       // when the reply that the instance began with was made, or later
  uint32_t replies_ = 0;    // whose references are out
  uint32_t change_at_ = 0;  // the first of them, counted from 1, that said something else than the first; 0: none did
  uint32_t generation_ = 0;
  uint32_t later_generation_ = 0;  // of the reply at which it changed last
  uint8_t bits_ = 0;
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_TOLD_RECORD_H_
