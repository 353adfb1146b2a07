#include "vmm/memory_operands.h"

#include <algorithm>

namespace daxvmm::vmm {
namespace {

enum Register : unsigned { kRax = 0, kRbx = 3, kRsp = 4, kRbp = 5, kRsi = 6, kRdi = 7 };
enum Segment : unsigned { kEs, kCs, kSs, kDs, kFs, kGs, kNoSegment };

// Opcode maps. 1 to 3 and 5 and 6 are numbered as VEX and EVEX number them, 8 to 10 as XOP does.
constexpr unsigned kOneByteMap = 0;
constexpr unsigned k0fMap = 1;
constexpr unsigned k0f38Map = 2;
constexpr unsigned k0f3aMap = 3;

enum class Encoding { kLegacy, kVex, kEvex, kXop };

constexpr uint32_t kFxsaveSize = 512;
constexpr uint32_t kXsaveSize = 4096;  // without AMX: header, legacy area and the components up to AVX-512 and PKRU

bool OneOf(uint8_t value, std::initializer_list<uint8_t> list) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// Opcodes of the map 0F that touch memory, if they do, for a load only; the same with VEX and EVEX.
bool Is0fLoad(uint8_t op) {
  return OneOf(op, {0x10, 0x12, 0x14, 0x15, 0x16, 0x28, 0x2a, 0x70, 0x74, 0x75,
                    0x76, 0x7c, 0x7d, 0xa3, 0xaf, 0xb2, 0xb8, 0xc2, 0xc4, 0xc6}) ||
         (op >= 0x2c && op <= 0x2f) || (op >= 0x40 && op <= 0x4f) || (op >= 0x51 && op <= 0x6f) ||
         (op >= 0xb4 && op <= 0xb7) || (op >= 0xbc && op <= 0xbf) ||
         (op >= 0xd0 && op != 0xd6 && op != 0xe7 && op != 0xf7);
}

class Decoder {
 public:
  Decoder(std::span<const uint8_t> code, const AddressContext& context)
      : code_(code.first(std::min(code.size(), kMaxInstructionLength))),
        context_(context),
        long_mode_(context.code == CodeSize::k64) {}

  std::optional<std::vector<MemoryOperand>> Decode() {
    ReadPrefixes();
    ReadOpcode();
    if (!failed_) ReadOperands();
    if (failed_) return std::nullopt;
    return operands_;
  }

 private:
  uint8_t Next() {
    if (at_ >= code_.size()) {
      failed_ = true;
      return 0;
    }
    return code_[at_++];
  }
  uint8_t Peek() {
    if (at_ >= code_.size()) failed_ = true;
    return failed_ ? 0 : code_[at_];
  }
  uint64_t NextLittleEndian(unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value |= uint64_t{Next()} << (8 * i);
    return value;
  }
  static uint64_t SignExtend(uint64_t value, unsigned bytes) {
    const unsigned shift = 64 - 8 * bytes;
    return static_cast<uint64_t>(static_cast<int64_t>(value << shift) >> shift);
  }

  void ReadPrefixes() {
    for (;;) {
      const uint8_t byte = Peek();
      if (failed_) return;
      switch (byte) {
        case 0x66:
          operand_size_prefix_ = true;
          break;
        case 0x67:
          address_size_prefix_ = true;
          break;
        case 0xf0:
          break;
        case 0xf2:
        case 0xf3:
          repeat_ = byte;
          break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
          if (!long_mode_) segment_ = static_cast<Segment>((byte >> 3) & 3);
          break;
        case 0x64:
        case 0x65:
          segment_ = byte == 0x64 ? kFs : kGs;
          break;
        default:
          // REX counts only right before the opcode.
          if (long_mode_ && (byte & 0xf0) == 0x40) {
            rex_ = byte;
            ++at_;
            continue;
          }
          return;
      }
      rex_ = 0;
      ++at_;
    }
  }

