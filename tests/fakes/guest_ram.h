// Guest memory for tests: two RAM regions that touch in the guest and not in the host, a hole, and maybe a DAX window.
#ifndef DAXVMM_TESTS_FAKES_GUEST_RAM_H_
#define DAXVMM_TESTS_FAKES_GUEST_RAM_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/units.h"
#include "memory/guest_memory.h"
#include "memory/mapping.h"

namespace daxvmm::fakes {

inline constexpr GuestPhysAddr kWindowBase{0x1'0000'0000};

struct GuestRamOptions {
  ByteCount low = MiB(8);   // [0, low)
  ByteCount high = MiB(8);  // [low, low + high); at least 128 KiB each
  // The host side of a window at kWindowBase: memory::MappingWindow::host(), or anything else. Must outlive this.
  std::byte* window_host = nullptr;
  ByteCount window_size;
  bool window_writable = true;
};

// Owns the RAM and hands out pieces of it. One thread, but memory() is for all. Aborts where a test asks for nonsense.
class GuestRam {
 public:
  explicit GuestRam(const GuestRamOptions& options = GuestRamOptions());

  const memory::GuestMemory& memory() const { return *memory_; }
  // Nothing answers at this address and beyond, up to the window.
  GuestPhysAddr end_of_ram() const { return GuestPhysAddr() + options_.low + options_.high; }

  // A piece in one region; give it back with the size it was asked for.
  GuestPhysAddr Allocate(ByteCount size);
  void Free(GuestPhysAddr at, ByteCount size);
  // Half in the one region, half in the other, up to 128 KiB; the same place each time.
  GuestPhysAddr Straddling(ByteCount size) const;

  // Host address of a piece in one region.
  std::byte* Host(GuestPhysAddr at, ByteCount size) const;
  std::vector<std::byte> Read(GuestPhysAddr at, ByteCount size) const;
  void Write(GuestPhysAddr at, const std::vector<std::byte>& bytes) const;

 private:
  const GuestRamOptions options_;
  memory::Mapping low_;
  memory::Mapping high_;
  std::optional<memory::GuestMemory> memory_;
  GuestPhysAddr next_;
  std::map<uint64_t, std::vector<GuestPhysAddr>> free_;  // by rounded size
};

}  // namespace daxvmm::fakes

#endif  // DAXVMM_TESTS_FAKES_GUEST_RAM_H_
