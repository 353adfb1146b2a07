#include "vmm/memory_operands.h"

#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace daxvmm::vmm {

void PrintTo(const MemoryOperand& operand, std::ostream* os) {
  *os << std::hex << "{0x" << operand.linear << std::dec << ", " << operand.size << ", " << operand.may_store << "}";
}

namespace {

constexpr uint64_t kRip = 0xffff'8000'0000'1000;
constexpr uint64_t kFsBase = 0x7f00'0000'0000;
constexpr uint64_t kGsBase = 0xffff'8880'0000'0000;
constexpr uint64_t kEsBase = 0x10'0000;
constexpr uint64_t kSsBase = 0x20'0000;
constexpr uint64_t kDsBase = 0x30'0000;
constexpr uint64_t kGsBase32 = 0x40'0000;

// Register n holds (n + 1) * 0x1000.
AddressContext Context64() {
  AddressContext context;
  for (size_t i = 0; i < context.registers.size(); ++i) context.registers[i] = (i + 1) * 0x1000;
  context.rip = kRip;
  context.segment_bases = {0x111, 0x222, 0x333, 0x444, kFsBase, kGsBase};
  return context;
}

AddressContext Context32() {
  AddressContext context = Context64();
  context.code = CodeSize::k32;
  context.rip = 0x1000;
  context.segment_bases = {kEsBase, 0, kSsBase, kDsBase, 0, kGsBase32};
  return context;
}

struct Golden {
  std::string text;
  std::vector<uint8_t> code;
  std::vector<MemoryOperand> operands;
};

// The bytes are those of the GNU assembler.
std::vector<Golden> Goldens64() {
  return {
      {"mov rax,[rcx]", {0x48, 0x8b, 0x01}, {{0x2000, 8, false}}},
      {"mov [rcx],rax", {0x48, 0x89, 0x01}, {{0x2000, 8, true}}},
      {"mov dword ptr [rcx+0x10],eax", {0x89, 0x41, 0x10}, {{0x2010, 4, true}}},
      {"mov [rcx-8],ax", {0x66, 0x89, 0x41, 0xf8}, {{0x1ff8, 2, true}}},
      {"mov [r13+0],al", {0x41, 0x88, 0x45, 0x00}, {{0xe000, 1, true}}},
      {"mov [rsp+8],rdx", {0x48, 0x89, 0x54, 0x24, 0x08}, {{0x5008, 8, true}}},
      {"mov [r12],rdx", {0x49, 0x89, 0x14, 0x24}, {{0xd000, 8, true}}},
      {"mov [rcx+rdx*8+0x1000],rbx",
       {0x48, 0x89, 0x9c, 0xd1, 0x00, 0x10, 0x00, 0x00},
       {{0x2000 + 8 * 0x3000 + 0x1000, 8, true}}},
      {"mov [r9*4+0x20],r10", {0x4e, 0x89, 0x14, 0x8d, 0x20, 0x00, 0x00, 0x00}, {{4 * 0xa000 + 0x20, 8, true}}},
      {"mov [rip+0x1234],eax", {0x89, 0x05, 0x34, 0x12, 0x00, 0x00}, {{kRip + 6 + 0x1234, 4, true}}},
      {"mov dword ptr [rip+0x1234],0x55",
       {0xc7, 0x05, 0x34, 0x12, 0x00, 0x00, 0x55, 0x00, 0x00, 0x00},
       {{kRip + 10 + 0x1234, 4, true}}},
      {"mov word ptr [rip+0x1234],0x55",
       {0x66, 0xc7, 0x05, 0x34, 0x12, 0x00, 0x00, 0x55, 0x00},
       {{kRip + 9 + 0x1234, 2, true}}},
      {"mov byte ptr [rip-0x10],0x55", {0xc6, 0x05, 0xf0, 0xff, 0xff, 0xff, 0x55}, {{kRip + 7 - 0x10, 1, true}}},
      {"mov fs:[0x28],rax", {0x64, 0x48, 0x89, 0x04, 0x25, 0x28, 0x00, 0x00, 0x00}, {{kFsBase + 0x28, 8, true}}},
      {"mov rax,gs:[rcx]", {0x65, 0x48, 0x8b, 0x01}, {{kGsBase + 0x2000, 8, false}}},
      {"mov [ecx],eax", {0x67, 0x89, 0x01}, {{0x2000, 4, true}}},
      {"movabs [0x123456789abcdef0],al",
       {0xa2, 0xf0, 0xde, 0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12},
       {{0x123456789abcdef0, 1, true}}},
      {"movabs rax,[0x123456789abcdef0]",
       {0x48, 0xa1, 0xf0, 0xde, 0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12},
       {{0x123456789abcdef0, 8, false}}},
      {"add [rcx],eax", {0x01, 0x01}, {{0x2000, 4, true}}},
      {"cmp [rcx],eax", {0x39, 0x01}, {{0x2000, 4, false}}},
      {"add eax,[rcx]", {0x03, 0x01}, {{0x2000, 4, false}}},
      {"add qword ptr [rcx],0x7f", {0x48, 0x83, 0x01, 0x7f}, {{0x2000, 8, true}}},
      {"cmp qword ptr [rcx],0x12345", {0x48, 0x81, 0x39, 0x45, 0x23, 0x01, 0x00}, {{0x2000, 8, false}}},
      {"lock xadd [rcx],rax", {0xf0, 0x48, 0x0f, 0xc1, 0x01}, {{0x2000, 8, true}}},
      {"lock cmpxchg [rcx],rax", {0xf0, 0x48, 0x0f, 0xb1, 0x01}, {{0x2000, 8, true}}},
      {"lock cmpxchg16b [rcx]", {0xf0, 0x48, 0x0f, 0xc7, 0x09}, {{0x2000, 16, true}}},
      {"xchg [rcx],rax", {0x48, 0x87, 0x01}, {{0x2000, 8, true}}},
      {"inc byte ptr [rcx]", {0xfe, 0x01}, {{0x2000, 1, true}}},
      {"not dword ptr [rcx]", {0xf7, 0x11}, {{0x2000, 4, true}}},
      {"test dword ptr [rip+4],0x1",
       {0xf7, 0x05, 0x04, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00},
       {{kRip + 10 + 4, 4, false}}},
      {"div qword ptr [rcx]", {0x48, 0xf7, 0x31}, {{0x2000, 8, false}}},
      {"shl qword ptr [rcx],3", {0x48, 0xc1, 0x21, 0x03}, {{0x2000, 8, true}}},
      {"sar dword ptr [rcx],cl", {0xd3, 0x39}, {{0x2000, 4, true}}},
      {"imul eax,[rip+0x10],0x12345",
       {0x69, 0x05, 0x10, 0x00, 0x00, 0x00, 0x45, 0x23, 0x01, 0x00},
       {{kRip + 10 + 0x10, 4, false}}},
      {"movsxd rax,dword ptr [rcx]", {0x48, 0x63, 0x01}, {{0x2000, 4, false}}},
      {"movzx eax,byte ptr [rcx]", {0x0f, 0xb6, 0x01}, {{0x2000, 1, false}}},
      {"movzx eax,word ptr [rcx]", {0x0f, 0xb7, 0x01}, {{0x2000, 2, false}}},
      {"cmovz rax,[rcx]", {0x48, 0x0f, 0x44, 0x01}, {{0x2000, 8, false}}},
      {"setne byte ptr [rcx]", {0x0f, 0x95, 0x01}, {{0x2000, 1, true}}},
      {"bts dword ptr [rcx],5", {0x0f, 0xba, 0x29, 0x05}, {{0x2000, 4, true}}},
      {"bt dword ptr [rcx],5", {0x0f, 0xba, 0x21, 0x05}, {{0x2000, 4, false}}},
      {"bts [rcx],rdx", {0x48, 0x0f, 0xab, 0x11}, {{0x2000 + 0x3000 / 8, 8, true}}},
      {"movnti [rcx],rax", {0x48, 0x0f, 0xc3, 0x01}, {{0x2000, 8, true}}},
      {"movups [rcx],xmm0", {0x0f, 0x11, 0x01}, {{0x2000, 16, true}}},
      {"movups xmm0,[rcx]", {0x0f, 0x10, 0x01}, {{0x2000, 16, false}}},
      {"movss [rcx],xmm0", {0xf3, 0x0f, 0x11, 0x01}, {{0x2000, 4, true}}},
      {"movsd [rcx],xmm0", {0xf2, 0x0f, 0x11, 0x01}, {{0x2000, 8, true}}},
      {"movdqu [rcx],xmm9", {0xf3, 0x44, 0x0f, 0x7f, 0x09}, {{0x2000, 16, true}}},
      {"movntdq [rcx],xmm1", {0x66, 0x0f, 0xe7, 0x09}, {{0x2000, 16, true}}},
      {"movq [rcx],xmm1", {0x66, 0x0f, 0xd6, 0x09}, {{0x2000, 8, true}}},
      {"movq [rcx],mm1", {0x0f, 0x7f, 0x09}, {{0x2000, 8, true}}},
      {"movq xmm1,[rcx]", {0xf3, 0x0f, 0x7e, 0x09}, {{0x2000, 8, false}}},
      {"pextrd [rcx],xmm1,2", {0x66, 0x0f, 0x3a, 0x16, 0x09, 0x02}, {{0x2000, 16, true}}},
      {"pshufd xmm1,[rip+0x100],0x1b",
       {0x66, 0x0f, 0x70, 0x0d, 0x00, 0x01, 0x00, 0x00, 0x1b},
       {{kRip + 9 + 0x100, 16, false}}},
      {"vmovdqu [rcx],ymm0", {0xc5, 0xfe, 0x7f, 0x01}, {{0x2000, 32, true}}},
      {"vmovdqu [r9+0x40],ymm8", {0xc4, 0x41, 0x7e, 0x7f, 0x41, 0x40}, {{0xa040, 32, true}}},
      {"vmovups ymm0,[rcx]", {0xc5, 0xfc, 0x10, 0x01}, {{0x2000, 32, false}}},
      {"vmovdqa xmm0,[rip+0x10]", {0xc5, 0xf9, 0x6f, 0x05, 0x10, 0x00, 0x00, 0x00}, {{kRip + 8 + 0x10, 16, false}}},
      {"vpaddd ymm0,ymm1,[rcx]", {0xc5, 0xf5, 0xfe, 0x01}, {{0x2000, 32, false}}},
      {"vextracti128 [rcx],ymm0,1", {0xc4, 0xe3, 0x7d, 0x39, 0x01, 0x01}, {{0x2000, 32, true}}},
      {"vmovdqu64 [rcx+0x80],zmm0", {0x62, 0xf1, 0xfe, 0x48, 0x7f, 0x41, 0x02}, {{0x2080, 64, true}}},
      {"vmovdqu64 [rcx+0x1040],zmm17", {0x62, 0xe1, 0xfe, 0x48, 0x7f, 0x49, 0x41}, {{0x3040, 64, true}}},
      {"vmovdqu64 zmm0,[r10+r11*2]", {0x62, 0x91, 0xfe, 0x48, 0x6f, 0x04, 0x5a}, {{0xb000 + 2 * 0xc000, 64, false}}},
      {"vmovntdq [rcx-0x40],zmm3", {0x62, 0xf1, 0x7d, 0x48, 0xe7, 0x59, 0xff}, {{0x1fc0, 64, true}}},
      {"vpaddd zmm0,zmm1,[rcx+0x1001]",
       {0x62, 0xf1, 0x75, 0x48, 0xfe, 0x81, 0x01, 0x10, 0x00, 0x00},
       {{0x3001, 64, false}}},
      {"movbe [rcx],eax", {0x0f, 0x38, 0xf1, 0x01}, {{0x2000, 4, true}}},
      {"fxsave [rcx]", {0x0f, 0xae, 0x01}, {{0x2000, 512, true}}},
      {"xsave [rcx]", {0x0f, 0xae, 0x21}, {{0x2000, 4096, true}}},
      {"stmxcsr [rcx]", {0x0f, 0xae, 0x19}, {{0x2000, 4, true}}},
      {"fstp qword ptr [rcx]", {0xdd, 0x19}, {{0x2000, 10, true}}},
      {"fld qword ptr [rcx]", {0xdd, 0x01}, {{0x2000, 10, false}}},
      {"stosb", {0xaa}, {{0x8000, 1, true}}},
      {"rep stosq", {0xf3, 0x48, 0xab}, {{0x8000, 8, true}}},
      {"lodsd", {0xad}, {{0x7000, 4, false}}},
      {"scasb", {0xae}, {{0x8000, 1, false}}},
      {"push rax", {0x50}, {{0x5000 - 8, 8, true}}},
      {"push 0x1234", {0x68, 0x34, 0x12, 0x00, 0x00}, {{0x5000 - 8, 8, true}}},
      {"pop rax", {0x58}, {{0x5000, 8, false}}},
      {"ret", {0xc3}, {{0x5000, 8, false}}},
      {"call .+0x1000", {0xe8, 0xfb, 0x0f, 0x00, 0x00}, {{0x5000 - 8, 8, true}}},
      {"xlatb", {0xd7}, {{0x4000, 1, false}}},
      {"leave", {0xc9}, {{0x6000, 8, false}}},
      {"movsb", {0xa4}, {{0x7000, 1, false}, {0x8000, 1, true}}},
      {"rep movsq", {0xf3, 0x48, 0xa5}, {{0x7000, 8, false}, {0x8000, 8, true}}},
      {"cmpsb", {0xa6}, {{0x7000, 1, false}, {0x8000, 1, false}}},
      {"gs movsd", {0x65, 0xa5}, {{kGsBase + 0x7000, 4, false}, {0x8000, 4, true}}},
      {"push qword ptr [rcx]", {0xff, 0x31}, {{0x2000, 8, false}, {0x5000 - 8, 8, true}}},
      {"call qword ptr [rcx]", {0xff, 0x11}, {{0x2000, 8, false}, {0x5000 - 8, 8, true}}},
      {"jmp qword ptr [rcx]", {0xff, 0x21}, {{0x2000, 8, false}}},
      {"pop qword ptr [rsp+8]", {0x8f, 0x44, 0x24, 0x08}, {{0x5000, 8, false}, {0x5000 + 8 + 8, 8, true}}},
      {"movdir64b rdx,[rcx]", {0x66, 0x0f, 0x38, 0xf8, 0x11}, {{0x2000, 64, false}, {0x3000, 64, true}}},
      {"lea rax,[rcx]", {0x48, 0x8d, 0x01}, {}},
      {"mov rax,rcx", {0x48, 0x89, 0xc8}, {}},
      {"nop", {0x90}, {}},
      {"jne .+0x10", {0x75, 0x0e}, {}},
      {"vzeroupper", {0xc5, 0xf8, 0x77}, {}},
      {"rdtsc", {0x0f, 0x31}, {}},
  };
}

std::vector<Golden> Goldens32() {
  return {
      {"mov [ecx],eax", {0x89, 0x01}, {{kDsBase + 0x2000, 4, true}}},
      {"mov [ebp+4],eax", {0x89, 0x45, 0x04}, {{kSsBase + 0x6004, 4, true}}},
      {"mov es:[ecx],eax", {0x26, 0x89, 0x01}, {{kEsBase + 0x2000, 4, true}}},
      {"mov [0x12345678],eax", {0xa3, 0x78, 0x56, 0x34, 0x12}, {{kDsBase + 0x12345678, 4, true}}},
      {"mov dword ptr [ecx*2+0x10],7",
       {0xc7, 0x04, 0x4d, 0x10, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00},
       {{kDsBase + 0x4010, 4, true}}},
      {"push eax", {0x50}, {{kSsBase + 0x5000 - 4, 4, true}}},
      {"pusha", {0x60}, {{kSsBase + 0x5000 - 32, 32, true}}},
      {"inc eax", {0x40}, {}},
      {"stosd", {0xab}, {{kEsBase + 0x8000, 4, true}}},
      {"movsb", {0xa4}, {{kDsBase + 0x7000, 1, false}, {kEsBase + 0x8000, 1, true}}},
      {"mov ecx,gs:[0x14]", {0x65, 0x8b, 0x0d, 0x14, 0x00, 0x00, 0x00}, {{kGsBase32 + 0x14, 4, false}}},
      {"lds eax,[ecx]", {0xc5, 0x01}, {{kDsBase + 0x2000, 8, false}}},
      {"vmovdqu [ecx],ymm0", {0xc5, 0xfe, 0x7f, 0x01}, {{kDsBase + 0x2000, 32, true}}},
      {"call eax", {0xff, 0xd0}, {{kSsBase + 0x5000 - 4, 4, true}}},
  };
}

// What no address can be told of: vectors of addresses, and a displacement in units that only the instruction knows.
std::vector<Golden> NotUnderstood() {
  return {
      {"vpgatherdd ymm0,[rcx+ymm1*4],ymm2", {0xc4, 0xe2, 0x6d, 0x90, 0x04, 0x89}, {}},
      {"vpscatterdd [rcx+zmm1*4]{k1},zmm2", {0x62, 0xf2, 0x7d, 0x49, 0xa0, 0x14, 0x89}, {}},
      {"vpmovdw [rcx+0x20],zmm0", {0x62, 0xf2, 0x7e, 0x48, 0x33, 0x41, 0x01}, {}},
  };
}

TEST(MemoryOperandsTest, Golden64) {
  for (const Golden& golden : Goldens64()) {
    const auto operands = DecodeMemoryOperands(golden.code, Context64());
    ASSERT_TRUE(operands.has_value()) << golden.text;
    EXPECT_EQ(*operands, golden.operands) << golden.text;
  }
}

TEST(MemoryOperandsTest, Golden32) {
  for (const Golden& golden : Goldens32()) {
    const auto operands = DecodeMemoryOperands(golden.code, Context32());
    ASSERT_TRUE(operands.has_value()) << golden.text;
    EXPECT_EQ(*operands, golden.operands) << golden.text;
  }
}

TEST(MemoryOperandsTest, WhatIsNotUnderstoodIsNotGuessed) {
  for (const Golden& golden : NotUnderstood()) {
    EXPECT_EQ(DecodeMemoryOperands(golden.code, Context64()), std::nullopt) << golden.text;
  }
  const std::vector<uint8_t> sixteen_bit = {0x67, 0x89, 0x07};
  EXPECT_EQ(DecodeMemoryOperands(sixteen_bit, Context32()), std::nullopt);
}

// Whatever follows an instruction does not matter.
TEST(MemoryOperandsTest, BytesBehindTheInstructionDoNotMatter) {
  for (const Golden& golden : Goldens64()) {
    for (const uint8_t filler : {0x00, 0x66, 0xff}) {
      std::vector<uint8_t> code = golden.code;
      code.resize(kMaxInstructionLength + 3, filler);
      EXPECT_EQ(DecodeMemoryOperands(code, Context64()), golden.operands) << golden.text;
    }
  }
}

// A proper prefix is cut off before the address is complete, or lacks nothing but an immediate.
TEST(MemoryOperandsTest, EveryPrefixLength) {
  for (const Golden& golden : Goldens64()) {
    for (size_t length = 0; length < golden.code.size(); ++length) {
      const std::span<const uint8_t> cut(golden.code.data(), length);
      const auto operands = DecodeMemoryOperands(cut, Context64());
      if (operands.has_value()) {
        EXPECT_EQ(*operands, golden.operands) << golden.text << " cut to " << length;
      }
    }
    EXPECT_EQ(DecodeMemoryOperands({}, Context64()), std::nullopt);
  }
}

TEST(MemoryOperandsTest, RexCountsOnlyRightBeforeTheOpcode) {
  const std::vector<uint8_t> spoiled = {0x41, 0x66, 0x89, 0x01};
  EXPECT_EQ(DecodeMemoryOperands(spoiled, Context64()), (std::vector<MemoryOperand>{{0x2000, 2, true}}));
  const std::vector<uint8_t> counts = {0x66, 0x41, 0x89, 0x01};
  EXPECT_EQ(DecodeMemoryOperands(counts, Context64()), (std::vector<MemoryOperand>{{0xa000, 2, true}}));
}

TEST(MemoryOperandsTest, NegativeBitNumbersReachBelow) {
  AddressContext context = Context64();
  context.registers[2] = static_cast<uint64_t>(-1);
  const std::vector<uint8_t> bts = {0x48, 0x0f, 0xab, 0x11};  // bts [rcx],rdx
  EXPECT_EQ(DecodeMemoryOperands(bts, context), (std::vector<MemoryOperand>{{0x2000 - 8, 8, true}}));
}

TEST(MemoryOperandsTest, AddressesWrapInsteadOfOverflowing) {
  AddressContext context = Context64();
  context.registers.fill(~uint64_t{0});
  const std::vector<uint8_t> code = {0x48, 0x89, 0x84, 0xca, 0xff, 0xff, 0xff, 0x7f};  // mov [rdx+rcx*8+0x7fffffff],rax
  EXPECT_EQ(DecodeMemoryOperands(code, context),
            (std::vector<MemoryOperand>{{~uint64_t{0} - 8 + 0x7fffffff, 8, true}}));
}

TEST(MemoryOperandsTest, NothingButPrefixes) {
  for (const uint8_t prefix : {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x64, 0x48}) {
    EXPECT_EQ(DecodeMemoryOperands(std::vector<uint8_t>(64, prefix), Context64()), std::nullopt);
  }
}

void ExpectSane(std::span<const uint8_t> code) {
  for (const AddressContext& context : {Context64(), Context32()}) {
    const auto operands = DecodeMemoryOperands(code, context);
    if (!operands.has_value()) continue;
    ASSERT_LE(operands->size(), 2u);
    for (const MemoryOperand& operand : *operands) {
      ASSERT_GE(operand.size, 1u);
      ASSERT_LE(operand.size, 4096u);
    }
  }
}

// Every opcode with every ModRM byte, behind every kind of prefix.
TEST(MemoryOperandsTest, AnyBytesEndInAnAnswer) {
  const std::vector<std::vector<uint8_t>> starts = {{},
                                                    {0x66},
                                                    {0x67},
                                                    {0xf2},
                                                    {0xf3},
                                                    {0x48},
                                                    {0x0f},
                                                    {0x66, 0x0f},
                                                    {0xf3, 0x0f},
                                                    {0x0f, 0x38},
                                                    {0x0f, 0x3a},
                                                    {0xc5, 0xfc},
                                                    {0xc4, 0xe2},
                                                    {0xc4, 0xe1, 0x7d},
                                                    {0x8f, 0xe8, 0x78},
                                                    {0x62, 0xf1, 0x7c, 0x48},
                                                    {0x62, 0xf1, 0xfd, 0x58}};
  for (const std::vector<uint8_t>& start : starts) {
    for (unsigned opcode = 0; opcode < 256; ++opcode) {
      for (unsigned modrm = 0; modrm < 256; ++modrm) {
        std::vector<uint8_t> code = start;
        code.push_back(static_cast<uint8_t>(opcode));
        code.push_back(static_cast<uint8_t>(modrm));
        code.resize(kMaxInstructionLength, 0x25);
        ASSERT_NO_FATAL_FAILURE(ExpectSane(code));
      }
    }
  }
  std::mt19937 random(1);
  for (int i = 0; i < 200000; ++i) {
    std::vector<uint8_t> code(random() % 20);
    for (uint8_t& byte : code) byte = static_cast<uint8_t>(random());
    ASSERT_NO_FATAL_FAILURE(ExpectSane(code));
  }
}

}  // namespace
}  // namespace daxvmm::vmm
