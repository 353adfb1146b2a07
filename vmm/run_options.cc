#include "vmm/run_options.h"

#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/command_line.h"
#include "base/flag_file.h"
#include "base/size_text.h"
#include "base/status.h"
#include "devices/virtio_fs/dax/policy_names.h"
#include "devices/virtio_fs/fs/share_option_text.h"
#include "vmm/layout.h"

namespace daxvmm::vmm {
namespace {

constexpr uint64_t kShutdownTimeoutMaxSeconds = 24 * 60 * 60;

// Splits at single commas; a doubled one stands for itself.
std::vector<std::string> SplitFields(absl::string_view text) {
  std::vector<std::string> fields(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != ',') {
      fields.back() += text[i];
    } else if (i + 1 < text.size() && text[i + 1] == ',') {
      fields.back() += text[i++];
    } else {
      fields.emplace_back();
    }
  }
  return fields;
}

absl::Status SetSize(absl::string_view text, ByteCount* size) {
  ASSIGN_OR_RETURN(*size, ParseSize(text));
  return absl::OkStatus();
}

absl::Status SetNotEmpty(absl::string_view text, std::string* value) {
  if (text.empty()) return absl::InvalidArgumentError("must not be empty");
  *value = std::string(text);
  return absl::OkStatus();
}

absl::Status SetLogLevelText(absl::string_view text, LogLevel* level) {
  const std::optional<LogLevel> parsed = ParseLogLevel(text);
  if (!parsed) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not one of debug, info, warning, error"));
  }
  *level = *parsed;
  return absl::OkStatus();
}

std::string PolicyNameLines() {
  std::string lines;
  for (const dax::PolicyName& name : dax::PolicyNames()) {
    absl::StrAppendFormat(&lines, "%-26s  %s\n", name.spelling, name.meaning);
  }
  return lines;
}

std::vector<FlagSpec> Flags(RunOptions* options);

// The flags of a file, which may not name another one.
absl::Status ApplyConfig(absl::string_view path, RunOptions* options) {
  std::vector<FlagSpec> flags = Flags(options);
  std::erase_if(flags, [](const FlagSpec& flag) { return flag.name == "config" || flag.name == "help"; });
  return ApplyFlagFile(std::string(path), flags);
}

// Those that help shows behind the control plane's.
std::vector<FlagSpec> LastFlags(RunOptions* options) {
  MachineConfig* machine = &options->machine;
  return {
      {"metrics", "ADDRESS",
       "Serve metrics for Prometheus by HTTP at /metrics. A path (or unix:PATH): a Unix-domain socket, mode 0600;\n"
       "127.0.0.1:PORT or [::1]:PORT: a port of the loopback interface, for whoever is on this host.",
       [options](absl::string_view v) -> absl::Status {
         ASSIGN_OR_RETURN(options->metrics, control::ParseMetricsEndpoint(v));
         return absl::OkStatus();
       }},
      {"paused", "",
       "Make the machine and serve the control API, but run no vCPU until daxvmmctl machine start. Needs --control.",
       [options](absl::string_view) {
         options->paused = true;
         return absl::OkStatus();
       }},
      {"shutdown-timeout", "SECONDS",
       "On SIGTERM, and daxvmmctl machine shutdown, the guest's power button is pressed; this long after it, the guest "
       "is\n"
       "ended. Default: 30",
       [options](absl::string_view v) {
         uint64_t seconds = 0;
         if (!absl::SimpleAtoi(v, &seconds) || seconds > kShutdownTimeoutMaxSeconds) {
           return absl::InvalidArgumentError(absl::StrCat("'", v, "' is not a number of seconds up to one day"));
         }
         options->machine.shutdown_timeout = std::chrono::seconds(seconds);
         return absl::OkStatus();
       }},
      {"config", "FILE",
       "Take further flags from this file, one a line: name = value, without dashes or quotes; # begins a comment.\n"
       "They count as if they stood here: of a flag that is given twice the later one holds. For daxvmm@.service.",
       [options](absl::string_view v) { return ApplyConfig(v, options); }},
      {"kvm", "FILE", "The KVM device. Default: /dev/kvm",
       [machine](absl::string_view v) { return SetNotEmpty(v, &machine->kvm_path); }},
      {"log-level", "LEVEL", "Least important message to print: debug, info, warning or error. Default: warning",
       [options](absl::string_view v) { return SetLogLevelText(v, &options->log_level); }},
      {"help", "", "Show this text.",
       [options](absl::string_view) {
         options->help = true;
         return absl::OkStatus();
       }},
  };
}

