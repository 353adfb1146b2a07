#include "devices/virtio_fs/adaptive_driver.h"

#include <utility>
#include <vector>

namespace daxvmm::virtio_fs {

AdaptiveDriver::AdaptiveDriver(dax::InodeStates* states, const dax::Window* window, Inodes inodes)
    : states_(states),
      window_(window),
      inodes_(std::move(inodes)),
      policy_(window->size().raw() / kDaxRangeSize.raw()),
      thread_("dax-adaptive", [this] { Run(); }) {}

AdaptiveDriver::~AdaptiveDriver() {
  {
    MutexLock lock(&mu_);
    stop_ = true;
    wake_.SignalAll();
  }
  thread_.Join();
}

dax::AdaptiveTime AdaptiveDriver::Now() const {
  return std::chrono::duration_cast<dax::AdaptiveTime>(std::chrono::steady_clock::now() - start_);
}

bool AdaptiveDriver::Admit(NodeId node, const dax::NewFile& file) {
  MutexLock lock(&mu_);
  if (policy_.live_files() == 0) wake_.Signal();
  if (nodes_.size() < kMaxNodes) nodes_[file.file.raw()] = node;
  return policy_.Instantiated(Now(), file).dax;
}

bool AdaptiveDriver::WouldAdmit(const dax::NewFile& file) const {
  MutexLock lock(&mu_);
  return policy_.Preview(file).dax;
}

std::string AdaptiveDriver::Reason(dax::FileIdentity file) const {
  MutexLock lock(&mu_);
  return policy_.Explain(file);
}

void AdaptiveDriver::Mapped() {
  MutexLock lock(&mu_);
  ++maps_;
  if (due_ || !policy_.Due(Now(), maps_)) return;
  due_ = true;
  wake_.Signal();
}

void AdaptiveDriver::Forgotten(NodeId node, const dax::FileSample& last) {
  MutexLock lock(&mu_);
  const auto known = nodes_.find(last.file.raw());
  // A look-up that found the file anew may have come first.
  if (known != nodes_.end() && known->second != node) return;
  if (known != nodes_.end()) nodes_.erase(known);
  policy_.Forgotten(Now(), last);
}

void AdaptiveDriver::Look() {
  std::vector<dax::InodeStates::Active> active = states_->TakeActive();
  std::vector<dax::FileSample> samples;
  samples.reserve(active.size());
  for (dax::InodeStates::Active& file : active) {
    const dax::NodeWindowUse use = window_->UseOf(file.node);
    file.sample.mapped_chunks = use.chunks;
    file.sample.removes = use.unmaps;
    file.sample.open = inodes_.is_open(file.node);
    samples.push_back(file.sample);
  }
  const dax::WindowStats stats = window_->stats();
  dax::WindowSample window{.capacity_chunks = stats.chunks,
                           .used_chunks = stats.mapped_chunks,
                           .unmaps = stats.unmaps,
                           .reused_soon = stats.reused_soon};
  std::vector<std::pair<NodeId, bool>> changes;
  {
    MutexLock lock(&mu_);
    due_ = false;
    window.maps = maps_;
    for (const dax::InodeStates::Active& file : active) {
      if (nodes_.size() < kMaxNodes) nodes_[file.sample.file.raw()] = file.node;
    }
    for (const dax::VerdictChange& change : policy_.Tick(Now(), window, samples)) {
      const auto node = nodes_.find(change.file.raw());
      if (node != nodes_.end()) changes.emplace_back(node->second, change.verdict.dax);
    }
  }
  for (const auto& [node, dax] : changes) inodes_.latch(node, dax);
}

void AdaptiveDriver::Run() {
  for (;;) {
    {
      MutexLock lock(&mu_);
      auto next = std::chrono::steady_clock::now() + policy_.tuning().tick_every;
      while (!stop_ && !due_) {
        if (policy_.live_files() == 0) {
          wake_.Wait(&mu_);
          next = std::chrono::steady_clock::now() + policy_.tuning().tick_every;
        } else if (!wake_.WaitUntil(&mu_, next)) {
          break;
        }
      }
      if (stop_) return;
    }
    Look();
  }
}

}  // namespace daxvmm::virtio_fs