  void ReadOpcode() {
    opcode_ = Next();
    if (failed_) return;
    if (opcode_ == 0x0f) {
      map_ = k0fMap;
      opcode_ = Next();
      if (opcode_ == 0x38 || opcode_ == 0x3a) {
        map_ = opcode_ == 0x38 ? k0f38Map : k0f3aMap;
        opcode_ = Next();
      }
      return;
    }
    if (!OneOf(opcode_, {0xc4, 0xc5, 0x62, 0x8f})) return;
    const uint8_t next = Peek();
    if (opcode_ == 0x8f) {
      if ((next & 0x1f) >= 8) ReadThreeByteVex(Encoding::kXop);
      return;
    }
    // In 32-bit code these are LES, LDS and BOUND, which take no register for their operand.
    if (!long_mode_ && (next & 0xc0) != 0xc0) return;
    if (opcode_ == 0xc5) {
      const uint8_t vex = Next();
      encoding_ = Encoding::kVex;
      vector_bytes_ = (vex & 4) != 0 ? 32 : 16;
      SetPrefixFrom(vex);
      rex_ = (vex & 0x80) != 0 ? 0 : 4;
      map_ = k0fMap;
      opcode_ = Next();
    } else if (opcode_ == 0xc4) {
      ReadThreeByteVex(Encoding::kVex);
    } else {
      ReadEvex();
    }
  }

  void ReadThreeByteVex(Encoding encoding) {
    const uint8_t first = Next();
    const uint8_t second = Next();
    encoding_ = encoding;
    map_ = first & 0x1f;
    rex_ = static_cast<uint8_t>(((~first >> 5) & 7) | ((second & 0x80) != 0 ? 8 : 0));
    vector_bytes_ = (second & 4) != 0 ? 32 : 16;
    SetPrefixFrom(second);
    opcode_ = Next();
  }

  void ReadEvex() {
    const uint8_t first = Next();
    const uint8_t second = Next();
    const uint8_t third = Next();
    encoding_ = Encoding::kEvex;
    map_ = first & 7;
    rex_ = static_cast<uint8_t>(((~first >> 5) & 7) | ((second & 0x80) != 0 ? 8 : 0));
    vector_bytes_ = uint32_t{16} << ((third >> 5) & 3);
    broadcast_ = (third & 0x10) != 0;
    SetPrefixFrom(second);
    if (vector_bytes_ > 64) failed_ = true;
    opcode_ = Next();
  }

  // VEX.pp: none, 66, F3, F2.
  void SetPrefixFrom(uint8_t byte) {
    constexpr std::array<uint8_t, 4> kPrefixes = {0, 0x66, 0xf3, 0xf2};
    const uint8_t prefix = kPrefixes[byte & 3];
    operand_size_prefix_ = prefix == 0x66;
    repeat_ = prefix == 0x66 ? 0 : prefix;
  }

  bool Wide() const { return (rex_ & 8) != 0; }
  // 2, 4 or 8.
  uint32_t OperandBytes() const { return Wide() ? 8 : operand_size_prefix_ ? 2 : 4; }
  uint32_t StackBytes() const { return operand_size_prefix_ ? 2 : long_mode_ ? 8 : 4; }
  bool Addresses64() const { return long_mode_ && !address_size_prefix_; }

  uint64_t Linear(uint64_t effective, Segment segment) const {
    if (!Addresses64()) effective &= 0xffff'ffff;
    if (long_mode_) return segment == kFs || segment == kGs ? effective + context_.segment_bases[segment] : effective;
    return (effective + context_.segment_bases[segment]) & 0xffff'ffff;
  }
  Segment Or(Segment other) const { return segment_ == kNoSegment ? other : segment_; }

  void Add(uint64_t effective, Segment segment, uint32_t size, bool may_store) {
    operands_.push_back({Linear(effective, segment), size, may_store});
  }
  // The stack is addressed by the whole pointer, whatever the address size, and has no override.
  void AddStack(uint64_t effective, uint32_t size, bool may_store) {
    const uint64_t linear = long_mode_ ? effective : (effective + context_.segment_bases[kSs]) & 0xffff'ffff;
    operands_.push_back({linear, size, may_store});
  }
  void AddPush(uint32_t size) { AddStack(context_.registers[kRsp] - size, size, true); }
  void AddPop(uint32_t size) { AddStack(context_.registers[kRsp], size, false); }

