#include "vmm/config.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "base/size_text.h"
#include "base/status.h"
#include "vmm/layout.h"

namespace daxvmm::vmm {
namespace {

constexpr size_t kTagMax = 36;

// Options that are good each, but not in this company.
absl::Status ValidateTogether(const ShareConfig& share) {
  const auto refuse = [&share](absl::string_view reason) {
    return absl::InvalidArgumentError(absl::StrCat("share: tag '", share.tag, "': ", reason));
  };
  const fs::ShareOptions& options = share.options;
  if (options.writeback && share.dax_window != ByteCount(0)) {
    return refuse(
        "writeback does not go with dax-window: the guest keeps mtime itself then, and stores through the "
        "window would leave it as it was");
  }
  if (options.writeback && (options.cache == fs::CacheMode::kNever || options.cache == fs::CacheMode::kMetadata)) {
    return refuse("writeback does not go with cache=never or cache=metadata, which have the guest keep no data");
  }
  if (!options.xattr && !options.xattr_map.identity()) {
    return refuse("xattr-map does not go with no-xattr, which leaves no attribute to map");
  }
  return absl::OkStatus();
}

absl::Status ValidateShare(const ShareConfig& share) {
  if (share.options.path.empty()) return absl::InvalidArgumentError("share: path= is missing or empty");
  if (share.tag.empty()) return absl::InvalidArgumentError("share: tag= is missing or empty");
  if (share.tag.size() > kTagMax) {
    return absl::InvalidArgumentError(absl::StrCat("share: tag '", share.tag, "' has ", share.tag.size(),
                                                   " bytes, but virtio-fs has room for ", kTagMax));
  }
  if (share.tag.find_first_of(std::string("\n\0", 2)) != std::string::npos) {
    return absl::InvalidArgumentError("share: tag= must not contain a newline or a NUL byte");
  }
  if (!share.dax_window.IsMultipleOf(kDaxRangeSize)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "share: tag '", share.tag, "': dax-window=", FormatSize(share.dax_window), " is not a multiple of 2 MiB"));
  }
  if (!share.dax_quota.IsMultipleOf(kDaxRangeSize) || share.dax_quota > share.dax_window) {
    return absl::InvalidArgumentError(absl::StrCat("share: tag '", share.tag,
                                                   "': dax-quota=", FormatSize(share.dax_quota),
                                                   " is not a multiple of 2 MiB up to the size of dax-window"));
  }
  return ValidateTogether(share);
}

}  // namespace

absl::Status Validate(const MachineConfig& config) {
  if (config.kernel.empty()) return absl::InvalidArgumentError("kernel: is required");
  if (config.cpus < 1 || config.cpus > kMaxCpus) {
    return absl::InvalidArgumentError(absl::StrCat("cpus: ", config.cpus, " is not between 1 and ", kMaxCpus));
  }
  if (config.memory < kMinMemory || config.memory > kMaxMemory) {
    return absl::InvalidArgumentError(absl::StrCat("mem: ", FormatSize(config.memory), " is not between ",
                                                   FormatSize(kMinMemory), " and ", FormatSize(kMaxMemory)));
  }
  if (!config.memory.IsMultipleOf(kPageSize)) {
    return absl::InvalidArgumentError(
        absl::StrCat("mem: ", FormatSize(config.memory), " is not a multiple of ", FormatSize(kPageSize)));
  }
  if (config.cmdline.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("cmdline: must not contain a NUL byte");
  }
  if (config.shares.size() > layout::kMaxVirtioDevices) {
    return absl::InvalidArgumentError(absl::StrCat("share: given ", config.shares.size(), " times, but only ",
                                                   layout::kMaxVirtioDevices,
                                                   " are possible: each share needs an interrupt line of its own"));
  }
  std::set<std::string> tags;
  for (const ShareConfig& share : config.shares) {
    RETURN_IF_ERROR(ValidateShare(share));
    if (!tags.insert(share.tag).second) {
      return absl::InvalidArgumentError(absl::StrCat("share: tag '", share.tag, "' is given twice"));
    }
  }
  return absl::OkStatus();
}

dax::Policy ComposePolicy(const MachineConfig& config, const dax::Policy& policy) {
  dax::Policy composed = policy;
  for (auto share = config.shares.rbegin(); share != config.shares.rend(); ++share) {
    if (share->policy.has_value()) composed = dax::PrependForShare(composed, share->tag, *share->policy);
  }
  return composed;
}

}  // namespace daxvmm::vmm
