// The machine as the control plane sees it.
#include <algorithm>
#include <tuple>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "vmm/machine.h"

namespace daxvmm::vmm {
namespace {

control::MountMode ToMountMode(fuse::ClientDaxMode mode) {
  switch (mode) {
    case fuse::ClientDaxMode::kNoSession:
      return control::MountMode::kNotMounted;
    case fuse::ClientDaxMode::kNever:
      return control::MountMode::kNever;
    case fuse::ClientDaxMode::kAlways:
      return control::MountMode::kAlways;
    case fuse::ClientDaxMode::kPerFile:
      return control::MountMode::kPerFile;
  }
  return control::MountMode::kNotMounted;
}

control::LiveFile ToControl(const std::string& tag, virtio_fs::LiveFile file) {
  control::LiveFile out;
  out.share_tag = tag;
  out.node_id = file.node.raw();
  out.path = std::move(file.path);
  out.size = file.size;
  out.decision_dax = file.decision_dax;
  out.decision_rule = std::move(file.decision_rule);
  out.told_dax = file.told_dax;
  out.told_generation = file.told_generation;
  out.open = file.open;
  out.mapped_chunks = file.mapped_chunks;
  out.setup_mappings = file.setup_mappings;
  out.reads = file.reads;
  out.writes = file.writes;
  return out;
}

dax::PolicyStore::SetOptions ToStore(const control::PolicySetOptions& options) {
  return {.source = {.kind = dax::SourceKind::kRequest, .detail = options.requester},
          .expected_generation = options.expected_generation,
          .force = options.force};
}

absl::StatusOr<control::PolicyChange> ToChange(const absl::StatusOr<uint64_t>& generation) {
  if (!generation.ok()) return generation.status();
  return control::PolicyChange{.generation = *generation, .attribute_timeout = absl::Seconds(1)};
}

}  // namespace

control::PolicyState Machine::GetPolicy() const {
  const auto snapshot = policy_.Get();
  control::PolicyState state;
  state.generation = snapshot->generation;
  state.policy = snapshot->compiled->policy();
  state.overrides = snapshot->compiled->overrides();
  state.source = snapshot->source;
  state.since = snapshot->since;
  state.watched_file = policy_.watched_file();
  MutexLock lock(&mu_);
  state.watched_file_error = policy_file_error_;
  return state;
}

absl::StatusOr<control::PolicyChange> Machine::SetPolicy(const dax::Policy& policy,
                                                         const control::PolicySetOptions& options) {
  return ToChange(policy_.Set(policy, ToStore(options)));
}

absl::StatusOr<control::PolicyChange> Machine::SetOverride(const dax::Override& override,
                                                           const control::PolicySetOptions& options) {
  RETURN_IF_ERROR(SelectShares(override.share_tag).status());
  return ToChange(policy_.SetOverride(override, ToStore(options)));
}

absl::StatusOr<control::PolicyChange> Machine::ClearOverride(const control::FileRef& file,
                                                             const control::PolicySetOptions& options) {
  dax::OverriddenFile overridden;
  if (const uint64_t* node = std::get_if<uint64_t>(&file.file)) {
    overridden = NodeId(*node);
  } else {
    overridden = std::get<std::string>(file.file);
  }
  return ToChange(policy_.ClearOverride(file.share_tag, overridden, ToStore(options)));
}

std::vector<dax::PolicyHistoryEntry> Machine::PolicyHistory() const { return policy_.History(); }

absl::StatusOr<control::Explanation> Machine::Explain(const control::FileRef& file) const {
  return absl::UnimplementedError("this machine explains nothing yet");
}

absl::StatusOr<control::ConvergenceCounts> Machine::GetConvergence(const std::string& share_tag) const {
  return absl::UnimplementedError("this machine does not count convergence yet");
}

absl::StatusOr<std::vector<const Machine::Share*>> Machine::SelectShares(const std::string& tag) const {
  std::vector<const Share*> selected;
  for (const Share& share : shares_) {
    if (tag.empty() || share.device->tag() == tag) selected.push_back(&share);
  }
  if (selected.empty() && !tag.empty()) {
    return absl::NotFoundError(absl::StrCat("share: this machine has no share with the tag '", tag, "'"));
  }
  return selected;
}

absl::StatusOr<std::vector<control::LiveFile>> Machine::ListFiles(const std::string& share_tag) const {
  ASSIGN_OR_RETURN(const std::vector<const Share*> shares, SelectShares(share_tag));
  std::vector<control::LiveFile> files;
  for (const Share* share : shares) {
    for (virtio_fs::LiveFile& file : share->device->ListFiles()) {
      files.push_back(ToControl(share->device->tag(), std::move(file)));
    }
  }
  std::ranges::sort(files, [](const control::LiveFile& a, const control::LiveFile& b) {
    return std::tie(a.share_tag, a.path, a.node_id) < std::tie(b.share_tag, b.path, b.node_id);
  });
  return files;
}

control::WindowUse Machine::UseOf(const Share& share) const {
  control::WindowUse use;
  use.share_tag = share.device->tag();
  use.read_only = share.device->read_only();
  use.mount_mode = ToMountMode(share.device->client_dax_mode());
  const dax::Window* window = share.device->window();
  if (window == nullptr) return use;
  use.capacity = window->size();
  use.guest_base = *share.device->window_base();
  const dax::WindowStats stats = window->stats();
  use.mapped_chunks = stats.mapped_chunks;
  use.mapped_chunks_max = stats.mapped_chunks_max;
  use.maps = stats.maps;
  use.unmaps = stats.unmaps;
  use.rejected = stats.rejected;
  use.dropped_stores = guard_.dropped_stores(use.guest_base);
  return use;
}

absl::StatusOr<std::vector<control::WindowUse>> Machine::GetWindows(const std::string& share_tag) const {
  ASSIGN_OR_RETURN(const std::vector<const Share*> shares, SelectShares(share_tag));
  std::vector<control::WindowUse> uses;
  for (const Share* share : shares) uses.push_back(UseOf(*share));
  return uses;
}

}  // namespace daxvmm::vmm