  // Reads ModRM, SIB and displacement. `immediate`: bytes of the instruction after them, which a RIP-relative address
  // counts. The effective address and its default segment go to effective_ and default_segment_; false for a register
  // operand.
  bool ReadModRm(unsigned immediate) {
    const uint8_t modrm = Next();
    const unsigned mod = modrm >> 6;
    unsigned base = modrm & 7;
    reg_ = (modrm >> 3) & 7;
    if (mod == 3 || failed_) return false;
    if (!long_mode_ && address_size_prefix_) {
      failed_ = true;  // 16-bit addressing
      return false;
    }
    uint64_t address = 0;
    default_segment_ = kDs;
    bool has_base = true;
    bool relative = false;
    if (base == 4) {
      const uint8_t sib = Next();
      base = sib & 7;
      const unsigned index = ((sib >> 3) & 7) | ((rex_ & 2) != 0 ? 8 : 0);
      if (index != 4) address += context_.registers[index] << (sib >> 6);
      has_base = !(base == 5 && mod == 0);
    } else if (base == 5 && mod == 0) {
      has_base = false;
      relative = long_mode_;
    }
    if (has_base) {
      if (base == kRsp || base == kRbp) default_segment_ = kSs;
      if ((rex_ & 1) != 0) base |= 8;
      address += context_.registers[base];
    }
    if (mod == 1) {
      const uint64_t displacement = SignExtend(NextLittleEndian(1), 1);
      address += displacement * (displacement != 0 ? DisplacementScale() : 1);
    } else if (mod == 2 || !has_base) {
      address += SignExtend(NextLittleEndian(4), 4);
    }
    if (relative) address += context_.rip + at_ + immediate;
    effective_ = address;
    return !failed_;
  }

  // EVEX multiplies an 8-bit displacement by the width of the access, which depends on the instruction.
  uint64_t DisplacementScale() {
    if (encoding_ != Encoding::kEvex) return 1;
    if (broadcast_) return Wide() ? 8 : 4;
    if (map_ == k0fMap) {
      if (OneOf(opcode_, {0x10, 0x11}) && repeat_ != 0) return repeat_ == 0xf3 ? 4 : 8;
      if (OneOf(opcode_, {0x10, 0x11, 0x28, 0x29, 0x2b, 0x6f, 0x7f, 0xe7})) return vector_bytes_;
      if (opcode_ == 0xd6 || (opcode_ == 0x7e && repeat_ == 0xf3)) return 8;
      if (opcode_ == 0x6e || opcode_ == 0x7e) return Wide() ? 8 : 4;
    }
    failed_ = true;
    return 1;
  }

  void AddModRm(uint32_t size, bool may_store) { Add(effective_, Or(default_segment_), size, may_store); }

  void ReadOperands() {
    if (encoding_ != Encoding::kLegacy) {
      ReadVector();
      return;
    }
    switch (map_) {
      case kOneByteMap:
        ReadOneByte();
        break;
      case k0fMap:
        Read0f();
        break;
      case k0f38Map:
        Read0f38();
        break;
      default:
        if (ReadModRm(1)) AddModRm(16, !(opcode_ < 0x14 || (opcode_ > 0x17 && opcode_ != 0x39 && opcode_ != 0x19)));
        break;
    }
  }

  // VEX, EVEX and XOP.
  void ReadVector() {
    const bool gather_or_scatter =
        map_ == k0f38Map && ((opcode_ >= 0x90 && opcode_ <= 0x93) || (opcode_ >= 0xa0 && opcode_ <= 0xa3) ||
                             (encoding_ == Encoding::kEvex && (opcode_ == 0xc6 || opcode_ == 0xc7)));
    if (gather_or_scatter || map_ == kOneByteMap) {
      failed_ = true;
      return;
    }
    if (map_ == k0fMap && opcode_ == 0x77) return;  // VZEROUPPER
    unsigned immediate = 0;
    if (map_ == k0f3aMap || map_ == 8) immediate = 1;
    if (map_ == 10) immediate = 4;
    if (map_ == k0fMap && ((opcode_ >= 0x70 && opcode_ <= 0x73) || OneOf(opcode_, {0xc2, 0xc4, 0xc5, 0xc6}))) {
      immediate = 1;
    }
    const bool load = map_ == k0fMap && Is0fLoad(opcode_);
    if (ReadModRm(immediate)) {
      AddModRm(VectorMoveBytes(), !load);
    } else if (!failed_ && map_ == k0fMap && opcode_ == 0xf7) {
      Add(context_.registers[kRdi], Or(kDs), 16, true);  // VMASKMOVDQU
    }
  }

  // Exact for moves, and an upper bound for the rest.
  uint32_t VectorMoveBytes() const {
    if (map_ != k0fMap) return vector_bytes_;
    const bool scalar_move = OneOf(opcode_, {0x10, 0x11});
    if (scalar_move && repeat_ != 0) return repeat_ == 0xf3 ? 4 : 8;
    if (OneOf(opcode_, {0x12, 0x13, 0x16, 0x17, 0xd6})) return 8;
    if (opcode_ == 0x6e || opcode_ == 0x7e) return repeat_ == 0xf3 || Wide() ? 8 : 4;
    const bool mmx = encoding_ == Encoding::kLegacy && !operand_size_prefix_ && repeat_ == 0 &&
                     ((opcode_ >= 0x60 && opcode_ <= 0x7f) || opcode_ >= 0xd0);
    return mmx ? 8 : vector_bytes_;
  }

