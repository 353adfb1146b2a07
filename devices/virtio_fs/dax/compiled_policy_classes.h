// What files are alike, as far as their placement decides. Internal to compiled_policy.h.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_COMPILED_POLICY_CLASSES_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_COMPILED_POLICY_CLASSES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "devices/virtio_fs/dax/rule_bits.h"

namespace daxvmm::dax {

struct FileClass {
  // What is left of an override: files that are overridden alike are of one class.
  struct Overridden {
    bool dax = false;
    std::optional<absl::Time> expires_at;
  };

  RuleBits rules;  // that hold as far as the placement says
  std::optional<Overridden> overridden;
};

// Numbers classes from 1, as they turn up. Any thread may call any method.
class ClassTable {
 public:
  // `capacity` is below 65535.
  explicit ClassTable(size_t capacity);

  // The number of the class that equals `file_class`; nullopt if it is new and the table is full.
  std::optional<uint16_t> Intern(const FileClass& file_class);
  // The class of that number, as long as the table lives; null if there is none. No lock.
  const FileClass* Find(uint16_t number) const {
    if (number == 0 || number > capacity_) return nullptr;
    // Acquire, with Intern's release: the number may have come here by way of a relaxed atomic.
    return classes_[number - 1].load(std::memory_order_acquire);
  }

 private:
  const size_t capacity_;
  const std::unique_ptr<std::atomic<const FileClass*>[]> classes_;
  Mutex mu_;
  std::unordered_map<std::string, uint16_t> numbers_ ABSL_GUARDED_BY(mu_);
  std::vector<std::unique_ptr<const FileClass>> owned_ ABSL_GUARDED_BY(mu_);
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_COMPILED_POLICY_CLASSES_H_