std::vector<FlagSpec> Flags(RunOptions* options) {
  MachineConfig* machine = &options->machine;
  std::vector<FlagSpec> flags = {
      {"kernel", "FILE", "The guest's kernel: a 64-bit x86 bzImage (vmlinuz) or ELF vmlinux. Required.",
       [machine](absl::string_view v) { return SetNotEmpty(v, &machine->kernel); }},
      {"initrd", "FILE", "The guest's initramfs.",
       [machine](absl::string_view v) { return SetNotEmpty(v, &machine->initrd); }},
      {"cmdline", "TEXT", "The kernel's command line. Default: console=ttyS0",
       [machine](absl::string_view v) {
         machine->cmdline = std::string(v);
         return absl::OkStatus();
       }},
      {"cpus", "N", absl::StrCat("Virtual CPUs, 1 to ", kMaxCpus, ". Default: 1"),
       [machine](absl::string_view v) {
         return absl::SimpleAtoi(v, &machine->cpus)
                    ? absl::OkStatus()
                    : absl::InvalidArgumentError(absl::StrCat("'", v, "' is not a number of CPUs"));
       }},
      {"mem", "SIZE", "Guest memory, such as 512M or 2G. Default: 512M",
       [machine](absl::string_view v) { return SetSize(v, &machine->memory); }},
      {"share", "path=DIR,tag=TAG[,dax-window=SIZE][,policy=POLICY][,OPTION...]",
       absl::StrCat("A host directory that the guest mounts with: mount -t virtiofs TAG /mnt\n",
                    "dax-window=SIZE           a DAX window, a multiple of 2 MiB: files that the policy allows are\n",
                    "                          mapped into the guest instead of copied. It costs the guest 1/64 of\n",
                    "                          SIZE in memory\n",
                    "dax-quota=SIZE            once so much of the window is in use, no further file becomes DAX\n",
                    "policy=POLICY             rules for this share that stand before those of --policy\n",
                    fs::DescribeShareOptions(), "A comma in a value is written twice. May be given up to ",
                    layout::kMaxVirtioDevices, " times: one interrupt line each."),
       [machine](absl::string_view v) -> absl::Status {
         ASSIGN_OR_RETURN(ShareConfig share, ParseShare(v));
         machine->shares.push_back(std::move(share));
         return absl::OkStatus();
       }},
      {"policy", "POLICY",
       absl::StrCat("Which files the guest may map (DAX), until changed by daxvmmctl policy set:\n", PolicyNameLines(),
                    "Default: size"),
       [machine, options](absl::string_view v) -> absl::Status {
         ASSIGN_OR_RETURN(machine->policy, dax::ParsePolicyName(v));
         options->named_policy = machine->policy_given = true;
         return absl::OkStatus();
       }},
      {"policy-file", "FILE",
       "Instead of --policy: the policy of this file, a daxvmm.v1.Policy in protobuf's text format or in JSON (see\n"
       "daxvmmctl policy get -o textproto), at start and whenever the file changes. While it is watched, daxvmmctl\n"
       "policy set needs --force. A file that is wrong later on leaves the policy in force.",
       [machine](absl::string_view v) { return SetNotEmpty(v, &machine->policy_file); }},
      {"state-dir", "DIR",
       "Keep policy, overrides and history in this directory (made with mode 0700 if missing): a change is in force\n"
       "once it is on disk, and a restart goes on with it. What is kept counts, not --policy and policy= of a share;\n"
       "a --policy-file counts that says something else than when it was read last. One machine at a time.",
       [machine](absl::string_view v) { return SetNotEmpty(v, &machine->state_dir); }},
      {"reset-bad-state", "",
       "If what --state-dir holds cannot be used, set it aside as policy.state.bad-1 (or -2 ...) and start from the\n"
       "flags. Without it such a machine does not start. A good state is not touched.",
       [machine](absl::string_view) {
         machine->reset_bad_state = true;
         return absl::OkStatus();
       }},
      {"audit-log", "FILE",
       "Append a line of JSON for each change of the policy, and for each that was refused: who, when, what.\n"
       "A file that was moved away is made anew.",
       [machine](absl::string_view v) { return SetNotEmpty(v, &machine->audit_log); }},
  };
  for (FlagSpec& flag : ControlFlags(&options->control)) flags.push_back(std::move(flag));
  for (FlagSpec& flag : LastFlags(options)) flags.push_back(std::move(flag));
  return flags;
}

}  // namespace

