// The machine as the control plane sees it.
#include <sys/stat.h>

#include <algorithm>
#include <tuple>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/error_reason.h"
#include "base/status.h"
#include "devices/virtio_fs/dax/policy_change_text.h"
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

const char* YesNo(bool value) { return value ? "yes" : "no"; }

std::vector<control::FactLine> FactLines(const virtio_fs::FileExplanation& file, bool read_only) {
  return {{"path", file.path},
          {"regular file", YesNo(S_ISREG(file.mode))},
          {"size", absl::StrCat(file.size.raw())},
          {"mode", absl::StrFormat("%04o", file.mode & 07777)},
          {"owner", absl::StrCat(file.uid, ":", file.gid)},
          {"dax hint", YesNo(file.dax_hint)},
          {"file capabilities", YesNo(file.security_capability)},
          {"huge pages", YesNo(file.huge_pages)},
          {"read-only share", YesNo(read_only)}};
}

}  // namespace

dax::PolicyStore::SetOptions Machine::ToStore(const control::PolicySetOptions& options) {
  return {.source = {.kind = dax::SourceKind::kRequest, .detail = options.requester},
          .expected_generation = options.expected_generation,
          .expected_etag = options.expected_etag,
          .force = options.force,
          .parts = options.parts};
}

absl::StatusOr<control::PolicyChange> Machine::ToChange(const absl::StatusOr<uint64_t>& generation) const {
  if (!generation.ok()) return generation.status();
  control::PolicyChange change{.generation = *generation, .etag = policy_.EtagOf(*generation)};
  for (const Share& share : shares_) {
    if (share.window == nullptr) continue;
    change.attribute_timeout = std::max(change.attribute_timeout, share.device->attribute_timeout());
  }
  return change;
}

control::PolicyState Machine::GetPolicy() const {
  const auto snapshot = policy_.Get();
  control::PolicyState state;
  state.generation = snapshot->generation;
  state.policy = snapshot->compiled->policy();
  state.overrides = snapshot->compiled->overrides();
  state.source = snapshot->source;
  state.since = snapshot->since;
  state.watched_file = policy_.watched_file();
  state.etag = policy_.EtagOf(snapshot->generation);
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
  if (absl::Status known = SelectShares(override.share_tag).status(); !known.ok()) {
    keeper_->AuditRefusal("set-override", ToStore(options).source, dax::DescribeOverrideChange(nullptr, &override),
                          known);
    return known;
  }
  const absl::StatusOr<uint64_t> generation = policy_.SetOverride(override, ToStore(options));
  if (generation.ok()) override_expiry_.Changed();
  return ToChange(generation);
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
  if (file.share_tag.empty()) return absl::InvalidArgumentError("share: missing");
  ASSIGN_OR_RETURN(const std::vector<const Share*> shares, SelectShares(file.share_tag));
  const virtio_fs::VirtioFsDevice& device = *shares.front()->device;
  const auto* const node = std::get_if<uint64_t>(&file.file);
  ASSIGN_OR_RETURN(virtio_fs::FileExplanation found,
                   node != nullptr ? device.Explain(NodeId(*node)) : device.Explain(std::get<std::string>(file.file)));
  control::Explanation out;
  out.share_tag = file.share_tag;
  out.path = found.path;
  out.facts = FactLines(found, device.read_only());
  for (dax::CompiledPolicy::Step& step : found.steps) {
    out.steps.push_back({.rule = std::move(step.rule), .matched = step.matched, .why = std::move(step.why)});
  }
  out.dax = found.answer.dax;
  out.rule = found.answer.rule;
  out.reason = found.answer.reason;
  out.generation = found.answer.generation;
  out.adaptive = found.answer.adaptive;
  out.mount_mode = ToMountMode(device.client_dax_mode());
  const auto snapshot = policy_.Get();
  out.enforcement = snapshot->compiled->policy().enforcement;
  if (found.answer.overridden) {
    out.override = snapshot->compiled->FindOverride(file.share_tag,
                                                    found.live.has_value() ? found.live->node : NodeId(), found.path);
  }
  if (!found.live.has_value()) return out;
  const dax::InodeReport& report = found.live->report;
  out.live = true;
  out.node_id = found.live->node.raw();
  out.told_dax = report.told_dax;
  out.told_generation = report.told_generation;
  out.convergence = report.convergence.what;
  out.attributes_left = report.convergence.attributes_left;
  out.open = found.live->open;
  out.mapped_chunks = found.live->use.chunks;
  out.setup_mappings = report.setup_mappings;
  out.unmaps = found.live->use.unmaps;
  out.reads = found.live->reads;
  out.writes = found.live->writes;
  out.mapped_against_policy = report.against_policy;
  return out;
}

absl::StatusOr<control::ConvergenceCounts> Machine::GetConvergence(const std::string& share_tag) const {
  ASSIGN_OR_RETURN(const std::vector<const Share*> shares, SelectShares(share_tag));
  control::ConvergenceCounts counts{.generation = policy_.generation()};
  for (const Share* share : shares) counts.Add(share->device->CountConvergence());
  return counts;
}

absl::StatusOr<std::vector<const Machine::Share*>> Machine::SelectShares(const std::string& tag) const {
  std::vector<const Share*> selected;
  for (const Share& share : shares_) {
    if (tag.empty() || share.device->tag() == tag) selected.push_back(&share);
  }
  if (selected.empty() && !tag.empty()) {
    return WithReason(absl::NotFoundError(absl::StrCat("share: this machine has no share with the tag '", tag, "'")),
                      "SHARE_NOT_FOUND", {{"share", tag}});
  }
  return selected;
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
  use.total_chunks = stats.chunks;
  use.reclaim_threshold_chunks = dax::ReclaimThreshold(stats.chunks);
  use.mapped_chunks = stats.mapped_chunks;
  use.mapped_chunks_max = stats.mapped_chunks_max;
  use.maps = stats.maps;
  use.unmaps = stats.unmaps;
  use.rejected = stats.rejected;
  use.dropped_stores = guard_.dropped_stores(use.guest_base);
  const auto rates = [](const dax::EventRates& from, double* to) {
    to[0] = from.last_1s;
    to[1] = from.last_10s;
    to[2] = from.last_60s;
  };
  rates(stats.map_rates, use.maps_per_second);
  rates(stats.unmap_rates, use.unmaps_per_second);
  use.reused_soon = stats.reused_soon;
  use.repairs = stats.repairs;
  use.restores = stats.restores;
  use.stores_past_end = stats.stores_past_end;
  use.files_extended = stats.files_extended;
  use.against_policy = share.device->states().mapped_against_policy();
  use.denied = share.device->states().denied();
  use.quota = share.device->dax_quota();
  use.quota_reached = share.device->states().quota_reached();
  return use;
}

absl::StatusOr<std::vector<control::WindowUse>> Machine::GetWindows(const std::string& share_tag) const {
  ASSIGN_OR_RETURN(const std::vector<const Share*> shares, SelectShares(share_tag));
  std::vector<control::WindowUse> uses;
  for (const Share* share : shares) uses.push_back(UseOf(*share));
  return uses;
}

}  // namespace daxvmm::vmm
