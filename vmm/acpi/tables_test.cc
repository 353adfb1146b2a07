#include "vmm/acpi/tables.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "memory/mapping.h"
#include "vmm/layout.h"

namespace daxvmm::vmm::acpi {
namespace {

class TablesTest : public testing::Test {
 protected:
  void SetUp() override {
    auto mapping = memory::Mapping::Anonymous(MiB(2));
    ASSERT_TRUE(mapping.ok()) << mapping.status();
    ram_ = *std::move(mapping);
    auto memory = memory::GuestMemory::Create({{GuestPhysAddr(0), MiB(2), ram_.data()}});
    ASSERT_TRUE(memory.ok()) << memory.status();
    memory_.emplace(*std::move(memory));
  }

  std::string Bytes(uint64_t at, size_t size) const {
    std::string out(size, '\0');
    EXPECT_TRUE(memory_->Read(GuestPhysAddr(at), std::as_writable_bytes(std::span(out))));
    return out;
  }
  // The whole table at `at`.
  std::string Table(uint64_t at) const { return Bytes(at, Field<uint32_t>(Bytes(at, 8), 4)); }

  // Fields are found by the specification's offsets, not by the writer's structs.
  template <typename T>
  static T Field(const std::string& table, size_t offset) {
    T value = {};
    EXPECT_LE(offset + sizeof(T), table.size());
    if (offset + sizeof(T) <= table.size()) memcpy(&value, table.data() + offset, sizeof(T));
    return value;
  }

  static unsigned Sum(const std::string& bytes) {
    return std::accumulate(bytes.begin(), bytes.end(), 0u,
                           [](unsigned sum, char c) { return (sum + static_cast<unsigned char>(c)) & 0xff; });
  }

  // The tables that a guest would find, by signature.
  std::map<std::string, std::string> Walk(GuestPhysAddr at) {
    std::map<std::string, std::string> tables;
    const std::string rsdp = Bytes(at.raw(), 36);
    EXPECT_EQ(rsdp.substr(0, 8), "RSD PTR ");
    EXPECT_EQ(Sum(rsdp.substr(0, 20)), 0u);
    EXPECT_EQ(Sum(rsdp), 0u);
    EXPECT_EQ(Field<uint8_t>(rsdp, 15), 2);
    EXPECT_EQ(Field<uint32_t>(rsdp, 20), 36u);
    const std::string xsdt = Table(Field<uint64_t>(rsdp, 24));
    tables["XSDT"] = xsdt;
    for (size_t entry = 36; entry < xsdt.size(); entry += 8) {
      const std::string table = Table(Field<uint64_t>(xsdt, entry));
      tables[table.substr(0, 4)] = table;
    }
    if (tables.count("FACP") != 0) tables["DSDT"] = Table(Field<uint64_t>(tables["FACP"], 140));
    for (const auto& [signature, table] : tables) {
      EXPECT_EQ(table.substr(0, 4), signature);
      EXPECT_EQ(Sum(table), 0u) << signature;
    }
    return tables;
  }

  memory::Mapping ram_;
  std::optional<memory::GuestMemory> memory_;
};

AcpiConfig Config(unsigned cpus, unsigned devices) {
  AcpiConfig config;
  config.cpus = cpus;
  for (unsigned i = 0; i < devices; ++i) {
    config.virtio_mmio.push_back({layout::kVirtioMmioBase + ByteCount(i * layout::kVirtioMmioSize.raw()),
                                  layout::kVirtioMmioSize, Gsi(layout::kFirstVirtioGsi.raw() + i)});
  }
  return config;
}

TEST_F(TablesTest, TheWalkFromTheRsdpFindsEveryTable) {
  auto rsdp = WriteAcpiTables(Config(2, 3), *memory_);
  ASSERT_TRUE(rsdp.ok()) << rsdp.status();
  EXPECT_EQ(*rsdp, layout::kAcpiTables);
  const auto tables = Walk(*rsdp);
  std::vector<std::string> names;
  for (const auto& [name, table] : tables) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"APIC", "DSDT", "FACP", "XSDT"}));
}