absl::StatusOr<ShareConfig> ParseShare(absl::string_view text) {
  ShareConfig share;
  for (const std::string& field : SplitFields(text)) {
    absl::string_view value = field;
    if (absl::ConsumePrefix(&value, "path=")) {
      share.options.path = std::string(value);
    } else if (absl::ConsumePrefix(&value, "tag=")) {
      share.tag = std::string(value);
    } else if (absl::ConsumePrefix(&value, "dax-window=")) {
      absl::StatusOr<ByteCount> size = ParseSize(value);
      if (!size.ok()) return absl::InvalidArgumentError(absl::StrCat("dax-window=", size.status().message()));
      share.dax_window = *size;
    } else if (absl::ConsumePrefix(&value, "dax-quota=")) {
      absl::StatusOr<ByteCount> size = ParseSize(value);
      if (!size.ok()) return absl::InvalidArgumentError(absl::StrCat("dax-quota=", size.status().message()));
      if (*size == ByteCount(0)) return absl::InvalidArgumentError("dax-quota=0: use policy=never for no DAX at all");
      share.dax_quota = *size;
    } else if (absl::ConsumePrefix(&value, "policy=")) {
      absl::StatusOr<dax::Policy> policy = dax::ParsePolicyName(value);
      if (!policy.ok()) return absl::InvalidArgumentError(absl::StrCat("policy=", policy.status().message()));
      share.policy = *std::move(policy);
    } else {
      RETURN_IF_ERROR(fs::ApplyShareOption(field, &share.options));
    }
  }
  return share;
}

absl::StatusOr<RunOptions> ParseRunOptions(std::span<const char* const> arguments) {
  RunOptions options;
  const std::vector<FlagSpec> flags = Flags(&options);
  ASSIGN_OR_RETURN(const std::vector<std::string> rest, ParseFlags(flags, arguments));
  if (options.help) return options;
  if (!rest.empty()) return absl::InvalidArgumentError(absl::StrCat("'", rest[0], "': run takes flags only"));
  if (options.named_policy && !options.machine.policy_file.empty()) {
    return absl::InvalidArgumentError("--policy-file: excludes --policy");
  }
  if (options.paused && !options.control.any()) {
    return absl::InvalidArgumentError("--paused: needs --control, since nothing else could start the machine");
  }
  if (options.machine.reset_bad_state && options.machine.state_dir.empty()) {
    return absl::InvalidArgumentError("--reset-bad-state: is nothing without --state-dir");
  }
  RETURN_IF_ERROR(Validate(options.control));
  if (absl::Status status = Validate(options.machine); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--", status.message()));
  }
  return options;
}

std::vector<FlagSpec> RunFlags(RunOptions* options) { return Flags(options); }

std::string RunHelp() {
  RunOptions unused;
  return absl::StrCat(R"(Usage: daxvmm run --kernel FILE [FLAG ...]

Boots a Linux microVM. Its console is this terminal: Ctrl-A x ends it, Ctrl-A Ctrl-A types Ctrl-A.

  daxvmm run --kernel vmlinuz --initrd initramfs.img --cpus 2 --mem 512M \
      --share path=/srv/data,tag=data,dax-window=1G --control /run/vm.sock
  guest#  mount -t virtiofs data /mnt
  host$   daxvmmctl --control /run/vm.sock files

Flags:
)",
                      DescribeFlags(Flags(&unused)), R"(
Sizes are bytes, or have a suffix K, M, G or T (powers of 1024).

Exit status:
  0  the guest powered off          4  the guest's kernel panicked
  1  the host failed                5  the guest touched memory that has nothing behind it, or crashed its processor
  2  a flag is wrong                6  ended by Ctrl-A x, or by a signal, before the guest had powered off
  3  the guest asked for a reboot
)");
}

}  // namespace daxvmm::vmm
