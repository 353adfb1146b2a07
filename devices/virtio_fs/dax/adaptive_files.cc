#include "devices/virtio_fs/dax/adaptive_files.h"

namespace daxvmm::dax {

AdaptiveFile* AdaptiveFiles::Find(FileIdentity file) {
  const auto it = index_.find(file);
  return it == index_.end() ? nullptr : &*it->second;
}

const AdaptiveFile* AdaptiveFiles::Find(FileIdentity file) const {
  const auto it = index_.find(file);
  return it == index_.end() ? nullptr : &*it->second;
}

AdaptiveFile* AdaptiveFiles::OldestIfFull() {
  return live_.size() >= max_live_ && !live_.empty() ? &live_.front() : nullptr;
}

AdaptiveFile* AdaptiveFiles::Revive(FileIdentity file) {
  const auto known = index_.find(file);
  if (known != index_.end() && known->second->live) {
    Touch(&*known->second);
    return &*known->second;
  }
  if (max_live_ == 0) return nullptr;
  // Into the live list first, so that making place cannot drop it from the forgotten ones.
  if (known != index_.end()) {
    live_.splice(live_.end(), forgotten_, known->second);
  } else {
    live_.emplace_back();
    live_.back().file = file;
    index_.emplace(file, std::prev(live_.end()));
  }
  AdaptiveFile* revived = &live_.back();
  revived->live = true;
  if (live_.size() > max_live_) Forget(&live_.front());
  return revived;
}

void AdaptiveFiles::Touch(AdaptiveFile* file) {
  const auto it = index_.find(file->file);
  if (it != index_.end() && file->live) live_.splice(live_.end(), live_, it->second);
}

void AdaptiveFiles::Forget(AdaptiveFile* file) {
  const auto it = index_.find(file->file);
  if (it == index_.end() || !file->live) return;
  file->live = false;
  forgotten_.splice(forgotten_.end(), live_, it->second);
  if (forgotten_.size() <= max_forgotten_) return;
  index_.erase(forgotten_.front().file);
  forgotten_.pop_front();
}

}  // namespace daxvmm::dax
