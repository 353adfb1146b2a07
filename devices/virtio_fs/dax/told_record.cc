#include "devices/virtio_fs/dax/told_record.h"

#include <limits>

namespace daxvmm::dax {

void ToldRecord::DropChanges() {
  change_at_ = 0;
  later_generation_ = 0;
  bits_ = static_cast<uint8_t>(bits_ & ~(kLaterDax | kManyChanges));
}

void ToldRecord::EntryReply(bool dax, uint32_t generation, int64_t now, int64_t sent_after) {
  Set(kLastSeenDax, dax);
  if (dax) Set(kEverDax, true);
  // A guest that takes references without end is not worth a longer count.
  if (replies_ == std::numeric_limits<uint32_t>::max()) return;
  if (++replies_ == 1) {
    DropChanges();
    Set(kFirstDax, dax);
    Set(kUnknown, false);
    Set(kEvidence, false);
    began_ = now;
    generation_ = generation;
    return;
  }
  if (change_at_ == 0 && dax == Has(kFirstDax)) return;
  if (change_at_ == 0) {
    change_at_ = replies_;
    later_generation_ = generation;
    Set(kLaterDax, dax);
  } else if (dax != Has(kLaterDax)) {
    Set(kManyChanges, true);
    Set(kLaterDax, dax);
    later_generation_ = generation;
  }
  if (dax != Has(kFirstDax) && sent_after <= began_) Set(kUnknown, true);
}

void ToldRecord::Undelivered() {
  if (replies_ == 0) return;
  --replies_;
  if (change_at_ > replies_) {
    DropChanges();
    Set(kUnknown, false);
  }
  Set(kLastSeenDax, change_at_ != 0 ? Has(kLaterDax) : Has(kFirstDax));
}

void ToldRecord::Forgot(uint64_t count, int64_t now) {
  if (count == 0) return;
  if (count >= replies_) {
    replies_ = 0;
    return;
  }
  replies_ -= static_cast<uint32_t>(count);
  // The reply that the instance begins with was made before now; when, nobody has noted.
  began_ = now;
  Set(kEvidence, false);
  if (change_at_ == 0) {
    Set(kUnknown, false);
  } else if (count + 1 < change_at_) {
    change_at_ -= static_cast<uint32_t>(count);
  } else if (!Has(kManyChanges) || replies_ == 1) {
    Set(kFirstDax, Has(kLaterDax));
    generation_ = later_generation_;
    DropChanges();
    Set(kUnknown, false);
  } else {
    // The flags of the replies that are left, but for the last one's, nobody has kept.
    change_at_ = 1;
    Set(kUnknown, true);
  }
}

bool ToldRecord::Evidence(bool dax) {
  if (!held() || told() == dax) return false;
  // That it was never told of DAX the guest cannot have overlooked: it does not go by the flag.
  if (dax && !ever_dax()) return false;
  Set(kEvidence, true);
  Set(kEvidenceDax, dax);
  return true;
}

std::optional<bool> ToldRecord::told() const {
  if (!held()) return false;
  if (Has(kEvidence)) return Has(kEvidenceDax);
  if (Has(kUnknown)) return std::nullopt;
  return Has(kFirstDax);
}

}  // namespace daxvmm::dax
