// Can this host's /dev/kvm run kernels? Measured, not assumed: some hosts offer a KVM that interprets supervisor-mode
// code, at about a microsecond per instruction, which is of no use to a kernel.
//
// Exit status: 0 it can; 1 it interprets supervisor code, or refuses a 64-bit vCPU; 2 no usable /dev/kvm. One line on
// standard output says why.
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>

#include "base/unique_fd.h"

namespace daxvmm {
namespace {

constexpr int kRunsKernels = 0;
constexpr int kTooSlow = 1;
constexpr int kNoKvm = 2;

constexpr uint64_t kMemorySize = 2 << 20;
constexpr uint64_t kPml4 = 0x1000;
constexpr uint64_t kPdpt = 0x2000;
constexpr uint64_t kPageDirectory = 0x3000;
constexpr uint64_t kCode = 0x4000;
constexpr uint32_t kTurns = 500'000;
// Hardware takes well below a nanosecond, QEMU's TCG about ten, an interpreting KVM hundreds.
constexpr double kSlowestUsefulNsPerInstruction = 150;
// The measurement stops by then, whatever it has found.
constexpr time_t kDeadlineSeconds = 3;
constexpr int kAttempts = 3;

// mov ecx, kTurns; 1: dec ecx; jnz 1b; out 0x80, al
constexpr uint8_t kLoop[] = {
    0xb9, kTurns & 0xff, (kTurns >> 8) & 0xff, (kTurns >> 16) & 0xff, 0, 0xff, 0xc9, 0x75, 0xfc, 0xe6, 0x80};

double NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

int Report(int status, const char* text) {
  printf("%s\n", text);
  return status;
}

kvm_segment FlatSegment(uint16_t selector, uint8_t type, bool code) {
  kvm_segment segment = {};
  segment.limit = 0xffffffff;
  segment.selector = selector;
  segment.type = type;
  segment.present = 1;
  segment.s = 1;
  segment.l = code ? 1 : 0;
  segment.db = code ? 0 : 1;
  segment.g = 1;
  return segment;
}

// Long mode at CPL 0, as a kernel runs, with the first 2 MiB mapped onto themselves.
bool EnterLongMode(int vcpu, uint8_t* memory) {
  constexpr uint64_t kPresentWritable = 0x3;
  constexpr uint64_t kLargePage = 0x80;
  const uint64_t entries[][2] = {{kPml4, kPdpt | kPresentWritable},
                                 {kPdpt, kPageDirectory | kPresentWritable},
                                 {kPageDirectory, kPresentWritable | kLargePage}};
  for (const auto& [at, value] : entries) memcpy(memory + at, &value, sizeof(value));
  memcpy(memory + kCode, kLoop, sizeof(kLoop));

  kvm_sregs sregs;
  if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0) return false;
  sregs.cs = FlatSegment(0x10, 0xb, true);
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = FlatSegment(0x18, 0x3, false);
  sregs.cr3 = kPml4;
  sregs.cr4 |= 1 << 5;                 // PAE
  sregs.cr0 |= (1u << 31) | 1;         // PG, PE
  sregs.efer |= (1 << 8) | (1 << 10);  // LME, LMA
  return ioctl(vcpu, KVM_SET_SREGS, &sregs) == 0;
}

// Nanoseconds per instruction; 0 if the loop did not come to its end.
double MeasureOnce(int vcpu, kvm_run* run) {
  kvm_regs regs = {};
  regs.rip = kCode;
  regs.rflags = 2;
  if (ioctl(vcpu, KVM_SET_REGS, &regs) < 0) return 0;
  const double start = NowNs();
  if (ioctl(vcpu, KVM_RUN, 0) < 0 || run->exit_reason != KVM_EXIT_IO) return 0;
  // Completes the OUT, so that the registers may be set anew.
  const double elapsed = NowNs() - start;
  run->immediate_exit = 1;
  (void)ioctl(vcpu, KVM_RUN, 0);
  run->immediate_exit = 0;
  return elapsed / (2.0 * kTurns);
}

int Probe() {
  UniqueFd kvm(open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!kvm.valid()) {
    return Report(kNoKvm, errno == ENOENT ? "there is no /dev/kvm" : "/dev/kvm cannot be opened (permission?)");
  }
  if (ioctl(kvm.get(), KVM_GET_API_VERSION, 0) != KVM_API_VERSION) return Report(kNoKvm, "/dev/kvm is not KVM");
  UniqueFd vm(ioctl(kvm.get(), KVM_CREATE_VM, 0));
  if (!vm.valid()) return Report(kNoKvm, "/dev/kvm makes no machine");
  (void)ioctl(vm.get(), KVM_SET_TSS_ADDR, 0xfffbd000);

  void* memory = mmap(nullptr, kMemorySize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  kvm_userspace_memory_region region = {};
  region.memory_size = kMemorySize;
  region.userspace_addr = reinterpret_cast<uint64_t>(memory);
  if (memory == MAP_FAILED || ioctl(vm.get(), KVM_SET_USER_MEMORY_REGION, &region) < 0) {
    return Report(kNoKvm, "/dev/kvm takes no memory");
  }
  UniqueFd vcpu(ioctl(vm.get(), KVM_CREATE_VCPU, 0));
  if (!vcpu.valid()) return Report(kNoKvm, "/dev/kvm makes no vCPU");
  const int run_size = ioctl(kvm.get(), KVM_GET_VCPU_MMAP_SIZE, 0);
  void* run_page =
      mmap(nullptr, static_cast<size_t>(std::max(run_size, 4096)), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu.get(), 0);
  if (run_page == MAP_FAILED) return Report(kNoKvm, "/dev/kvm makes no vCPU");
  if (!EnterLongMode(vcpu.get(), static_cast<uint8_t*>(memory))) {
    return Report(kTooSlow, "/dev/kvm refuses 64-bit supervisor mode");
  }

  // Without SA_RESTART: KVM_RUN ends with EINTR at the deadline.
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  sigaction(SIGALRM, &action, nullptr);
  const itimerval deadline = {{0, 100'000}, {kDeadlineSeconds, 0}};
  setitimer(ITIMER_REAL, &deadline, nullptr);

  double best = 0;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const double ns = MeasureOnce(vcpu.get(), static_cast<kvm_run*>(run_page));
    if (ns > 0 && (best == 0 || ns < best)) best = ns;
  }
  if (best == 0) return Report(kTooSlow, "a toy guest of /dev/kvm did not get through a short loop in supervisor mode");
  const bool fast = best <= kSlowestUsefulNsPerInstruction;
  printf("/dev/kvm takes %.1f ns for a supervisor-mode instruction: %s\n", best,
         fast ? "it runs kernels" : "it interprets them, which no kernel can live with");
  return fast ? kRunsKernels : kTooSlow;
}

}  // namespace
}  // namespace daxvmm

int main() { return daxvmm::Probe(); }
