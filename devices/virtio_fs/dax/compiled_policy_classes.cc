#include "devices/virtio_fs/dax/compiled_policy_classes.h"

#include <utility>

namespace daxvmm::dax {
namespace {

std::string KeyOf(const FileClass& file_class) {
  const std::vector<uint64_t>& words = file_class.rules.words();
  std::string key(reinterpret_cast<const char*>(words.data()), words.size() * sizeof(uint64_t));
  if (file_class.overridden) {
    key.push_back(file_class.overridden->dax ? 'd' : 'n');
    if (file_class.overridden->expires_at)
      key += absl::FormatTime(absl::RFC3339_full, *file_class.overridden->expires_at, absl::UTCTimeZone());
  }
  return key;
}

}  // namespace

ClassTable::ClassTable(size_t capacity)
    : capacity_(capacity), classes_(std::make_unique<std::atomic<const FileClass*>[]>(capacity)) {}

std::optional<uint16_t> ClassTable::Intern(const FileClass& file_class) {
  std::string key = KeyOf(file_class);
  MutexLock lock(&mu_);
  const auto known = numbers_.find(key);
  if (known != numbers_.end()) return known->second;
  if (owned_.size() == capacity_) return std::nullopt;
  owned_.push_back(std::make_unique<const FileClass>(file_class));
  const auto number = static_cast<uint16_t>(owned_.size());
  classes_[number - 1].store(owned_.back().get(), std::memory_order_release);
  numbers_.emplace(std::move(key), number);
  return number;
}

}  // namespace daxvmm::dax
