// The owner of one mmap.
#ifndef DAXVMM_MEMORY_MAPPING_H_
#define DAXVMM_MEMORY_MAPPING_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "base/units.h"

namespace daxvmm::memory {

// Unmaps when it goes. Move-only.
class [[nodiscard]] Mapping {
 public:
  Mapping() = default;
  // Zero-filled, private, readable and writable memory that is committed on first touch; aligned to `alignment`, a
  // power of two of at least a page. RESOURCE_EXHAUSTED or another errno's code if the host refuses.
  static absl::StatusOr<Mapping> Anonymous(ByteCount size, ByteCount alignment = kPageSize);
  // Address space only: PROT_NONE, no commit charge.
  static absl::StatusOr<Mapping> Reserve(ByteCount size, ByteCount alignment = kPageSize);
  // Takes over [data, data + size), which the caller mapped.
  Mapping(void* data, ByteCount size) : data_(static_cast<std::byte*>(data)), size_(size) {}

  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  std::byte* data() const { return data_; }
  ByteCount size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  ByteCount size_;
};

}  // namespace daxvmm::memory

#endif  // DAXVMM_MEMORY_MAPPING_H_
