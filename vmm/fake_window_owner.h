// A window whose answers a test chooses.
#ifndef DAXVMM_VMM_FAKE_WINDOW_OWNER_H_
#define DAXVMM_VMM_FAKE_WINDOW_OWNER_H_

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "memory/window_owner.h"

namespace daxvmm::vmm {

class FakeWindowOwner final : public memory::WindowOwner {
 public:
  uint64_t repair_count() const override { return repairs; }
  bool LookAtFiles() override {
    ++looks;
    return std::exchange(look_changes, false);
  }
  memory::MendOutcome Mend(WindowOffset at, memory::Touch touch) override {
    touches.emplace_back(at, touch);
    return outcome;
  }
  memory::MendOutcome Access(WindowOffset at, std::span<uint8_t> data, bool store) override {
    touches.emplace_back(at, store ? memory::Touch::kMaybeStore : memory::Touch::kLoad);
    if (!store) std::fill(data.begin(), data.end(), uint8_t{0x5a});
    return outcome;
  }
  std::string DescribeUnusable() const override { return unusable; }
  std::string Describe(WindowOffset at) const override { return "page " + std::to_string(at.raw() / 4096); }

  uint64_t repairs = 0;
  bool look_changes = false;
  int looks = 0;
  memory::MendOutcome outcome{memory::MendOutcome::Kind::kLost, "gone"};
  std::string unusable;
  std::vector<std::pair<WindowOffset, memory::Touch>> touches;
};

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_FAKE_WINDOW_OWNER_H_
