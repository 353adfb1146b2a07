#include "vmm/touched_pages.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include "vmm/memory_operands.h"
#include "vmm/page_walk.h"

namespace daxvmm::vmm {
namespace {

constexpr uint64_t kEferLongModeActive = 1 << 10;
constexpr uint64_t kCr4La57 = 1 << 12;

uint64_t NextPage(uint64_t linear) { return (linear / kPageSize.raw() + 1) * kPageSize.raw(); }

std::optional<CodeSize> CodeSizeOf(const kvm_sregs& sregs) {
  if ((sregs.efer & kEferLongModeActive) != 0 && sregs.cs.l != 0) return CodeSize::k64;
  if (sregs.cs.db != 0) return CodeSize::k32;
  return std::nullopt;
}

std::optional<GuestPhysAddr> Translate(KvmVcpu* vcpu, const memory::GuestMemory& memory, const kvm_sregs& sregs,
                                       uint64_t linear) {
  if ((sregs.efer & kEferLongModeActive) == 0) return vcpu->Translate(linear);
  return WalkPageTables(memory, {.cr3 = sregs.cr3, .five_levels = (sregs.cr4 & kCr4La57) != 0}, linear);
}

AddressContext ContextOf(const kvm_regs& regs, const kvm_sregs& sregs, CodeSize code) {
  AddressContext context;
  context.code = code;
  context.registers = {regs.rax, regs.rcx, regs.rdx, regs.rbx, regs.rsp, regs.rbp, regs.rsi, regs.rdi,
                       regs.r8,  regs.r9,  regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15};
  context.rip = regs.rip;
  context.segment_bases = {sregs.es.base, sregs.cs.base, sregs.ss.base, sregs.ds.base, sregs.fs.base, sregs.gs.base};
  return context;
}

}  // namespace

std::vector<TouchedPage> FindTouchedPages(KvmVcpu* vcpu, const memory::GuestMemory& memory, bool with_perhaps) {
  std::vector<TouchedPage> pages;
  const absl::StatusOr<kvm_regs> regs = vcpu->GetRegs();
  const absl::StatusOr<kvm_sregs> sregs = vcpu->GetSregs();
  if (!regs.ok() || !sregs.ok()) return pages;
  const std::optional<CodeSize> code_size = CodeSizeOf(*sregs);
  if (!code_size.has_value()) return pages;

  // The instruction's bytes, which may continue on a second page.
  const uint64_t first = *code_size == CodeSize::k64 ? regs->rip : (sregs->cs.base + regs->rip) & 0xffff'ffff;
  std::array<uint8_t, kMaxInstructionLength> code{};
  size_t got = 0;
  while (got < code.size()) {
    const uint64_t linear = first + got;
    const std::optional<GuestPhysAddr> at = Translate(vcpu, memory, *sregs, linear);
    if (!at.has_value()) break;
    pages.push_back({.at = *at, .may_store = false, .perhaps = got != 0});
    const size_t length = std::min<uint64_t>(code.size() - got, NextPage(linear) - linear);
    if (!memory.Read(*at, std::as_writable_bytes(std::span(code).subspan(got, length)))) break;
    got += length;
  }

  const std::optional<std::vector<MemoryOperand>> operands =
      DecodeMemoryOperands(std::span(code).first(got), ContextOf(*regs, *sregs, *code_size));
  if (!operands.has_value()) return pages;
  for (const MemoryOperand& operand : *operands) {
    const uint64_t last = operand.linear + (operand.size - 1);
    for (uint64_t linear = operand.linear;; linear = NextPage(linear)) {
      const std::optional<GuestPhysAddr> at = Translate(vcpu, memory, *sregs, linear);
      if (at.has_value()) {
        pages.push_back({.at = *at, .may_store = operand.may_store, .perhaps = linear != operand.linear});
      }
      // The comparison is right even where the operand wraps around the end of the address space.
      if (!with_perhaps || last - linear < NextPage(linear) - linear) break;
    }
  }
  return pages;
}

}  // namespace daxvmm::vmm
