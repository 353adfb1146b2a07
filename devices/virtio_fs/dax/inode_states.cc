#include "devices/virtio_fs/dax/inode_states.h"

#include <sys/stat.h>

#include <memory>
#include <utility>

#include "devices/virtio_fs/fuse/abi.h"

namespace daxvmm::dax {

InodeStates::InodeStates(std::string share_tag, const PolicyStore* policy, Window* window)
    : share_tag_(std::move(share_tag)), policy_(policy), window_(window) {}

void InodeStates::SessionStarted(bool per_file_dax) {
  DropRecords();
  per_file_dax_.store(per_file_dax, std::memory_order_release);
}

void InodeStates::SessionEnded() {
  per_file_dax_.store(false, std::memory_order_release);
  DropRecords();
}

void InodeStates::DropRecords() {
  for (Shard& shard : shards_) {
    MutexLock lock(&shard.mu);
    shard.records.clear();
  }
}

uint32_t InodeStates::AttrFlags(const fuse::InodeFacts& facts, fuse::AttrReply reply, bool instantiates) {
  // Nothing but a regular file can be DAX or mapped: no record, and no flag whatever a policy says.
  if (!S_ISREG(facts.mode)) return 0;
  const std::shared_ptr<const PolicySnapshot> policy = policy_->Get();
  std::optional<bool> persistent_dax_flag;
  std::optional<bool> security_capability;
  const auto ask_flag = [&] {
    persistent_dax_flag = facts.persistent_dax_flag();
    return *persistent_dax_flag;
  };
  const auto ask_capability = [&] {
    security_capability = facts.security_capability();
    return *security_capability;
  };
  // Without per-file DAX no answer would say it, so nothing is asked of the host either.
  const bool flag = per_file_dax_.load(std::memory_order_acquire) &&
                    policy->compiled
                        ->Decide(policy->compiled->Classify({.share_tag = share_tag_, .node = facts.node}),
                                 {.regular_file = true,
                                  .mode = facts.mode,
                                  .size = facts.size,
                                  .dax_hint = ask_flag,
                                  .security_capability = ask_capability})
                        .dax;
  {
    Shard& shard = ShardOf(facts.node);
    MutexLock lock(&shard.mu);
    // Only the reply that makes the guest's inode makes a record: one that is overtaken by FORGET would bring it back.
    if (instantiates) {
      Record& made = shard.records[facts.node] = Record();
      made.told_dax = flag;
      made.told_generation = policy->generation;
    }
    const auto record = shard.records.find(facts.node);
    if (record != shard.records.end()) {
      record->second.size = facts.size;
      record->second.set_id = fuse::IsSetId(facts.mode);
      if (security_capability) record->second.security_capability = security_capability;
      if (persistent_dax_flag) record->second.persistent_dax_flag = persistent_dax_flag;
    }
  }
  if (window_ != nullptr) window_->FileSizeSeen(facts.node, facts.size);
  return flag ? FUSE_ATTR_DAX : 0;
}

void InodeStates::Grew(NodeId node, ByteCount size) {
  {
    Shard& shard = ShardOf(node);
    MutexLock lock(&shard.mu);
    const auto record = shard.records.find(node);
    if (record != shard.records.end()) record->second.size = size;
  }
  if (window_ != nullptr) window_->FileSizeSeen(node, size);
}

void InodeStates::Forgotten(NodeId node) {
  Shard& shard = ShardOf(node);
  MutexLock lock(&shard.mu);
  shard.records.erase(node);
}

ByteCount InodeStates::ToldSize(NodeId node) const {
  const Shard& shard = ShardOf(node);
  MutexLock lock(&shard.mu);
  const auto record = shard.records.find(node);
  return record == shard.records.end() ? ByteCount(0) : record->second.size;
}

void InodeStates::CountSetupMapping(NodeId node) {
  Shard& shard = ShardOf(node);
  MutexLock lock(&shard.mu);
  const auto record = shard.records.find(node);
  if (record != shard.records.end()) ++record->second.setup_mappings;
}

std::vector<InodeReport> InodeStates::Snapshot() const {
  return Snapshot({.size = [](NodeId) { return std::optional<ByteCount>(); },
                   .persistent_dax_flag = [](NodeId) { return std::optional<bool>(); }});
}

std::vector<InodeReport> InodeStates::Snapshot(const CurrentFacts& current) const {
  const std::shared_ptr<const PolicySnapshot> policy = policy_->Get();
  std::vector<InodeReport> reports;
  std::vector<std::pair<NodeId, Record>> records;
  for (const Shard& shard : shards_) {
    records.clear();
    {
      MutexLock lock(&shard.mu);
      records.assign(shard.records.begin(), shard.records.end());
    }
    for (const auto& [node_id, record] : records) {
      const NodeId node = node_id;
      const std::optional<bool> recorded_flag = record.persistent_dax_flag;
      const auto flag = [&] { return current.persistent_dax_flag(node).value_or(recorded_flag.value_or(false)); };
      const std::optional<bool> recorded_capability = record.security_capability;
      const auto capability = [&] {
        return current.security_capability(node).value_or(recorded_capability.value_or(false));
      };
      const ByteCount size = current.size(node).value_or(record.size);
      const bool set_id = current.set_id(node).value_or(record.set_id);
      const CompiledPolicy& compiled = *policy->compiled;
      const Decision decision = compiled.Decide(compiled.Classify({.share_tag = share_tag_, .node = node}),
                                                {.regular_file = true,
                                                 .mode = static_cast<mode_t>(set_id ? S_ISUID : 0),
                                                 .size = size,
                                                 .dax_hint = flag,
                                                 .security_capability = capability});
      reports.push_back({.node = node,
                         .size = size,
                         .decision_dax = decision.dax,
                         .decision_rule = std::string(compiled.RuleName(decision)),
                         .decision_generation = policy->generation,
                         .told_dax = record.told_dax,
                         .told_generation = record.told_generation,
                         .setup_mappings = record.setup_mappings});
    }
  }
  return reports;
}

}  // namespace daxvmm::dax