TEST_F(TablesTest, FadtIsHardwareReducedWithResetAndSleepRegisters) {
  auto rsdp = WriteAcpiTables(Config(1, 0), *memory_);
  ASSERT_TRUE(rsdp.ok()) << rsdp.status();
  const std::string fadt = Walk(*rsdp)["FACP"];
  ASSERT_EQ(fadt.size(), 276u);
  EXPECT_EQ(Field<uint8_t>(fadt, 8), 6);
  const uint32_t flags = Field<uint32_t>(fadt, 112);
  EXPECT_TRUE(flags & 1u << 20) << "HW_REDUCED_ACPI";
  EXPECT_TRUE(flags & 1u << 10) << "RESET_REG_SUP";
  EXPECT_TRUE(flags & 1u << 4) << "a power button among the fixed features";
  EXPECT_TRUE(flags & 1u << 5) << "a sleep button among the fixed features";
  EXPECT_EQ(Field<uint16_t>(fadt, 109), 1u << 2 | 1u << 5) << "no VGA, no CMOS RTC, no 8042";
  const auto expect_port = [&fadt](size_t at, uint16_t port) {
    EXPECT_EQ(Field<uint8_t>(fadt, at), 1) << "system I/O";
    EXPECT_EQ(Field<uint8_t>(fadt, at + 1), 8) << "bits";
    EXPECT_EQ(Field<uint8_t>(fadt, at + 2), 0);
    EXPECT_EQ(Field<uint8_t>(fadt, at + 3), 1) << "byte access";
    EXPECT_EQ(Field<uint64_t>(fadt, at + 4), port);
  };
  expect_port(116, layout::kAcpiResetPort);
  EXPECT_EQ(Field<uint8_t>(fadt, 128), layout::kAcpiResetValue);
  expect_port(244, layout::kAcpiSleepControlPort);
  expect_port(256, layout::kAcpiSleepStatusPort);
}

TEST_F(TablesTest, MadtListsEveryCpuTheIoApicAndTheNmiLine) {
  auto rsdp = WriteAcpiTables(Config(3, 0), *memory_);
  ASSERT_TRUE(rsdp.ok()) << rsdp.status();
  const std::string madt = Walk(*rsdp)["APIC"];
  EXPECT_EQ(Field<uint32_t>(madt, 36), 0xfee00000u);
  EXPECT_EQ(Field<uint32_t>(madt, 40), 0u) << "PCAT_COMPAT";
  ASSERT_EQ(madt.size(), 44u + 3 * 8 + 12 + 6);
  for (size_t i = 0; i < 3; ++i) {
    const char n = static_cast<char>(i);
    EXPECT_EQ(madt.substr(44 + 8 * i, 8), (std::string{0, 8, n, n, 1, 0, 0, 0}));
  }
  EXPECT_EQ(madt.substr(68, 12), (std::string{1, 12, 0, 0, 0, 0, '\xc0', '\xfe', 0, 0, 0, 0}));
  EXPECT_EQ(madt.substr(80, 6), (std::string{4, 6, '\xff', 0, 0, 1}));
}

TEST_F(TablesTest, RefusesWhatTheTablesCannotSay) {
  const auto code = [this](const AcpiConfig& config) { return WriteAcpiTables(config, *memory_).status().code(); };
  EXPECT_EQ(code(Config(0, 0)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Config(kMaxCpus + 1, 0)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Config(kMaxCpus, 0)), absl::StatusCode::kOk);

  AcpiConfig config = Config(1, 1);
  config.virtio_mmio[0].gsi = Gsi(layout::kIoApicPins);
  EXPECT_EQ(code(config), absl::StatusCode::kInvalidArgument);
  config = Config(1, 1);
  config.virtio_mmio[0].base = layout::kMmioHoleEnd - KiB(2);
  EXPECT_EQ(code(config), absl::StatusCode::kInvalidArgument);
  config = Config(1, 1);
  config.virtio_mmio[0].base = GuestPhysAddr(UINT64_MAX);
  EXPECT_EQ(code(config), absl::StatusCode::kInvalidArgument);
}

TEST_F(TablesTest, GuestWithoutLowMemoryIsAnError) {
  auto memory = memory::GuestMemory::Create({{GuestPhysAddr(0x200000), MiB(2), ram_.data()}});
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ(WriteAcpiTables(Config(1, 0), *memory).status().code(), absl::StatusCode::kInternal);
}

