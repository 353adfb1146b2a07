#include "vmm/machine.h"

#include <sys/resource.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "vmm/acpi/tables.h"
#include "vmm/boot/linux_boot.h"
#include "vmm/cpuid.h"
#include "vmm/layout.h"
#include "vmm/vcpu_setup.h"

namespace daxvmm::vmm {
namespace {

absl::Status Prefix(const absl::Status& status, absl::string_view prefix) {
  return absl::Status(status.code(), absl::StrCat(prefix, status.message()));
}

// What one share may hold, so that all of them together leave the process a quarter of its descriptors. 0: as the share
// decides by itself.
uint64_t DescriptorsPerShare(size_t shares) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || shares == 0) return 0;
  return limit.rlim_cur / 4 * 3 / shares;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Machine>> Machine::Create(const MachineConfig& config, ConsoleHooks console) {
  RETURN_IF_ERROR(Validate(config));
  if (absl::Status status = dax::Validate(ComposePolicy(config, config.policy)); !status.ok()) {
    return Prefix(status, "policy: ");
  }
  ASSIGN_OR_RETURN(std::unique_ptr<PolicyKeeper> keeper, PolicyKeeper::Open(config));
  ASSIGN_OR_RETURN(KvmSystem kvm, KvmSystem::Open(config.kvm_path));
  ASSIGN_OR_RETURN(KvmVm vm, kvm.CreateVm());
  ASSIGN_OR_RETURN(EventFd first_entry, EventFd::Create());
  ASSIGN_OR_RETURN(EventFd end_event, EventFd::Create());
  ASSIGN_OR_RETURN(EventFd power_button, EventFd::Create());
  ASSIGN_OR_RETURN(EventFd serial_interrupt, EventFd::Create());
  std::unique_ptr<Machine> machine(new Machine(config, std::move(console), std::move(vm), std::move(keeper),
                                               std::move(first_entry), std::move(end_event), std::move(power_button),
                                               std::move(serial_interrupt)));
  if (!config.policy_file.empty()) machine->policy_.SetWatchedFile(config.policy_file);
  RETURN_IF_ERROR(machine->Build(kvm));
  // Last, so that a machine that cannot be built leaves the state as it was.
  if (!config.state_dir.empty() || !config.audit_log.empty()) {
    if (absl::Status status = machine->policy_.StartRecording(machine->keeper_.get()); !status.ok()) {
      return Prefix(status, "state-dir: ");
    }
  }
  // Those of an earlier run.
  if (!machine->policy_.Get()->compiled->overrides().empty()) machine->override_expiry_.Changed();
  return machine;
}

Machine::Machine(const MachineConfig& config, ConsoleHooks console, KvmVm vm, std::unique_ptr<PolicyKeeper> keeper,
                 EventFd first_entry, EventFd end_event, EventFd power_button, EventFd serial_interrupt)
    : config_(config),
      keeper_(std::move(keeper)),
      policy_(keeper_->Start(config_)),
      first_entry_(std::move(first_entry)),
      end_event_(std::move(end_event)),
      power_button_(std::move(power_button)),
      serial_interrupt_(std::move(serial_interrupt)),
      created_(absl::Now()),
      gate_(config.cpus, false),
      vm_(std::move(vm)),
      uart_({.output =
                 [this, output = std::move(console.output)](std::span<const uint8_t> bytes) {
                   // First, since the embedder may be slow to take it.
                   console_.Append(bytes);
                   output(bytes);
                 },
             .pulse_interrupt = [this] { serial_interrupt_.Signal(); },
             .input_room = std::move(console.input_room)}),
      acpi_pm_({.s5_sleep_type = layout::kAcpiSleepTypeS5,
                .reset_value = layout::kAcpiResetValue,
                .power_off = [this] { EndGuest({GuestEndKind::kPowerOff, ""}); },
                .reset = [this] { EndGuest({GuestEndKind::kReset, "the guest asked for a reboot"}); }}),
      pvpanic_([this] { EndGuest({GuestEndKind::kPanic, "the guest's kernel panicked"}); }) {
  ObservePolicy();
}

Machine::~Machine() { Halt(); }

absl::Status Machine::Build(const KvmSystem& kvm) {
  ASSIGN_OR_RETURN(const std::vector<kvm_cpuid_entry2> cpuid, kvm.SupportedCpuid());
  RETURN_IF_ERROR(vm_.SetIdentityMapAddress(layout::kIdentityMap));
  RETURN_IF_ERROR(vm_.SetTssAddress(layout::kTss));
  RETURN_IF_ERROR(vm_.CreateIrqchip());
  RETURN_IF_ERROR(vm_.RouteGsisToIoApic(layout::kIoApicPins));
  RETURN_IF_ERROR(BuildMemory(cpuid));
  RETURN_IF_ERROR(BuildPlatform());
  RETURN_IF_ERROR(BuildShares());
  return BuildVcpus(kvm, cpuid);
}

absl::Status Machine::BuildMemory(std::span<const kvm_cpuid_entry2> cpuid) {
  std::vector<ByteCount> sizes;
  sizes.reserve(config_.shares.size());
  for (const ShareConfig& share : config_.shares) sizes.push_back(share.dax_window);
  ASSIGN_OR_RETURN(plan_, PlanMemory(config_.memory, sizes, PhysicalAddressBits(cpuid)));
  std::vector<memory::Region> regions;
  for (const AddressRange& range : plan_.ram) {
    absl::StatusOr<memory::Mapping> ram = memory::Mapping::Anonymous(range.size, kDaxRangeSize);
    if (!ram.ok()) return Prefix(ram.status(), "mem: ");
    regions.push_back({range.base, range.size, ram->data(), memory::RegionKind::kRam, true});
    ram_.push_back(*std::move(ram));
  }
  for (size_t i = 0; i < config_.shares.size(); ++i) {
    const ShareConfig& share = config_.shares[i];
    windows_.push_back(nullptr);
    if (share.dax_window == ByteCount(0)) continue;
    absl::StatusOr<memory::MappingWindow> window = memory::MappingWindow::Create(share.dax_window);
    if (!window.ok()) return Prefix(window.status(), absl::StrCat("share: tag '", share.tag, "': dax-window: "));
    windows_.back() = std::make_unique<memory::MappingWindow>(*std::move(window));
    regions.push_back({plan_.windows[i].base, share.dax_window, windows_.back()->host(), memory::RegionKind::kWindow,
                       !share.options.read_only});
  }
  ASSIGN_OR_RETURN(memory_, memory::GuestMemory::Create(std::move(regions)));
  uint32_t slot = 0;
  for (const memory::Region& region : memory_->regions()) {
    RETURN_IF_ERROR(vm_.SetMemory(MemorySlot(slot++), region));
  }
  return absl::OkStatus();
}

absl::Status Machine::BuildPlatform() {
  RETURN_IF_ERROR(ports_.Attach(layout::kSerialPort, layout::kSerialPortSize, &uart_));
  RETURN_IF_ERROR(ports_.Attach(layout::kAcpiSleepControlPort, devices::AcpiPm::kSize, &acpi_pm_));
  RETURN_IF_ERROR(ports_.Attach(layout::kPvpanicPort, devices::Pvpanic::kSize, &pvpanic_));
  RETURN_IF_ERROR(vm_.AddIrqFd(serial_interrupt_, layout::kSerialGsi));
  return vm_.AddIrqFd(power_button_, layout::kPowerButtonGsi);
}

absl::Status Machine::BuildShares() {
  const uint64_t descriptors = DescriptorsPerShare(config_.shares.size());
  for (size_t i = 0; i < config_.shares.size(); ++i) {
    const ShareConfig& config = config_.shares[i];
    virtio_fs::VirtioFsOptions options;
    options.tag = config.tag;
    options.share = config.options;
    if (options.share.max_descriptors == 0) options.share.max_descriptors = descriptors;
    options.dax_quota = config.dax_quota;
    options.repaired = ObserveWindow(config.tag);
    if (windows_[i] != nullptr) options.window = virtio_fs::WindowPlace{windows_[i].get(), plan_.windows[i].base};
    Share share;
    share.window = windows_[i].get();
    absl::StatusOr<std::unique_ptr<virtio_fs::VirtioFsDevice>> device =
        virtio_fs::VirtioFsDevice::Create(options, &policy_);
    if (!device.ok()) return Prefix(device.status(), absl::StrCat("share: tag '", config.tag, "': "));
    share.device = *std::move(device);
    ASSIGN_OR_RETURN(share.slot,
                     VirtioSlot::Create(static_cast<unsigned>(i), share.device.get(), &*memory_, &vm_, &mmio_));
    share.slot->ObserveNeedsReset(ObserveNeedsReset(config.tag));
    if (dax::Window* window = share.device->window(); window != nullptr) {
      guard_.Add({.name = config.tag,
                  .base = plan_.windows[i].base,
                  .size = plan_.windows[i].size,
                  .read_only = config.options.read_only,
                  .owner = window});
    }
    shares_.push_back(std::move(share));
  }
  return absl::OkStatus();
}

absl::Status Machine::BuildVcpus(const KvmSystem& kvm, std::span<const kvm_cpuid_entry2> cpuid) {
  acpi::AcpiConfig tables;
  tables.cpus = config_.cpus;
  for (const Share& share : shares_) {
    tables.virtio_mmio.push_back({share.slot->base(), layout::kVirtioMmioSize, share.slot->gsi()});
  }
  ASSIGN_OR_RETURN(const GuestPhysAddr rsdp, acpi::WriteAcpiTables(tables, *memory_));

  absl::StatusOr<boot::KernelImage> kernel = boot::OpenKernel(config_.kernel);
  if (!kernel.ok()) return Prefix(kernel.status(), "kernel: ");
  std::optional<boot::BootFile> initrd;
  if (!config_.initrd.empty()) {
    absl::StatusOr<boot::BootFile> file = boot::BootFile::Open(config_.initrd);
    if (!file.ok()) return Prefix(file.status(), "initrd: ");
    initrd = *std::move(file);
  }
  ASSIGN_OR_RETURN(const boot::BootState state, boot::LoadLinux({.kernel = *kernel,
                                                                 .initramfs = initrd.has_value() ? &*initrd : nullptr,
                                                                 .command_line = config_.cmdline,
                                                                 .rsdp = rsdp},
                                                                *memory_));

  const CpuidOptions options = {.cpu_count = config_.cpus,
                                .tsc_deadline_timer = kvm.Extension(KVM_CAP_TSC_DEADLINE_TIMER) != 0};
  for (unsigned i = 0; i < config_.cpus; ++i) {
    ASSIGN_OR_RETURN(KvmVcpu vcpu, vm_.CreateVcpu(i));
    RETURN_IF_ERROR(SetUpVcpu(&vcpu, ChooseCpuid(cpuid, i, options)));
    if (i == 0) RETURN_IF_ERROR(SetUpBootVcpu(&vcpu, state));
    vcpus_.emplace_back(new Vcpu(
        i, std::move(vcpu), {.mmio = &mmio_, .ports = &ports_, .memory = &*memory_, .guard = &guard_}, &gate_, this));
  }
  return absl::OkStatus();
}

}  // namespace daxvmm::vmm
