#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "vmm/kvm/flex_array.h"
#include "vmm/kvm/kvm.h"

namespace daxvmm::vmm {
namespace {

constexpr size_t kCpuidEntriesMax = 1024;

}  // namespace

absl::StatusOr<KvmSystem> KvmSystem::Open(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd.valid()) {
    const int err = errno;
    if (err == ENOENT || err == ENODEV || err == ENXIO) {
      return absl::NotFoundError(absl::StrCat(path, ": ", strerror(err),
                                              ": this host offers no KVM (load kvm_amd or kvm_intel, or enable ",
                                              "virtualization in the firmware)"));
    }
    if (err == EACCES || err == EPERM) {
      return absl::PermissionDeniedError(
          absl::StrCat(path, ": ", strerror(err), ": run as root or as a member of the group kvm"));
    }
    return ErrnoStatus(err, path);
  }
  const int version = ioctl(fd.get(), KVM_GET_API_VERSION, 0);
  if (version != KVM_API_VERSION) {
    return absl::UnimplementedError(
        absl::StrCat(path, ": KVM API version ", version, ", but ", KVM_API_VERSION, " is needed"));
  }
  return KvmSystem(std::move(fd));
}

int KvmSystem::Extension(int capability) const {
  const int value = ioctl(fd_.get(), KVM_CHECK_EXTENSION, capability);
  return value < 0 ? 0 : value;
}

absl::StatusOr<KvmVm> KvmSystem::CreateVm() const {
  UniqueFd vm(ioctl(fd_.get(), KVM_CREATE_VM, 0));
  if (!vm.valid()) return ErrnoStatus(errno, "KVM_CREATE_VM");
  const int run_size = ioctl(fd_.get(), KVM_GET_VCPU_MMAP_SIZE, 0);
  if (run_size < static_cast<int>(sizeof(kvm_run))) return ErrnoStatus(errno, "KVM_GET_VCPU_MMAP_SIZE");
  return KvmVm(std::move(vm), ByteCount(static_cast<uint64_t>(run_size)));
}

absl::StatusOr<std::vector<kvm_cpuid_entry2>> KvmSystem::SupportedCpuid() const {
  FlexArray<kvm_cpuid2, kvm_cpuid_entry2> cpuid(kCpuidEntriesMax);
  cpuid->nent = kCpuidEntriesMax;
  if (ioctl(fd_.get(), KVM_GET_SUPPORTED_CPUID, cpuid.get()) < 0) return ErrnoStatus(errno, "KVM_GET_SUPPORTED_CPUID");
  return std::vector<kvm_cpuid_entry2>(cpuid->entries, cpuid->entries + cpuid->nent);
}

}  // namespace daxvmm::vmm
