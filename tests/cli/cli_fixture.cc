#include "tests/cli/cli_fixture.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/unique_fd.h"
#include "vmm/boot/test_kernels.h"

namespace daxvmm::cli_test {
namespace {

// mov dx, port; mov al, value; out dx, al
std::string Out(uint16_t port, uint8_t value) {
  return {
      '\x66', '\xba', static_cast<char>(port & 0xff), static_cast<char>(port >> 8), '\xb0', static_cast<char>(value),
      '\xee'};
}

std::string Idle() { return "\xf4\xeb\xfd"; }  // hlt; jmp to it

std::string Bytes(uint64_t value) { return std::string(reinterpret_cast<const char*>(&value), sizeof(value)); }

// mov rax, value; mov [at], rax
std::string Store(uint64_t at, uint64_t value) { return "\x48\xb8" + Bytes(value) + "\x48\xa3" + Bytes(at); }

std::string Load(uint64_t at) { return "\x48\xa1" + Bytes(at); }

std::string Print(const std::string& text) {
  std::string code;
  for (const char c : text) code += Out(0x3f8, static_cast<uint8_t>(c));
  return code;
}

// The page tables of vmm/layout.h end below here.
constexpr uint64_t kFreePage = 0x10000;
constexpr uint64_t kDirectoryPointers = 0xa000;
constexpr uint64_t kFourGiB = uint64_t{1} << 32;

// A fifth page directory, whose first entry maps 2 MiB at 4 GiB.
std::string MapFirstWindow() {
  return Store(kFreePage, kFourGiB | 0x83) + Store(kDirectoryPointers + 4 * 8, kFreePage | 3);
}

std::string ProgramPath() {
  // Tests run in the folder of their runfiles.
  return std::filesystem::current_path().string() + "/vmm/daxvmm";
}

}  // namespace

const std::string kGreeting = "up";
const std::string kPowerOff = Out(0x600, 5 << 2 | 0x20) + Idle();
const std::string kReboot = Out(0x602, 1) + Idle();
const std::string kPanic = Out(0x505, 1) + Idle();
const std::string kTripleFault = "\x0f\x0b";  // ud2; the interrupt table is empty
const std::string kTouchWindow = MapFirstWindow() + Load(kFourGiB) + Idle();
const std::string kPrintAndIdle = Print(kGreeting) + Idle();

void CliTest::SetUp() {
  outer_ = testing::TempDir() + "/cli.XXXXXX";
  ASSERT_NE(mkdtemp(outer_.data()), nullptr);
  directory_ = outer_ + "/d";
  ASSERT_TRUE(std::filesystem::create_directories(Path("share")));
  WriteKernel("kernel", kPowerOff);
}

void CliTest::TearDown() { std::filesystem::remove_all(outer_); }

void CliTest::Write(const std::string& name, const std::string& content) const {
  std::ofstream(Path(name), std::ios::binary) << content;
}

void CliTest::WriteKernel(const std::string& name, const std::string& code) const {
  std::vector<vmm::boot::ElfPiece> pieces = vmm::boot::MakeElfPieces();
  const Elf64_Ehdr header = vmm::boot::MakeElfHeader();
  pieces[0].content.replace(header.e_entry - pieces[0].header.p_paddr, code.size(), code);
  Write(name, vmm::boot::MakeElf(header, pieces));
}

std::set<std::string> CliTest::Files() const {
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
    files.insert(entry.path().string());
  }
  return files;
}

std::unique_ptr<Process> CliTest::Start(const std::vector<std::string>& arguments, int input) {
  const std::string number = std::to_string(started_++);
  return std::make_unique<Process>(Process::Options{.program = ProgramPath(),
                                                    .arguments = arguments,
                                                    .directory = directory_,
                                                    .output = outer_ + "/out" + number,
                                                    .error = outer_ + "/err" + number,
                                                    .input = input});
}

void CliTest::ExpectRefused(const std::vector<std::string>& arguments, const std::vector<std::string>& parts) {
  const std::set<std::string> before = Files();
  const auto process = Start(arguments);
  EXPECT_EQ(process->AwaitExit(), 2);
  const std::string error = process->Error();
  EXPECT_EQ(error.find("daxvmm: "), 0u) << error;
  EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 1) << error;
  EXPECT_EQ(error.find('\n'), error.size() - 1) << error;
  for (const std::string& part : parts) EXPECT_NE(error.find(part), std::string::npos) << error << "lacks " << part;
  EXPECT_EQ(process->Output(), "");
  EXPECT_EQ(Files(), before) << "something was left behind";
}

bool CliTest::HaveKvm() { return UniqueFd(open("/dev/kvm", O_RDWR | O_CLOEXEC)).valid(); }

}  // namespace daxvmm::cli_test
