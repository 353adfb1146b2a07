// A header followed by a variable number of entries, as several KVM ioctls take it.
#ifndef DAXVMM_VMM_KVM_FLEX_ARRAY_H_
#define DAXVMM_VMM_KVM_FLEX_ARRAY_H_

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

namespace daxvmm::vmm {

// Zero-filled but for `entries`. operator new aligns the bytes for any of the kernel's structs.
template <typename Header, typename Entry>
class FlexArray {
 public:
  explicit FlexArray(size_t count) : bytes_(sizeof(Header) + count * sizeof(Entry)) {}
  explicit FlexArray(std::span<const Entry> entries) : FlexArray(entries.size()) {
    std::memcpy(bytes_.data() + sizeof(Header), entries.data(), entries.size_bytes());
  }
  Header* get() { return reinterpret_cast<Header*>(bytes_.data()); }
  Header* operator->() { return get(); }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_KVM_FLEX_ARRAY_H_