// The reference compiler understands what was written, and compiles what it understood to the same again.
class IaslTest : public TablesTest {
 protected:
  void SetUp() override {
    TablesTest::SetUp();
    if (system("iasl -v >/dev/null 2>&1") != 0) GTEST_SKIP() << "iasl (package acpica-tools) is not installed";
    const char* tmp = getenv("TEST_TMPDIR");
    std::string path = absl::StrCat(tmp != nullptr ? tmp : "/tmp", "/iaslXXXXXX");
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    directory_ = path;
  }

  void WriteFile(const std::string& name, const std::string& content) const {
    std::ofstream(directory_ + "/" + name, std::ios::binary) << content;
  }
  std::string ReadFile(const std::string& name) const {
    std::ifstream in(directory_ + "/" + name, std::ios::binary);
    EXPECT_TRUE(in.good()) << name;
    return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  // Runs iasl in the directory; its output goes to `log`.
  bool Iasl(const std::string& arguments) const {
    return system(absl::StrCat("cd '", directory_, "' && iasl ", arguments, " >log 2>&1").c_str()) == 0;
  }

  std::string directory_;
};

TEST_F(IaslTest, DsdtSurvivesDisassemblyAndCompilation) {
  auto rsdp = WriteAcpiTables(Config(kMaxCpus, layout::kMaxVirtioDevices), *memory_);
  ASSERT_TRUE(rsdp.ok()) << rsdp.status();
  const std::string dsdt = Walk(*rsdp)["DSDT"];
  WriteFile("dsdt.aml", dsdt);
  ASSERT_TRUE(Iasl("-d dsdt.aml")) << ReadFile("log");
  ASSERT_TRUE(Iasl("-oa -p again dsdt.dsl")) << ReadFile("log");
  EXPECT_TRUE(absl::StrContains(ReadFile("log"), "0 Errors, 0 Warnings")) << ReadFile("log");

  const std::string text = ReadFile("dsdt.dsl");
  for (const char* expected :
       {"Name (_HID, \"LNRO0005\")", "Name (_HID, EisaId (\"PNP0501\")", "Name (_HID, \"ACPI0007\"",
        "Name (_HID, \"ACPI0013\"", "Name (_HID, \"QEMU0001\")", "Memory32Fixed (ReadWrite",
        "Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive", "Notify (\\_SB.PWRB, 0x80)"}) {
    EXPECT_TRUE(absl::StrContains(text, expected)) << expected;
  }
  // The compiler (-oa: without its optimizer) fills in the end tags' checksums and its own id: compare what both
  // disassemble to.
  ASSERT_TRUE(Iasl("-d again.aml")) << ReadFile("log");
  const auto body = [](const std::string& dsl) { return dsl.substr(dsl.find("DefinitionBlock")); };
  EXPECT_TRUE(body(ReadFile("again.dsl")) == body(text)) << "see " << directory_;
  EXPECT_EQ(ReadFile("again.aml").size(), dsdt.size());
}

TEST_F(IaslTest, StaticTablesAreUnderstood) {
  auto rsdp = WriteAcpiTables(Config(2, 1), *memory_);
  ASSERT_TRUE(rsdp.ok()) << rsdp.status();
  for (const auto& [name, table] : Walk(*rsdp)) {
    if (name == "DSDT") continue;
    WriteFile(name + ".aml", table);
    ASSERT_TRUE(Iasl(absl::StrCat("-d ", name, ".aml"))) << ReadFile("log");
    const std::string text = ReadFile(name + ".dsl");
    EXPECT_FALSE(absl::StrContains(text, "Unknown")) << text;
    EXPECT_FALSE(absl::StrContains(text, "Invalid")) << text;
    EXPECT_FALSE(absl::StrContains(text, "rror")) << text;
    // Compiling it again finds lengths and field values that make no sense.
    ASSERT_TRUE(Iasl(absl::StrCat(name, ".dsl"))) << ReadFile("log");
  }
}

}  // namespace
}  // namespace daxvmm::vmm::acpi
