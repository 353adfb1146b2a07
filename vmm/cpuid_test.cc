#include "vmm/cpuid.h"

#include <asm/kvm_para.h>

#include "gtest/gtest.h"

namespace daxvmm::vmm {
namespace {

kvm_cpuid_entry2 Leaf(uint32_t function, uint32_t index, uint32_t fill) {
  kvm_cpuid_entry2 entry{};
  entry.function = function;
  entry.index = index;
  entry.eax = entry.ebx = entry.ecx = entry.edx = fill;
  return entry;
}

const kvm_cpuid_entry2& Find(const std::vector<kvm_cpuid_entry2>& entries, uint32_t function, uint32_t index = 0) {
  for (const kvm_cpuid_entry2& entry : entries) {
    if (entry.function == function && entry.index == index) return entry;
  }
  ADD_FAILURE() << "no leaf " << function;
  return entries.front();
}

TEST(CpuidTest, AsynchronousPageFaultsAreNeverOffered) {
  const std::vector<kvm_cpuid_entry2> host = {Leaf(KVM_CPUID_FEATURES, 0, ~0u)};
  const auto chosen = ChooseCpuid(host, 0, {});
  const uint32_t features = Find(chosen, KVM_CPUID_FEATURES).eax;
  for (unsigned bit : {KVM_FEATURE_ASYNC_PF, KVM_FEATURE_ASYNC_PF_VMEXIT, KVM_FEATURE_ASYNC_PF_INT}) {
    EXPECT_EQ(features & (1u << bit), 0u) << bit;
  }
  for (unsigned bit : {KVM_FEATURE_CLOCKSOURCE2, KVM_FEATURE_CLOCKSOURCE_STABLE_BIT, KVM_FEATURE_PV_EOI}) {
    EXPECT_NE(features & (1u << bit), 0u) << bit;
  }
}

TEST(CpuidTest, AFeatureThatTheHostLacksStaysOff) {
  const std::vector<kvm_cpuid_entry2> host = {Leaf(KVM_CPUID_FEATURES, 0, 0)};
  EXPECT_EQ(Find(ChooseCpuid(host, 0, {}), KVM_CPUID_FEATURES).eax, 0u);
}

TEST(CpuidTest, EachVcpuHasItsOwnApicId) {
  const std::vector<kvm_cpuid_entry2> host = {Leaf(1, 0, 0), Leaf(0xb, 0, 7), Leaf(0xb, 1, 7), Leaf(0x8000001e, 0, 7)};
  const auto chosen = ChooseCpuid(host, 2, {.cpu_count = 3});
  EXPECT_EQ(Find(chosen, 1).ebx >> 24, 2u);
  EXPECT_EQ((Find(chosen, 1).ebx >> 16) & 0xff, 3u);
  EXPECT_EQ(Find(chosen, 0xb, 0).edx, 2u);
  EXPECT_EQ(Find(chosen, 0xb, 1).edx, 2u);
  EXPECT_EQ(Find(chosen, 0xb, 1).eax, 2u);  // two bits hold the numbers 0 to 2
  EXPECT_EQ(Find(chosen, 0xb, 1).ebx, 3u);
  EXPECT_EQ(Find(chosen, 0x8000001e).eax, 2u);
}

TEST(CpuidTest, TscDeadlineFollowsTheCapability) {
  const std::vector<kvm_cpuid_entry2> host = {Leaf(1, 0, 0)};
  EXPECT_EQ(Find(ChooseCpuid(host, 0, {.tsc_deadline_timer = false}), 1).ecx & (1u << 24), 0u);
  EXPECT_NE(Find(ChooseCpuid(host, 0, {.tsc_deadline_timer = true}), 1).ecx & (1u << 24), 0u);
}

TEST(CpuidTest, PhysicalAddressBits) {
  kvm_cpuid_entry2 leaf = Leaf(0x80000008, 0, 0);
  leaf.eax = 0x3028;
  EXPECT_EQ(PhysicalAddressBits(std::vector<kvm_cpuid_entry2>{leaf}), 40u);
  EXPECT_EQ(PhysicalAddressBits({}), 36u);
}

}  // namespace
}  // namespace daxvmm::vmm
