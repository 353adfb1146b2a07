// Which addresses an x86 instruction loads from and stores to: enough to find the page that a vCPU could not reach
// where KVM does not name it. A pure function over bytes that a guest chose: any bytes end in an answer.
//
// Intel SDM volume 2, chapters 2 (formats, VEX, EVEX) and appendix A (opcode maps); AMD APM volume 3 (XOP).
#ifndef DAXVMM_VMM_MEMORY_OPERANDS_H_
#define DAXVMM_VMM_MEMORY_OPERANDS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace daxvmm::vmm {

inline constexpr size_t kMaxInstructionLength = 15;

// By the default sizes of the code segment. 16-bit code is not decoded.
enum class CodeSize { k64, k32 };

// What addresses are made of.
struct AddressContext {
  CodeSize code = CodeSize::k64;
  // RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15: the order of their encodings.
  std::array<uint64_t, 16> registers{};
  uint64_t rip = 0;  // of the instruction
  // ES, CS, SS, DS, FS, GS. In 64-bit code only the last two count.
  std::array<uint64_t, 6> segment_bases{};
};

struct MemoryOperand {
  uint64_t linear = 0;     // address of the first byte
  uint32_t size = 0;       // in bytes; an upper bound for instructions of variable width
  bool may_store = false;  // false only where the instruction is known to load

  bool operator==(const MemoryOperand&) const = default;
};

// The memory operands of the instruction that `code` begins with: at most two, none for one without any. For a repeated
// string instruction those of the present turn. nullopt if `code` ends inside the instruction, or for what is not
// understood: unknown opcodes, gathers and scatters, some compressed displacements of EVEX, 16-bit addressing.
// Accesses that are no operand (descriptor tables, the interrupt's stack frame) are left out.
std::optional<std::vector<MemoryOperand>> DecodeMemoryOperands(std::span<const uint8_t> code,
                                                               const AddressContext& context);

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_MEMORY_OPERANDS_H_
