#include "devices/virtio_fs/dax/told_sizes.h"

#include <utility>

namespace daxvmm::dax {

void ToldSizes::Enter(NodeId node, std::shared_ptr<Belief> belief) {
  Shard& shard = ShardOf(node);
  MutexLock lock(&shard.mu);
  const auto [entry, is_new] = shard.beliefs.insert_or_assign(node, std::move(belief));
  if (is_new) nodes_.fetch_add(1);
}

void ToldSizes::Leave(NodeId node, const Belief* belief) {
  Shard& shard = ShardOf(node);
  MutexLock lock(&shard.mu);
  const auto entry = shard.beliefs.find(node);
  if (entry == shard.beliefs.end() || entry->second.get() != belief) return;
  shard.beliefs.erase(entry);
  nodes_.fetch_sub(1);
}

bool ToldSizes::Tell(NodeId node, ByteCount size) {
  if (nodes_.load() == 0) return false;
  Shard& shard = ShardOf(node);
  MutexLock lock(&shard.mu);
  const auto entry = shard.beliefs.find(node);
  if (entry == shard.beliefs.end()) return false;
  entry->second->Tell(size);
  return entry->second->wary();
}

}  // namespace daxvmm::dax
