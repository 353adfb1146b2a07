#include "vmm/policy_start.h"

#include <set>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "devices/virtio_fs/dax/policy_change_text.h"

namespace daxvmm::vmm {
namespace {

// Node ids are a session's. What has run out meanwhile is no loss, but is said.
std::vector<dax::Override> KeepOverrides(const std::vector<dax::Override>& saved, absl::Time now,
                                         std::vector<std::string>* changes) {
  std::vector<dax::Override> kept;
  size_t nodes = 0;
  size_t run_out = 0;
  for (const dax::Override& override : saved) {
    if (override.expires_at && *override.expires_at <= now) {
      ++run_out;
    } else if (std::holds_alternative<NodeId>(override.file)) {
      ++nodes;
    } else {
      kept.push_back(override);
    }
  }
  if (nodes > 0) {
    changes->push_back(
        absl::StrCat(dax::CountedText(nodes, "override"), " by node dropped: nodes do not outlive the guest"));
  }
  if (run_out > 0) changes->push_back(absl::StrCat(dax::CountedText(run_out, "override"), " ran out meanwhile"));
  return kept;
}

// Tags that rules or overrides name, and the machine does not have.
std::set<std::string> AbsentShares(const MachineConfig& config, const dax::PolicyStart& start) {
  std::set<std::string> absent;
  for (const dax::Rule& rule : start.policy.rules) {
    if (rule.share_tag) absent.insert(*rule.share_tag);
  }
  for (const dax::Override& override : start.overrides) absent.insert(override.share_tag);
  for (const ShareConfig& share : config.shares) absent.erase(share.tag);
  return absent;
}

dax::PolicySource SourceOf(const MachineConfig& config) {
  if (config.policy_file.empty()) return {.kind = dax::SourceKind::kStart, .detail = ""};
  return {.kind = dax::SourceKind::kFile, .detail = config.policy_file};
}

bool HasFlags(const MachineConfig& config) {
  if (config.policy_given || !config.policy_file.empty()) return true;
  for (const ShareConfig& share : config.shares) {
    if (share.policy.has_value()) return true;
  }
  return false;
}

}  // namespace

ChosenStart ChooseStart(const MachineConfig& config, const std::optional<control::SavedPolicy>& saved,
                        const std::string& set_aside, absl::Time now) {
  ChosenStart chosen;
  dax::PolicyStart& start = chosen.start;
  if (!config.policy_file.empty()) start.file_policy = &config.policy;
  dax::Policy of_flags = ComposePolicy(config, config.policy);
  if (!saved.has_value()) {
    start.policy = std::move(of_flags);
    start.source = SourceOf(config);
    if (!set_aside.empty()) {
      start.change = absl::StrCat("the state was bad and is now ", set_aside);
      chosen.notes.push_back(absl::StrCat("state-dir: the bad state is now ", set_aside,
                                          "; the policy is that of the flags, and no override is left"));
    }
    return chosen;
  }
  const std::string where = absl::StrCat("state-dir: ", config.state_dir, ": ");
  std::vector<std::string> changes;
  start.last_generation = saved->generation;
  start.history = saved->history;
  start.overrides = KeepOverrides(saved->overrides, now, &changes);
  for (const std::string& change : changes) chosen.notes.push_back(where + change);
  const bool file_changed = !config.policy_file.empty() && saved->file_policy != config.policy;
  if (file_changed) {
    chosen.notes.push_back(absl::StrCat(where, "the policy kept in it (generation ", saved->generation,
                                        ") gives way to the policy file ", config.policy_file,
                                        ", which says something else than when it was read last"));
    start.policy = std::move(of_flags);
    start.source = SourceOf(config);
  } else {
    if (HasFlags(config) && of_flags != saved->policy) {
      chosen.notes.push_back(absl::StrCat(where, "the policy kept in it (generation ", saved->generation,
                                          ") is in force, not that of the flags"));
    }
    start.policy = saved->policy;
    start.source = {.kind = dax::SourceKind::kState, .detail = config.state_dir};
  }
  changes.insert(changes.begin(), dax::DescribePolicyChange(saved->policy, start.policy));
  if (changes.size() > 1 && start.policy == saved->policy) changes.erase(changes.begin());
  start.change = absl::StrJoin(changes, ", ");
  if (const std::set<std::string> absent = AbsentShares(config, start); !absent.empty()) {
    chosen.notes.push_back(absl::StrCat(
        where,
        "rules or overrides are kept for shares that this machine does not have: ", absl::StrJoin(absent, ", ")));
  }
  return chosen;
}

}  // namespace daxvmm::vmm
