#include "vmm/acpi/aml.h"

#include <string>

#include "gtest/gtest.h"

namespace daxvmm::vmm::acpi::aml {
namespace {

// Bytes from a literal with NULs in it.
template <size_t n>
Bytes B(const char (&literal)[n]) {
  return Bytes(literal, n - 1);
}

TEST(AmlTest, PkgLengthCountsItselfInTheShortestForm) {
  EXPECT_EQ(PkgLength(0), B("\x01"));
  EXPECT_EQ(PkgLength(62), B("\x3f"));      // 63 in all: the most that one byte can say
  EXPECT_EQ(PkgLength(63), B("\x41\x04"));  // 65 in all
  EXPECT_EQ(PkgLength(64), B("\x42\x04"));
  EXPECT_EQ(PkgLength(4093), B("\x4f\xff"));      // 4095 in all: the most for two bytes
  EXPECT_EQ(PkgLength(4094), B("\x81\x00\x01"));  // 4097 in all
  EXPECT_EQ(PkgLength(4095), B("\x82\x00\x01"));
  EXPECT_EQ(PkgLength(4096), B("\x83\x00\x01"));
  EXPECT_EQ(PkgLength((1u << 20) - 4), B("\x8f\xff\xff"));
  EXPECT_EQ(PkgLength((1u << 20) - 3), B("\xc1\x00\x00\x01"));
  EXPECT_EQ(PkgLength((1u << 28) - 5), B("\xcf\xff\xff\xff"));
}

TEST(AmlTest, IntegersTakeTheShortestForm) {
  EXPECT_EQ(Integer(0), B("\x00"));
  EXPECT_EQ(Integer(1), B("\x01"));
  EXPECT_EQ(Integer(2), B("\x0a\x02"));
  EXPECT_EQ(Integer(0xff), B("\x0a\xff"));
  EXPECT_EQ(Integer(0x100), B("\x0b\x00\x01"));
  EXPECT_EQ(Integer(0xffff), B("\x0b\xff\xff"));
  EXPECT_EQ(Integer(0x10000), B("\x0c\x00\x00\x01\x00"));
  EXPECT_EQ(Integer(0xffffffff), B("\x0c\xff\xff\xff\xff"));
  EXPECT_EQ(Integer(0x100000000), B("\x0e\x00\x00\x00\x00\x01\x00\x00\x00"));
  EXPECT_EQ(Integer(UINT64_MAX), B("\x0e\xff\xff\xff\xff\xff\xff\xff\xff"));
}

TEST(AmlTest, NamesArePaddedAndPrefixed) {
  EXPECT_EQ(NameString("\\"), B("\\\x00"));
  EXPECT_EQ(NameString("COM1"), "COM1");
  EXPECT_EQ(NameString("_S5"), "_S5_");
  EXPECT_EQ(NameString("\\_SB.PWRB"), "\\\x2e_SB_PWRB");
  EXPECT_EQ(NameString("A.B.C0"),
            "\x2f\x03"
            "A___B___C0__");
}

TEST(AmlDeathTest, MalformedNamesAreBugs) {
  EXPECT_DEATH(NameString(""), "name");
  EXPECT_DEATH(NameString("TOOLONG"), "TOOLONG");
  EXPECT_DEATH(NameString("low"), "low");
  EXPECT_DEATH(NameString("1ST"), "1ST");
  EXPECT_DEATH(EisaId("PNP05"), "EISA");
}

TEST(AmlTest, DataObjects) {
  EXPECT_EQ(String("LNRO0005"), B("\x0dLNRO0005\x00"));
  EXPECT_EQ(EisaId("PNP0501"), B("\x0c\x41\xd0\x05\x01"));
  EXPECT_EQ(EisaId("PNP0C0C"), B("\x0c\x41\xd0\x0c\x0c"));
  EXPECT_EQ(Buffer("abc"), B("\x11\x06\x0a\x03"
                             "abc"));
  EXPECT_EQ(Package({Integer(5), Integer(0)}), B("\x12\x05\x02\x0a\x05\x00"));
}

TEST(AmlTest, NamedObjects) {
  EXPECT_EQ(Name("_UID", Integer(0)), B("\x08_UID\x00"));
  EXPECT_EQ(Scope("\\_SB", ""), B("\x10\x06\\_SB_"));
  EXPECT_EQ(Device("COM1", Name("_UID", Integer(1))), B("\x5b\x82\x0b"
                                                        "COM1\x08_UID\x01"));
  EXPECT_EQ(Method("_EVT", 1, true, Notify("PWRB", 0x80)), B("\x14\x0d_EVT\x09\x86PWRB\x0a\x80"));
  EXPECT_EQ(Method("_STA", 0, false, ""), B("\x14\x06_STA\x00"));
}

TEST(AmlTest, ResourceDescriptors) {
  EXPECT_EQ(Memory32Fixed(GuestPhysAddr(0xd0001000), KiB(4)), B("\x86\x09\x00\x01\x00\x10\x00\xd0\x00\x10\x00\x00"));
  EXPECT_EQ(EdgeInterrupt(Gsi(9)), B("\x89\x06\x00\x03\x01\x09\x00\x00\x00"));
  EXPECT_EQ(IoPorts(0x3f8, 8), B("\x47\x01\xf8\x03\xf8\x03\x01\x08"));
  EXPECT_EQ(ResourceTemplate(IoPorts(0x505, 1)), B("\x11\x0d\x0a\x0a\x47\x01\x05\x05\x05\x05\x01\x01\x79\x00"));
}

TEST(AmlDeathTest, ResourcesAbove4GiBAreBugs) {
  EXPECT_DEATH(Memory32Fixed(GuestPhysAddr(0x1'0000'0000), KiB(4)), "4 GiB");
  EXPECT_DEATH(Memory32Fixed(GuestPhysAddr(0xffff'f000), KiB(8)), "4 GiB");
}

}  // namespace
}  // namespace daxvmm::vmm::acpi::aml