  void ReadOneByte();
  void ReadArithmetic(uint32_t size);
  void ReadGroupF6FeFf(uint32_t size);
  void Read0f();
  void Read0f38();

  const std::span<const uint8_t> code_;
  const AddressContext& context_;
  const bool long_mode_;
  size_t at_ = 0;
  bool failed_ = false;

  bool operand_size_prefix_ = false;
  bool address_size_prefix_ = false;
  uint8_t repeat_ = 0;  // F2, F3 or 0
  Segment segment_ = kNoSegment;
  uint8_t rex_ = 0;  // W, R, X, B in the low bits; also where VEX and its like say so
  Encoding encoding_ = Encoding::kLegacy;
  unsigned map_ = kOneByteMap;
  uint8_t opcode_ = 0;
  uint32_t vector_bytes_ = 16;
  bool broadcast_ = false;
  unsigned reg_ = 0;  // ModRM.reg without REX.R
  uint64_t effective_ = 0;
  Segment default_segment_ = kDs;
  std::vector<MemoryOperand> operands_;
};

void Decoder::ReadOneByte() {
  const uint8_t op = opcode_;
  // Nearly all even opcodes work on bytes and the next odd one on words of the operand size.
  const uint32_t size = (op & 1) == 0 ? 1 : OperandBytes();
  const uint64_t rsi = context_.registers[kRsi];
  const uint64_t rdi = context_.registers[kRdi];
  if (op < 0x40) {
    if ((op & 7) < 4) ReadArithmetic(size);
    // The 32-bit pushes of segments; what else is there has no memory operand.
    if (!long_mode_ && OneOf(op, {0x06, 0x0e, 0x16, 0x1e})) AddPush(StackBytes());
    if (!long_mode_ && OneOf(op, {0x07, 0x17, 0x1f})) AddPop(StackBytes());
    return;
  }
  if (op >= 0x50 && op <= 0x57) return AddPush(StackBytes());
  if (op >= 0x58 && op <= 0x5f) return AddPop(StackBytes());
  switch (op) {
    case 0x60:
    case 0x61:
      if (long_mode_) break;
      return op == 0x60 ? AddPush(8 * StackBytes()) : AddPop(8 * StackBytes());
    case 0x62:  // BOUND
    case 0xc4:  // LES, LDS
    case 0xc5:
      if (ReadModRm(0)) AddModRm(8, false);
      return;
    case 0x63:  // MOVSXD; ARPL in 32-bit code
      if (ReadModRm(0)) AddModRm(long_mode_ ? 4 : 2, !long_mode_);
      return;
    case 0x68:
    case 0x6a:
    case 0x9c:
    case 0xe8:
      return AddPush(op == 0xe8 && long_mode_ ? 8 : StackBytes());
    case 0x69:
      if (ReadModRm(operand_size_prefix_ ? 2 : 4)) AddModRm(OperandBytes(), false);
      return;
    case 0x6b:
      if (ReadModRm(1)) AddModRm(OperandBytes(), false);
      return;
    case 0x6c:
    case 0x6d:
      return Add(rdi, kEs, std::min(size, uint32_t{4}), true);
    case 0x6e:
    case 0x6f:
      return Add(rsi, Or(kDs), std::min(size, uint32_t{4}), false);
    case 0x80:
    case 0x82:
    case 0x83:
      if (ReadModRm(1)) AddModRm(op == 0x83 ? OperandBytes() : 1, reg_ != 7);
      return;
    case 0x81:
      if (ReadModRm(operand_size_prefix_ ? 2 : 4)) AddModRm(OperandBytes(), reg_ != 7);
      return;
    case 0x84:
    case 0x85:
    case 0x8a:
    case 0x8b:
      if (ReadModRm(0)) AddModRm(size, false);
      return;
    case 0x86:
    case 0x87:
    case 0x88:
    case 0x89:
      if (ReadModRm(0)) AddModRm(size, true);
      return;
    case 0x8c:
    case 0x8e:
      if (ReadModRm(0)) AddModRm(2, op == 0x8c);
      return;
    case 0x8d:
      (void)ReadModRm(0);  // LEA touches nothing
      return;
    case 0x8f: {
      // POP counts the stack pointer up before it is used for the address.
      AddressContext popped = context_;
      popped.registers[kRsp] += StackBytes();
      Decoder address(code_, popped);
      address.ReadPrefixes();
      (void)address.Next();
      const bool in_memory = address.ReadModRm(0);
      failed_ = address.failed_;
      if (failed_) return;
      AddPop(StackBytes());
      if (in_memory) Add(address.effective_, address.Or(address.default_segment_), StackBytes(), true);
      return;
    }
    case 0x9a:
      if (long_mode_) break;
      return AddPush(2 * StackBytes());
    case 0x9d:
    case 0xc2:
    case 0xc3:
      return AddPop(op != 0x9d && long_mode_ ? 8 : StackBytes());
    case 0xa0:
    case 0xa1:
    case 0xa2:
    case 0xa3: {
      if (!long_mode_ && address_size_prefix_) break;
      const uint64_t address = NextLittleEndian(Addresses64() ? 8 : 4);
      return Add(address, Or(kDs), size, op >= 0xa2);
    }
    case 0xa4:
    case 0xa5:
      Add(rsi, Or(kDs), size, false);
      return Add(rdi, kEs, size, true);
    case 0xa6:
    case 0xa7:
      Add(rsi, Or(kDs), size, false);
      return Add(rdi, kEs, size, false);
    case 0xaa:
    case 0xab:
      return Add(rdi, kEs, size, true);
    case 0xac:
    case 0xad:
      return Add(rsi, Or(kDs), size, false);
    case 0xae:
    case 0xaf:
      return Add(rdi, kEs, size, false);
    case 0xc0:
    case 0xc1:
    case 0xc6:
      if (ReadModRm(1)) AddModRm(size, true);
      return;
    case 0xc7:
      if (ReadModRm(operand_size_prefix_ ? 2 : 4)) AddModRm(size, true);
      return;
    case 0xc8:
      return AddPush(StackBytes());
    case 0xc9:
      return AddStack(context_.registers[kRbp], StackBytes(), false);
    case 0xca:
    case 0xcb:
      return AddPop(2 * OperandBytes());
    case 0xcf:
      return AddPop((long_mode_ ? 5 : 3) * OperandBytes());
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
      if (ReadModRm(0)) AddModRm(size, true);
      return;
    case 0xd7:
      return Add(context_.registers[kRbx] + (context_.registers[kRax] & 0xff), Or(kDs), 1, false);
    case 0xf6:
    case 0xf7:
    case 0xfe:
    case 0xff:
      return ReadGroupF6FeFf(size);
    default:
      break;
  }
  if (op >= 0xd8 && op <= 0xdf) {
    // x87. /0 loads in all of them; the even ones calculate with what they load.
    if (ReadModRm(0)) AddModRm((op == 0xd9 || op == 0xdd) && reg_ >= 4 ? 108 : 10, (op & 1) != 0 && reg_ != 0);
    return;
  }
  // The rest works on registers and immediates.
}

// ADD, OR, ADC, SBB, AND, SUB, XOR, CMP with a ModRM byte: 0 and 1 write the operand, 2 and 3 the register.
void Decoder::ReadArithmetic(uint32_t size) {
  const bool compare = opcode_ >= 0x38;
  if (ReadModRm(0)) AddModRm(size, (opcode_ & 2) == 0 && !compare);
}

void Decoder::ReadGroupF6FeFf(uint32_t size) {
  if (opcode_ < 0xf8) {
    // TEST has an immediate, which is known only once ModRM has been seen.
    const bool test = ((Peek() >> 3) & 7) < 2;
    const unsigned immediate = !test ? 0 : opcode_ == 0xf6 ? 1 : operand_size_prefix_ ? 2 : 4;
    if (ReadModRm(immediate)) AddModRm(size, reg_ == 2 || reg_ == 3);
    return;
  }
  const bool in_memory = ReadModRm(0);
  if (failed_) return;
  if (opcode_ == 0xfe || reg_ < 2) {
    if (in_memory) AddModRm(size, true);
    return;
  }
  // CALL, far CALL, JMP, far JMP, PUSH: near ones work on whole words of the stack.
  const bool far_one = reg_ == 3 || reg_ == 5;
  const uint32_t bytes = far_one ? OperandBytes() + 2 : StackBytes();
  if (in_memory) AddModRm(bytes, false);
  if (reg_ == 2 || reg_ == 6) AddPush(StackBytes());
  if (reg_ == 3) AddPush(2 * OperandBytes());
}

void Decoder::Read0f() {
  const uint8_t op = opcode_;
  if (op == 0xa0 || op == 0xa8) return AddPush(StackBytes());
  if (op == 0xa1 || op == 0xa9) return AddPop(StackBytes());
  const bool without_modrm = (op >= 0x04 && op <= 0x0e && op != 0x0d) || (op >= 0x30 && op <= 0x37) || op == 0x77 ||
                             (op >= 0x80 && op <= 0x8f) || op == 0xa2 || op == 0xaa || (op >= 0xc8 && op <= 0xcf);
  if (without_modrm) return;
  const bool bit_string = OneOf(op, {0xa3, 0xab, 0xb3, 0xbb});
  const unsigned immediate =
      (op >= 0x70 && op <= 0x73) || OneOf(op, {0x0f, 0xa4, 0xac, 0xba, 0xc2, 0xc4, 0xc5, 0xc6}) ? 1 : 0;
  const unsigned reg_extension = (rex_ & 4) != 0 ? 8 : 0;
  if (!ReadModRm(immediate)) {
    // MASKMOVQ, MASKMOVDQU
    if (!failed_ && op == 0xf7) Add(context_.registers[kRdi], Or(kDs), operand_size_prefix_ ? 16 : 8, true);
    return;
  }
  if (bit_string) {
    // The register counts bits from the operand, to either side.
    const uint64_t bits = SignExtend(context_.registers[reg_ | reg_extension], OperandBytes());
    effective_ += static_cast<uint64_t>(static_cast<int64_t>(bits) >> 3) & ~uint64_t{OperandBytes() - 1};
    return AddModRm(OperandBytes(), op != 0xa3);
  }
  if (op == 0xae) {
    // FXSAVE, FXRSTOR, LDMXCSR, STMXCSR, XSAVE, XRSTOR, XSAVEOPT or CLWB, CLFLUSH
    const uint32_t size = reg_ < 2 ? kFxsaveSize : reg_ < 4 || reg_ == 7 ? 4 : kXsaveSize;
    return AddModRm(size, OneOf(static_cast<uint8_t>(reg_), {0, 3, 4, 6}));
  }
  if (op == 0xc7) return AddModRm(reg_ == 1 ? 2 * OperandBytes() : kXsaveSize, reg_ != 3);
  if (op == 0xba) return AddModRm(OperandBytes(), reg_ != 4);
  if (op >= 0x90 && op <= 0x9f) return AddModRm(1, true);
  if (op == 0xb6 || op == 0xbe) return AddModRm(1, false);
  if (op == 0xb7 || op == 0xbf) return AddModRm(2, false);
  if (op == 0xb0 || op == 0xc0) return AddModRm(1, true);
  if (OneOf(op, {0xa4, 0xa5, 0xac, 0xad, 0xb1, 0xc1, 0xc3})) return AddModRm(OperandBytes(), true);
  if ((op >= 0x40 && op <= 0x4f) || op == 0xaf || op == 0xb8 || op == 0xbc || op == 0xbd) {
    return AddModRm(OperandBytes(), false);
  }
  AddModRm(VectorMoveBytes(), !Is0fLoad(op) && !(op == 0x7e && repeat_ == 0xf3));
}

void Decoder::Read0f38() {
  const unsigned reg_extension = (rex_ & 4) != 0 ? 8 : 0;
  if (!ReadModRm(0)) return;
  switch (opcode_) {
    case 0xf0:  // MOVBE, CRC32
      return AddModRm(repeat_ == 0xf2 ? 1 : OperandBytes(), false);
    case 0xf1:
      return AddModRm(OperandBytes(), repeat_ != 0xf2);
    case 0xf8:  // MOVDIR64B; ENQCMD
      AddModRm(64, false);
      return Add(context_.registers[reg_ | reg_extension], kEs, 64, true);
    case 0xf5:
    case 0xf6:
    case 0xf9:
      return AddModRm(8, true);
    default:
      return AddModRm(16, false);
  }
}

}  // namespace

std::optional<std::vector<MemoryOperand>> DecodeMemoryOperands(std::span<const uint8_t> code,
                                                               const AddressContext& context) {
  return Decoder(code, context).Decode();
}

}  // namespace daxvmm::vmm
